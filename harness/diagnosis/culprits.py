"""What is known about products that hold streams back: how to recognise them, and the lines that make them stop."""

from typing import Final, NamedTuple

from streamgauge.diagnosis.patterns import ConfigFix, Pattern
from streamgauge.wire import Head


class Culprit(NamedTuple):
    """A product: a mark in the headers that gives it away, what it does by default, what to change."""

    name: str
    header: str
    mark: str
    why: str
    fix: ConfigFix


NGINX: Final = Culprit(
    "nginx",
    "server",
    "nginx",
    "nginx buffers answers by default (proxy_buffering on) and before 1.29.7 speaks HTTP/1.0 to the upstream",
    ConfigFix(
        "the location block with proxy_pass in nginx.conf",
        ["proxy_buffering off;", "proxy_http_version 1.1;", 'proxy_set_header Connection "";'],
    ),
)

CULPRITS: Final = (
    NGINX,
    Culprit(
        "Apache httpd",
        "server",
        "apache",
        "mod_proxy passes packets on when they come, unless an output filter collects them",
        ConfigFix("the ProxyPass line in the virtual host", ["ProxyPass / http://upstream/ flushpackets=on"]),
    ),
    Culprit(
        "Caddy",
        "server",
        "caddy",
        "reverse_proxy flushes event streams at once, unless buffering or `encode` is on",
        # Not flush_interval -1: with it the request goes on upstream when the client has left.
        ConfigFix(
            "the reverse_proxy block in the Caddyfile", ["# without buffer_responses, response_buffers and encode"]
        ),
    ),
    Culprit(
        "Streamgauge's buffering proxy",
        "via",
        "streamgauge-proxy",
        "it is the known-bad subject: it holds what its flags tell it to hold",
        ConfigFix("the command line of `streamgauge proxy`", ["drop its --hold and --until-close flags"]),
    ),
    Culprit(
        "Cloudflare",
        "server",
        "cloudflare",
        "response buffering can be on for the zone",
        ConfigFix(
            "the zone's settings",
            ["turn Response Buffering off"],
        ),
    ),
    Culprit(
        "Varnish",
        "via",
        "varnish",
        "it fetches whole objects unless told to stream or to pipe",
        ConfigFix("vcl_backend_response", ["set beresp.do_stream = true;"]),
    ),
)

_HAPROXY: Final = Culprit(
    "HAProxy",
    "",
    "",
    "HAProxy sends no header of its own; by default it corks its sends, and tokens come in windows of about 200 ms",
    ConfigFix("the frontend, backend or defaults section of haproxy.cfg", ["option http-no-delay"]),
)
_HAPROXY_WINDOW_NS: Final = (170_000_000, 260_000_000)

APP_FIXES: Final = (
    ConfigFix("the application's response headers (nginx obeys it)", ["X-Accel-Buffering: no"]),
    ConfigFix("the application: flush after each event", ["await Response.Body.FlushAsync(ct)  // ASP.NET Core"]),
)
COMPRESSION_FIX: Final = ConfigFix(
    "whatever compresses text/event-stream",
    ["leave text/event-stream out of the compressed types", "or flush the compressor after each event"],
)


def culprit_of(head: Head | None, pattern: Pattern, window_ns: int | None) -> Culprit | None:
    """The product that headers or a telling window name; None when nothing does."""
    for culprit in CULPRITS:
        value = head.get(culprit.header) if head else None
        if value is not None and culprit.mark in value.lower():
            return culprit
    low, high = _HAPROXY_WINDOW_NS
    if pattern is Pattern.TIME_COALESCED and window_ns is not None and low <= window_ns <= high:
        return _HAPROXY
    return None
