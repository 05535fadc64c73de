"""Settings of the proxy."""

import re
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from streamgauge.mock_provider.client_wait import IDLE_TIMEOUT, REQUEST_TIMEOUT
from streamgauge.mock_provider.durations import parse_option

BODYLESS = (204, 304)  # statuses whose answers end with their head (RFC 9112 section 6.3)
_VISIBLE = re.compile(r"[!-~]+")
OnBreak = Literal["cut", "error", "glued"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """The upstream, and the faults; ValueError for an upstream that is not an http URL, or a number below its least."""

    upstream: str
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port
    hold_bytes: int | None = None  # write only when so many bytes have come
    hold_ms: int | None = None  # write only when the oldest byte held has waited so many milliseconds
    until_close: bool = False  # write everything when the upstream has finished
    one_behind: bool = False  # write each piece when the next one comes
    ignore_abort: bool = False  # keep reading the upstream after the client has left
    gzip_no_flush: bool = False  # compress for clients that accept gzip, and flush only at the end
    strip_accel: bool = False  # remove X-Accel-Buffering
    strip_heartbeats: bool = False  # remove comment lines from event streams
    whole_events: bool = False  # read events up to two LFs, so that those of a CRLF stream are held to the end
    spaced_data: bool = False  # drop data lines without a space after the colon
    cut_idle_ms: int | None = None  # close both sides when the upstream has been silent for so many milliseconds
    cut_after_ms: int | None = None  # close both sides so many milliseconds after the request
    on_break: OnBreak = "cut"  # a stream that breaks off: cut it, end it with an error event, or glue that to it
    retries: int = 0  # repetitions, without a pause, of a request that is answered with 429 or 5xx
    errors_as: int | None = None  # the status in place of every error status of the upstream, without Retry-After
    key: str | None = None  # the API key for the upstream, in place of the client's Authorization
    forward_control: bool = False  # forward requests for the mock's control API as well
    request_timeout: str = REQUEST_TIMEOUT  # from a request's first byte to its last
    idle_timeout: str = IDLE_TIMEOUT  # between requests, and for a client that does not take the end of an answer
    request_ns: int = field(init=False, default=0)
    idle_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        parts = urlsplit(self.upstream)
        if parts.username is not None or parts.query or parts.fragment:  # not quoted: a password may be in it
            raise ValueError("upstream: expected a URL without user info, query and fragment; give a key with --key")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"upstream: expected an http:// URL, got {self.upstream!r}")
        try:
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"upstream: {error}, got {self.upstream!r}") from None
        # Both become parts of a request's head, where a space, a line end or a letter like é would change its meaning.
        if not _VISIBLE.fullmatch(self.upstream):
            raise ValueError(
                f"upstream: expected visible ASCII characters, escaped where necessary, got {self.upstream!r}"
            )
        if self.key is not None and not _VISIBLE.fullmatch(self.key):
            raise ValueError("key: expected visible ASCII characters")  # not quoted: it is a secret
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        for name, value in (
            ("hold-bytes", self.hold_bytes),
            ("hold-ms", self.hold_ms),
            ("cut-idle-ms", self.cut_idle_ms),
            ("cut-after-ms", self.cut_after_ms),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")
        if self.on_break not in get_args(OnBreak):
            raise ValueError(f"on-break: expected one of {', '.join(get_args(OnBreak))}, got {self.on_break!r}")
        if self.errors_as is not None and (not 200 <= self.errors_as <= 599 or self.errors_as in BODYLESS):
            raise ValueError(f"errors-as: expected a status of 200 to 599 that has a body, got {self.errors_as}")
        if self.retries < 0:
            raise ValueError(f"retries: expected 0 or more, got {self.retries}")
        object.__setattr__(self, "request_ns", parse_option("request-timeout", self.request_timeout))
        object.__setattr__(self, "idle_ns", parse_option("idle-timeout", self.idle_timeout))
