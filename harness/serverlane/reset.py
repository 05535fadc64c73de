"""Empties the prefix cache of a server between two loads, where the server has a way to do that.

vLLM: POST /reset_prefix_cache, only with VLLM_SERVER_DEV_MODE=1; else 200 with {"success": false}.
SGLang: POST /flush_cache, which answers 400 while requests run.
"""

import time
from typing import Final

import httpx
import msgspec

from streamgauge.endpoint.plain_http import read_body, tls_for
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


def reset_cache(target: Target, url: str) -> str | None:
    """Ask the server to empty its cache; None when it did, else why not. Raises UsageError for a URL with a user."""
    learn(in_url(url))
    address = without_userinfo(url, _OPTION)
    verify = tls_for(target, address) or False
    try:
        with (
            httpx.Client(verify=verify, timeout=_TIMEOUT_S, trust_env=False) as http,
            http.stream("POST", address) as response,
        ):
            body = read_body(response, _MOST_BYTES, time.monotonic() + _TIMEOUT_S).content  # its beginning is enough
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return brief(str(error) or type(error).__name__)
    if response.status_code != 200:
        return f"HTTP {response.status_code}: {brief(body.decode(errors='replace').strip())}"
    try:
        done = from_json(body, _Answer).success
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        done = True  # SGLang answers with a sentence
    return None if done else 'it answered {"success": false}'
