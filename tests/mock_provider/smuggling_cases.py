"""Requests that two servers could cut at different bytes, and what the proxy must forward of each of them.

Each attack carries a second request for /smuggled, which a careless server would find in the first one's body, or the
first one's body in the second request.
"""

from dataclasses import dataclass, field

Forwarded = tuple[str, str, bytes]  # method, target, body

_POST = b"POST /a HTTP/1.1\r\nHost: m\r\n"
_HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_CHUNKED_HIDDEN = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_HIDDEN), _HIDDEN)


@dataclass(frozen=True)
class Attack:
    """Bytes of a client, and the requests that must reach the upstream: none for an attack that is refused."""

    name: str
    sent: bytes
    forwarded: list[Forwarded] = field(default_factory=list)


def _post(name: str, fields: bytes, body: bytes = b"0\r\n\r\n" + _HIDDEN) -> Attack:
    """A POST with these fields of framing that must be refused."""
    return Attack(name, _POST + fields + b"\r\n" + body)


def _chunks(name: str, body: bytes, forwarded: bytes | None = None) -> Attack:
    """A chunked POST: refused, or forwarded with this body."""
    return Attack(name, _POST + _CHUNKED + b"\r\n" + body, [] if forwarded is None else [("POST", "/a", forwarded)])


def _get(name: str, head: bytes) -> Attack:
    """A head that must be refused."""
    return Attack(name, head + _HIDDEN)


_LENGTH = b"Content-Length: %d\r\n" % len(_HIDDEN)

