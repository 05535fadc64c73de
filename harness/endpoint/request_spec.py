"""One request as values, and the curl command that repeats it."""

import re
import shlex
from typing import NamedTuple

from streamgauge.secrets import hide, mask_body, mask_headers, mask_url
from streamgauge.untrusted_text import UNSAFE_CHARACTERS


class RequestSpec(NamedTuple):
    """One complete request. `prompt` is None when the request has no place for a prompt."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    http_version: str = "1.1"
    prompt: str | None = None
    curl_options: tuple[str, ...] = ()

    @property
    def masked_url(self) -> str:
        return hide(mask_url(self.url))

    def curl(self) -> str:
        """A command line that repeats this request, secrets masked."""
        words = ["curl", "-sN", *self.curl_options]
        if self.http_version == "1.0":
            words.append("--http1.0")
        if self.method == "HEAD":
            words.append("--head")  # with -X HEAD, curl would wait for a body
        elif self.method != ("GET" if self.body is None else "POST"):
            words += ["-X", self.method]
        for name, value in mask_headers(self.headers).items():
            if name.lower() != "user-agent":
                words += ["-H", f"{name}: {value}"]
        if self.body is not None:
            words += ["--data-raw", mask_body(self.body.decode("utf-8", "replace"))]
        words.append(self.masked_url)
        return " ".join(_shell_quoted(hide(word)) for word in words)


def _shell_quoted(word: str) -> str:
    """A word of a shell command line. Characters that act on a terminal become \\xNN, which bash and zsh read back."""
    if not UNSAFE_CHARACTERS.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{UNSAFE_CHARACTERS.sub(_as_hex_escapes, escaped)}'"


def _as_hex_escapes(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogatepass"))
