"""One server for every way in which an endpoint can be hostile: the path says which, and what it sent is counted."""

import gzip
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import brotli
import zstandard

from tests.builders.listening import Listening

# Colours, a title, a link, C1 controls, direction, invisible words, markup of three languages, rich's own.
NASTY = (
    "\x1b[31mred\x1b]0;title\x07\x1b]8;;http://evil/\x07link\x9b1m\u202egnp\u2066\u200e\u2028\U000e0041\ufeff"
    "<script>alert(1)</script><img src=x onerror=alert(2)>[bold]b[/bold][link=http://evil]l[/link]`|](http://evil) ]]>"
)
_ASCII = "\\u001b[31mred\\u009b1m\\u202e<script>alert(1)</script>[/bold]"
_SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
_BLOCK = 64 * 1024


def _sse(*bodies: bytes, coding: bytes = b"") -> list[bytes]:
    return [_SSE + (b"Content-Encoding: " + coding + b"\r\n" if coding else b"") + b"\r\n", *bodies]


def _endless(start: bytes, piece: bytes, end: bytes = b"") -> Iterator[bytes]:
    return chain([start], repeat(piece * max(1, _BLOCK // len(piece))), [end])


def _inflating(to: int) -> bytes:
    return b"data: a\n\n" + b"\n" * to


def _chunked() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


_ERROR = ('data: {"error":{"message":"' + _ASCII + '","type":"' + _ASCII + '"}}\n\n').encode()
_CHUNK = (
    'data: {"object":"chat.completion.chunk","id":"' + _ASCII + '","model":"' + _ASCII + '","choices":[{"index":0,'
    '"delta":{"content":"' + _ASCII + '"},"finish_reason":"' + _ASCII + '"}]}\n\n'
).encode()  # fmt: skip
_DEEP = b"[" * 50_000
_HUGE = b"9" * 5_000

ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "headers": lambda: _endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "a header": lambda: _endless(b"HTTP/1.1 200 OK\r\nA: ", b"b"),
    "a status line": lambda: _endless(b"HTTP/1.1 200 ", b"O"),
    "interim answers": lambda: _endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a line": lambda: _endless(_SSE + b"\r\ndata: a\n\ndata: ", b"x"),
    "an event": lambda: _endless(_SSE + b"\r\n", b"data: x\n"),
    "blank lines": lambda: _endless(_SSE + b"\r\ndata: a\n\n", b"\n"),
    "comments": lambda: _endless(_SSE + b"\r\n", b": x\n"),
    "fields": lambda: _endless(_SSE + b"\r\n", b"x\n"),
    "tokens": lambda: _endless(_SSE + b"\r\n", b"data: a\n\n"),
    "empty events": lambda: _endless(_SSE + b"\r\n", b"data\n\n"),
    "a page": lambda: _endless(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<b>"),
    "chunks": lambda: _endless(_chunked(), b"1\r\n\n\r\n"),
    "a chunk's extension": lambda: _endless(_chunked() + b"1;", b"a"),
    "trailers": lambda: _endless(_chunked() + b"9\r\ndata: a\n\n\r\n0\r\n", b"A: b\r\n"),
}  # fmt: skip
BOMBS: dict[str, Callable[[], Iterator[bytes]]] = {
    "gzip": lambda: iter(_sse(gzip.compress(_inflating(100_000_000), 1), coding=b"gzip")),
    "gzip of gzip": lambda: iter(_sse(gzip.compress(gzip.compress(_inflating(100_000_000), 1)), coding=b"gzip, gzip")),
    "br": lambda: iter(_sse(brotli.compress(_inflating(100_000_000), quality=1), coding=b"br")),
    "zstd": lambda: iter(_sse(zstandard.compress(_inflating(100_000_000)), coding=b"zstd")),
    "gzip members": lambda: chain(_sse(coding=b"gzip"), repeat(gzip.compress(b"data: a\n\n") * 1_000)),
}
ODD: dict[str, Callable[[], Iterator[bytes]]] = {
    "texts": lambda: iter(_sse(f"event: {NASTY}\nid: {NASTY}\ndata: {NASTY}\n\nx{NASTY}\nretry: {NASTY}\n\n".encode())),
    "chunks of chat": lambda: iter(_sse(_CHUNK, _CHUNK, b"data: [DONE]\n\n")),
    "an error": lambda: iter(_sse(_CHUNK, _ERROR)),
    "a header's text": lambda: iter(
        [f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: {NASTY}\r\nX-Request-Id: {NASTY}\r\n"
         f"Cache-Control: {NASTY}\r\nVia: {NASTY}\r\n\r\ndata: a\n\n".replace("\x07", "").encode()]
    ),
    "a media type": lambda: iter([f"HTTP/1.1 200 OK\r\nContent-Type: {_ASCII}\r\n\r\n{NASTY}".encode()]),
    "a coding": lambda: iter(_sse(b"data: a\n\n", coding=NASTY.replace("\x07", "").replace("\x1b", "").encode())),
    "a reason": lambda: iter([f"HTTP/1.1 500 {NASTY[30:]}\r\nContent-Length: 0\r\n\r\n".encode()]),
    "a redirect": lambda: iter([f"HTTP/1.1 302 Found\r\nLocation: http://x/{_ASCII}\x9b\r\n\r\n".encode("latin-1")]),
    "an error page": lambda: iter([b"HTTP/1.1 403 No\r\nContent-Type: text/html\r\n\r\n" + NASTY.encode()]),
    "deep JSON": lambda: iter(_sse(b"data: " + _DEEP + b"\n\n", b'data: {"error":' + _DEEP[:900] + b"\n\n")),
    "huge numbers": lambda: iter(
        _sse(b'data: {"choices":[{"index":' + _HUGE + b',"delta":{"content":"a"}}],"usage":{"completion_tokens":'
             + _HUGE + b"}}\n\n", b"data: 1e999\n\ndata: -0\n\nretry: " + _HUGE + b"\n\n")
    ),
    "double keys": lambda: iter(_sse(b'data: {"choices":[],"choices":[{"delta":{"content":"a"}}],"error":1}\n\n')),
    "surrogates": lambda: iter(_sse(b'data: {"token":"\\ud83c","done":false}\n\ndata: "\\udc00"\n\n')),
    "no UTF-8": lambda: iter(_sse(b"event: \xff\ndata: \xff\xc0\x80\xed\xa0\x80\nid: \xff\n\n")),
    "ids": lambda: iter(_sse("id: é\x0b…\ndata: a\n\nid: a\tb\ndata: b\n\n".encode())),
}  # fmt: skip
ANSWERS = {**ENDLESS, **BOMBS, **ODD}


class HostileServer(Listening):
    """Gives each of ANSWERS under its name."""

    def __init__(self) -> None:
        super().__init__()
        self._built: dict[str, list[bytes]] = {}
        self._sent: dict[str, int] = {}
        self._open: Counter[str] = Counter()
        self._changed = threading.Condition()

    def url(self, name: str) -> str:
        """Where the answer of this name is given."""
        return f"http://127.0.0.1:{self.port}/{name.replace(' ', '_')}?message=x"

    def most_sent(self, name: str) -> int:
        """The most bytes that one connection took, when all have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: name in self._sent and not self._open[name], 30)
            return self._sent[name]

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        asked = b""
        while b"\r\n\r\n" not in asked:
            if not (more := connection.recv(65536)):
                return
            asked += more
        name = asked.split(b" ", 2)[1].decode().partition("?")[0].strip("/").replace("_", " ")
        with self._changed:
            self._open[name] += 1
        sent = 0
        try:
            for piece in self._answer(name):
                connection.sendall(piece)
                sent += len(piece)
        finally:
            with self._changed:
                self._open[name] -= 1
                self._sent[name] = max(sent, self._sent.get(name, 0))
                self._changed.notify_all()

    def _answer(self, name: str) -> Iterator[bytes]:
        if name in BOMBS and name != "gzip members":  # these take a while to make
            if name not in self._built:
                self._built[name] = list(BOMBS[name]())
            return iter(self._built[name])
        return ANSWERS[name]()
