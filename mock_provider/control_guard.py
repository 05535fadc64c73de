"""Who may use the control API: a program on this machine, or a holder of the token. Never a web page of another site.

Without `--control-token`, being on this machine is the only proof, so a request must show nothing that casts doubt on
it: a peer beyond loopback, a Host that another site's DNS may point at loopback (DNS rebinding), or a field that a
forwarder has added. A forwarder that adds no field and rewrites Host cannot be told from a local program: set a token
behind one.
"""

import hmac
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from streamgauge.mock_provider.http import Reply, Request, json_reply

# A browser sets this field, and a page cannot: "none" is a person who typed the address (W3C Fetch Metadata).
_OWN_PAGES: Final = ("same-origin", "none")
# Fields that only forwarders add: RFC 7239, RFC 9110 section 7.6.3, and the names from before them.
_FORWARDED: Final = re.compile(r"forwarded|via|x-forwarded-.+|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip")
_PORT: Final = re.compile(r":[0-9]*\Z")
# A page can send a form, or text, to another site without its consent, but not JSON (Fetch, "CORS-safelisted").
_JSON: Final = "application/json"


def refusal(request: Request, peer_host: str | None, token: str | None) -> Reply | None:
    """Why `request` from `peer_host` (None: a Unix socket) may not use the control API; None admits it."""
    return _refuse_page(request) or (
        _refuse_doubtful(request, peer_host) if token is None else _refuse_without_token(request, token)
    )


def refuse_form(request: Request) -> Reply | None:
    """The refusal of a request that changes something and is not declared as JSON, such as the form of a web page."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _JSON:
        return None
    return _error(415, f"a request that changes something needs Content-Type: {_JSON}; its body may be empty")


def _refuse_page(request: Request) -> Reply | None:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if (site is None or site in _OWN_PAGES) and (origin is None or _authority_of(origin) == request.authority.lower()):
        return None
    return _error(403, "the control API does not answer web pages of another origin")


def _refuse_doubtful(request: Request, peer_host: str | None) -> Reply | None:
    remedy = "for others, start the mock with --control-token"
    if peer_host is not None:  # the permissions of a Unix socket say who may use it, and no DNS name leads to it
        if not _is_loopback(peer_host):
            return _error(403, f"the control API answers only programs on this machine; {remedy}")
        if request.authority and not _names_this_machine(request.authority):
            host = request.authority[:100]
            return _error(403, f"Host: expected localhost or a loopback address, got {host!r}; {remedy}")
    if (field := next(filter(_FORWARDED.fullmatch, request.headers), None)) is not None:
        return _error(403, f"the control API does not answer a forwarded request, and this one has {field}; {remedy}")
    return None


def _refuse_without_token(request: Request, expected: str) -> Reply | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), expected.encode()):
        return None
    reply = _error(401, "the control API needs Authorization: Bearer with the token of --control-token")
    reply.headers.append(("WWW-Authenticate", "Bearer"))
    return reply


def _names_this_machine(authority: str) -> bool:
    host = _PORT.sub("", authority).lower()
    return host.removesuffix(".") == "localhost" or _is_loopback(host.removeprefix("[").removesuffix("]"))


def _is_loopback(host: str) -> bool:
    """Whether `host` is an IP address of this machine alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _authority_of(origin: str) -> str | None:
    """Host and port of an Origin; None for an opaque one, which is "null"."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"error": {"message": message}})
