"""What goes to the upstream: always one request with one meaning, framed anew, however the client had framed it."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from streamgauge.mock_provider.http import Reply, Request, json_reply, split_target
from streamgauge.mock_provider.proxy.config import ProxyConfig

VIA: Final = "1.1 streamgauge-proxy"
# Fields that belong to one connection (RFC 9110 section 7.6.1).
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)
_REFRAMED: Final = frozenset({"host", "content-length", "via"})
_CONTROL: Final = "_mock"
_MOST_DECODINGS: Final = 3


def refusal(request: Request, config: ProxyConfig) -> Reply | None:
    """The answer to a request that is not forwarded: one for the control API of a mock behind this proxy."""
    base = urlsplit(config.upstream).path
    if config.forward_control or not _may_reach_control(f"{base}/{split_target(request.target)[1]}"):
        return None
    message = "this proxy does not forward the control API of a mock; --forward-control does"
    return json_reply(404, {"error": {"message": message}})


def to_upstream(request: Request, config: ProxyConfig) -> bytes:
    """The bytes of `request` for the upstream, which gets a connection for it alone."""
    upstream = urlsplit(config.upstream)
    dropped = connection_fields(request.headers.get("connection", "")) | _REFRAMED
    fields = [(name, value) for name, value in request.headers.items() if name not in dropped]
    if config.key is not None:
        fields = [pair for pair in fields if pair[0] != "authorization"] + [("Authorization", f"Bearer {config.key}")]
    fields += [("Host", upstream.netloc), ("Via", VIA), ("Connection", "close")]
    if request.body or request.headers.keys() & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(request.body))))
    lines = [f"{request.method} {_target(request, upstream.path.rstrip('/'))} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def connection_fields(connection: str) -> frozenset[str]:
    """The fields that end at this proxy: those of every connection, and those that `Connection` names."""
    named = {name.strip().lower() for name in connection.split(",")}
    return _HOP_BY_HOP | (named - {"content-length"})  # without its length, a body would end elsewhere


def _target(request: Request, base: str) -> str:
    """The target in origin-form (RFC 9112 section 3.2.1), below the upstream's own path."""
    if request.target == "*":
        return base or "*"
    _, path, query = split_target(request.target)
    return f"{base}{path}?{query}" if query else f"{base}{path}"


def _may_reach_control(path: str) -> bool:
    """Whether a server could read `path` as one below `/_mock/`: percent-decoded, with any slashes, in any case."""
    for _ in range(_MOST_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    else:
        return True  # no honest path is encoded so often
    segments = re.split(r"[/\\]", path)
    return any(segment.partition(";")[0].strip().casefold() == _CONTROL for segment in segments)
