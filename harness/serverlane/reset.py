"""Empties the prefix cache of a server between two loads, where the server has a way to do that.

vLLM: POST /reset_prefix_cache, only with VLLM_SERVER_DEV_MODE=1; else 200 with {"success": false}.
SGLang: POST /flush_cache, which answers 400 while requests run.
"""

from typing import Final

import httpx
import msgspec

from streamgauge.endpoint.plain_http import PlainClient
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import without_userinfo
from streamgauge.leaks import brief
from streamgauge.protocol.typed import from_json
from streamgauge.secrets import in_url, learn

_OPTION: Final = "--reset-cache"
_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 64 * 1024


class _Answer(msgspec.Struct):
    success: bool = True


def reset_cache(target: Target, url: str, timeout_s: float = _TIMEOUT_S) -> str | None:
    """Ask the server to empty its cache. Returns None on success, and otherwise the reason of the failure. The answer
    may take `timeout_s`.

    Raises UsageError for a URL with a user.
    """
    learn(in_url(url))
    address = without_userinfo(url, _OPTION)
    try:
        with PlainClient.beside(target, address) as http:
            answer = http.ask("POST", address, most_bytes=_MOST_BYTES, seconds=timeout_s)
    except httpx.ReadTimeout:
        return f"no end of its answer after {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return brief(str(error) or type(error).__name__)
    body = answer.body.content  # its beginning is enough
    if answer.status != 200:
        return f"HTTP {answer.status}: {brief(body.decode(errors='replace').strip())}"
    try:
        done = from_json(body, _Answer).success
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        done = True  # SGLang answers with a sentence
    return None if done else 'it answered {"success": false}'