ATTACKS = [
    # Two lengths
    _post("CL.TE", b"Content-Length: 5\r\n" + _CHUNKED),
    _post("TE.CL", _CHUNKED + b"Content-Length: 5\r\n", _CHUNKED_HIDDEN),
    _post("CL.0: length and chunks, both of nothing", b"Content-Length: 0\r\n" + _CHUNKED),
    _post("TE.TE: chunked and identity", _CHUNKED + b"Transfer-Encoding: identity\r\n"),
    _post("TE.TE: identity and chunked", b"Transfer-Encoding: identity\r\n" + _CHUNKED),
    _post("TE.TE: chunked twice", _CHUNKED * 2),
    _post("two lengths that differ", b"Content-Length: 0\r\n" + _LENGTH, _HIDDEN),
    _post("two lengths that agree", _LENGTH * 2, _HIDDEN),
    _post("a list of lengths", b"Content-Length: 0, 35\r\n", _HIDDEN),
    _post("a list of equal lengths", b"Content-Length: 35, 35\r\n", _HIDDEN),
    # Lengths that parsers read differently
    *(
        _post(f"a length of {text!r}", b"Content-Length: " + text + b"\r\n", _HIDDEN)
        for text in (b"+35", b"-35", b"0x23", b"3_5", b"35;0", b"35 0", b"35.0", b"\x0b35", b"", b"1e1", b"\xb2",
                     b"18446744073709551617", b"4294967331,", b"\"35\"")
    ),
    _post("a space before the colon of a length", b"Content-Length : 35\r\n", _HIDDEN),
    _post("a tab before the colon of a length", b"Content-Length\t: 35\r\n", _HIDDEN),
    # Codings that parsers read differently
    *(
        _post(f"a coding of {text!r}", b"Transfer-Encoding: " + text + b"\r\n")
        for text in (b"xchunked", b"chunkedx", b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked",
                     b"chunked;q=1", b"\"chunked\"", b"\x0bchunked", b"chunked\x00", b"chunked\x0b", b",chunked", b"",
                     b"chunked,")
    ),
    _post("a space before the colon of a coding", b"Transfer-Encoding : chunked\r\n"),
    _post("a coding on a folded line", b"Transfer-Encoding:\r\n chunked\r\n"),
    _post("a coding that is folded", b"Transfer-Encoding: x,\r\n\tchunked\r\n"),
    Attack("a coding in HTTP/1.0", b"POST /a HTTP/1.0\r\nHost: m\r\n" + _CHUNKED + b"\r\n" + _CHUNKED_HIDDEN),
    # Lines that end in other ways
    _get("a folded field", b"GET /a HTTP/1.1\r\nHost: m\r\nX: a\r\n b\r\n\r\n"),
    _get("a folded first line", b"GET /a HTTP/1.1\r\n X: a\r\nHost: m\r\n\r\n"),
    _get("bare LF behind the first line", b"GET /a HTTP/1.1\nHost: m\r\n\r\n"),
    _get("bare LF behind a field", b"GET /a HTTP/1.1\r\nHost: m\nX: a\r\n\r\n"),
    _get("bare LF everywhere", b"GET /a HTTP/1.1\nHost: m\n\n"),
    _get("bare LF as the blank line", b"GET /a HTTP/1.1\r\nHost: m\r\n\n"),
    _get("bare CR in a value", b"GET /a HTTP/1.1\r\nHost: m\r\nX: a\rContent-Length: 35\r\n\r\n"),
    _get("CR CR LF", b"GET /a HTTP/1.1\r\nHost: m\r\nX: a\r\r\n\r\n"),
    _get("NUL in a value", b"GET /a HTTP/1.1\r\nHost: m\r\nX: a\0b\r\n\r\n"),
    _get("a field without a name", b"GET /a HTTP/1.1\r\nHost: m\r\n: a\r\n\r\n"),
    _get("a line without a colon", b"GET /a HTTP/1.1\r\nHost: m\r\nContent-Length 35\r\n\r\n"),
    _get("a name with a space", b"GET /a HTTP/1.1\r\nHost: m\r\nX Content-Length: 35\r\n\r\n"),
    _get("a name with CR", b"GET /a HTTP/1.1\r\nHost: m\r\nX\rContent-Length: 35\r\n\r\n"),
    # Chunks
    _chunks("chunks", _CHUNKED_HIDDEN, _HIDDEN),
    _chunks("a chunk extension", b"3;a=b\r\nabc\r\n0;c\r\n\r\n", b"abc"),
    _chunks("a quoted chunk extension", b'3;a="0;"\r\nabc\r\n0\r\n\r\n', b"abc"),
    _chunks("a chunk size with zeros before it", b"0" * 30 + b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    _chunks("a chunk extension that ends with LF", b"3;\nabc\r\n0\r\n\r\n" + _HIDDEN),
    _chunks("a chunk extension with CR", b"3;a\rb\r\nabc\r\n0\r\n\r\n" + _HIDDEN),
    _chunks("a quoted chunk extension with CRLF", b'3;a="\r\nabc\r\n0\r\n\r\n"' + _HIDDEN),
    _chunks("a chunk size that ends with LF", b"3\nabc\r\n0\r\n\r\n" + _HIDDEN),
    _chunks("a chunk that ends with LF", b"3\r\nabc\n0\r\n\r\n" + _HIDDEN),
    _chunks("a chunk without its end", b"3\r\nabc0\r\n\r\n" + _HIDDEN),
    _chunks("a chunk longer than its size", b"3\r\nabcXX0\r\n\r\n" + _HIDDEN),
    _chunks("a last chunk that ends with LF", b"0\r\n\n" + _HIDDEN),
    *(
        _chunks(f"a chunk size of {size!r}", size + b"\r\nabc\r\n0\r\n\r\n" + _HIDDEN)
        for size in (b"0x3", b"+3", b"-3", b" 3", b"3 ", b"3_", b"", b"10000000000000003", b"\xb3")
    ),
    # Trailers
    _chunks("a trailer", b"3\r\nabc\r\n0\r\nX-Late: 1\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n", b"abc"),
    _chunks("a trailer with a length", b"3\r\nabc\r\n0\r\nContent-Length: 35\r\n\r\n" + _HIDDEN),
    # Requests that are not for an HTTP/1.1 server of this name
    _get("two hosts", b"GET /a HTTP/1.1\r\nHost: m\r\nHost: evil\r\n\r\n"),
    _get("no host", b"GET /a HTTP/1.1\r\n\r\n"),
    _get("a host with a path", b"GET /a HTTP/1.1\r\nHost: m/smuggled\r\n\r\n"),
    _get("a host with a name before it", b"GET /a HTTP/1.1\r\nHost: m@evil\r\n\r\n"),
    _get("a host with a space", b"GET /a HTTP/1.1\r\nHost: m evil\r\n\r\n"),
    _get("HTTP/0.9", b"GET /a\r\n"),
    _get("HTTP/0.9 by name", b"GET /a HTTP/0.9\r\nHost: m\r\n\r\n"),
    _get("HTTP/2.0 by name", b"GET /a HTTP/2.0\r\nHost: m\r\n\r\n"),
    _get("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _get("two versions", b"GET /a HTTP/1.1 HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a tab in the target", b"GET /a\tHTTP/1.1 HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a control character in the target", b"GET /a\x01 HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a fragment in the target", b"GET /a#/../smuggled HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a target without a slash", b"GET smuggled HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("an authority as the target", b"GET m:80 HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a tunnel", b"CONNECT m:80 HTTP/1.1\r\nHost: m\r\n\r\n"),
    _get("a lower-case method", b"get /a HTTP/1.1\r\nHost: m\r\n\r\n"),
    # Another protocol: llhttp leaves the bytes behind the head to it
    Attack(
        "an upgrade with a body",
        _POST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + _LENGTH + b"\r\n" + _HIDDEN,
        [("POST", "/a", _HIDDEN)],
    ),
    Attack(
        "an upgrade with chunks",
        _POST + b"Upgrade: h2c\r\nConnection: upgrade\r\n" + _CHUNKED + b"\r\n" + _CHUNKED_HIDDEN,
        [("POST", "/a", _HIDDEN)],
    ),
    Attack(
        "a request behind an upgrade",
        b"GET /a HTTP/1.1\r\nHost: m\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        b"GET /b HTTP/1.1\r\nHost: m\r\n\r\n",
        [("GET", "/a", b""), ("GET", "/b", b"")],
    ),
    _post("an upgrade with two lengths", b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n" + _CHUNKED),
    # What is legal, and must pass as one request each
    Attack("a body that is a request", _POST + _LENGTH + b"\r\n" + _HIDDEN, [("POST", "/a", _HIDDEN)]),
    Attack(
        "a GET with a body",
        b"GET /a HTTP/1.1\r\nHost: m\r\n" + _LENGTH + b"\r\n" + _HIDDEN,
        [("GET", "/a", _HIDDEN)],
    ),
    Attack(
        "two requests in one piece",
        _POST + b"Content-Length: 3\r\n\r\nabcGET /b?c=d HTTP/1.1\r\nHost: m\r\n\r\n",
        [("POST", "/a", b"abc"), ("GET", "/b?c=d", b"")],
    ),
    Attack(
        "a length that the Connection field names",
        _POST + b"Connection: Content-Length, Host, X-Hop\r\nX-Hop: 1\r\n" + _LENGTH + b"\r\n" + _HIDDEN,
        [("POST", "/a", _HIDDEN)],
    ),
    Attack(
        "an absolute target",
        b"GET http://evil.example/a?b HTTP/1.1\r\nHost: m\r\n\r\n",
        [("GET", "/a?b", b"")],
    ),
    Attack("two slashes", b"GET //evil/a HTTP/1.1\r\nHost: m\r\n\r\n", [("GET", "//evil/a", b"")]),
    Attack("escaped line ends", b"GET /a%0d%0aX: HTTP/1.1\r\nHost: m\r\n\r\n", [("GET", "/a%0d%0aX:", b"")]),
    Attack("blank lines before", b"\r\n\r\nGET /a HTTP/1.1\r\nHost: m\r\n\r\n", [("GET", "/a", b"")]),
    Attack("HTTP/1.0", b"GET /a HTTP/1.0\r\n\r\n", [("GET", "/a", b"")]),
    Attack("the whole server", b"OPTIONS * HTTP/1.1\r\nHost: m\r\n\r\n", [("OPTIONS", "*", b"")]),
]  # fmt: skip
