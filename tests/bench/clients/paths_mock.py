"""The mock over three paths with one ledger: HTTP/1.1, HTTP/1.1 over TLS, and HTTP/2 in clear text.

Prints one URL a line, in this order. What the mock writes in HTTP/1.1 becomes TLS records or HTTP/2 frames in the
moment of writing, so that its times are those of the ledger.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

import hpack
import trustme

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.connection import Connection
from streamgauge.mock_provider.ledger import EndKind
from streamgauge.mock_provider.listening import Listening, listen
from streamgauge.mock_provider.loop import new_event_loop
from streamgauge.mock_provider.server import Server


class Secure(Connection):
    """TLS over the bytes whose arrival the kernel has stamped; the loop's own TLS would know when it read them."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        super().__init__(server)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secured = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    @property
    def descriptor(self) -> int | None:
        """Nothing may be written past this."""
        return None

    def send(self, data: bytes) -> None:
        """In a record of its own."""
        self._secured.write(data)
        super().send(self._outgoing.read())

    def _received(self, data: bytes, arrival_ns: int) -> None:
        self._incoming.write(data)
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while plain := self._secured.read(65_536):  # the handshake too
                self._opened(plain, arrival_ns)
        if answer := self._outgoing.read():
            with suppress(BrokenPipeError):  # the client has left
                super().send(answer)

    def _opened(self, plain: bytes, arrival_ns: int) -> None:
        super()._received(plain, arrival_ns)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HOP_BY_HOP = ("transfer-encoding", "connection", "keep-alive")
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = (8).to_bytes(4)
MAX_CONCURRENT_STREAMS = (3).to_bytes(2) + (1_000).to_bytes(4)  # httpx sends one at a time until a server says more


class Http2(Connection):
    """Frames outside; inside each stream is a connection of the mock's HTTP/1.1.

    For clients that keep their windows open and keep the rules. Without the library h2, which would take longer over a
    head than the client's error that is looked for.
    """

    read_bytes = 64  # less than a request: many of one connection that arrive together keep their own stamps

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._server = server
        self._decoder = hpack.Decoder()
        self._came = b""
        self._greeted = False
        self._requests: dict[int, bytes] = {}  # those whose end has not come, by stream
        self._streams: dict[int, Http2Stream] = {}

    def forget(self, number: int) -> None:
        """A stream has ended."""
        self._streams.pop(number, None)

    def connection_lost(self, error: Exception | None) -> None:
        """The streams end with their connection."""
        for stream in list(self._streams.values()):
            stream.connection_lost(error)
        super().connection_lost(error)

    def _received(self, data: bytes, arrival_ns: int) -> None:
        self._came += data
        if not self._greeted:
            if len(self._came) < len(PREFACE):
                return
            self._came = self._came.removeprefix(PREFACE)
            self._greeted = True
            self.send(_frame(SETTINGS, 0, 0, MAX_CONCURRENT_STREAMS))
        while len(self._came) >= 9 and len(self._came) >= (end := 9 + int.from_bytes(self._came[:3])):
            kind, flags, number = self._came[3], self._came[4], int.from_bytes(self._came[5:9])
            payload, self._came = self._came[9:end], self._came[end:]
            self._take(kind, flags, number, payload, arrival_ns)

    def _take(self, kind: int, flags: int, number: int, payload: bytes, arrival_ns: int) -> None:
        if kind == HEADERS:
            self._requests[number] = _request_head(self._decoder.decode(payload, raw=True))
        elif kind == DATA and payload:
            self._requests[number] += payload
            self.send(_frame(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4)))
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self.send(_frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == RST_STREAM and number in self._streams:
            self._streams.pop(number).connection_lost(ConnectionResetError())
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            stream = self._streams[number] = Http2Stream(self._server, self, number)
            stream._received(self._requests.pop(number), arrival_ns)


class Http2Stream(Connection):
    """What the mock writes in HTTP/1.1 becomes frames of one stream."""

    def __init__(self, server: Server, outer: Http2, number: int) -> None:
        super().__init__(server)
        self._outer, self._number = outer, number
        self._head = True
        self._answer = b""
        self._open, self.peer_host = True, outer.peer_host

    @property
    def descriptor(self) -> int | None:
        """Nothing may be written past `send`."""
        return None

    def send(self, data: bytes) -> None:
        """A head, chunks, or the last chunk."""
        self._answer += data
        frames = []
        while True:
            line, end, rest = self._answer.partition(b"\r\n\r\n" if self._head else b"\r\n")
            size = 0 if self._head or not end else int(line, 16) + 2
            if not end or len(rest) < size:
                break
            if self._head:
                frames.append(_frame(HEADERS, END_HEADERS, self._number, _head_block(line)))
                self._head = False
            else:
                last = size == 2
                frames.append(_frame(DATA, END_STREAM if last else 0, self._number, rest[: size - 2]))
                if last:
                    self._outer.forget(self._number)
            self._answer = rest[size:]
        self._outer.send(b"".join(frames))

    def stream_ended(self, end: EndKind) -> None:
        """There is no next request, and only the stream is cut, not its connection."""
        self._player, self._open = None, False
        self._outer.forget(self._number)
        if end != "complete":
            with suppress(BrokenPipeError):  # the client has left
                self._outer.send(_frame(RST_STREAM, 0, self._number, CANCEL))


def _request_head(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    values = {bytes(name): bytes(value) for name, value in fields}
    lines = [b"%b %b HTTP/1.1" % (values[b":method"], values[b":path"]), b"Host: " + values[b":authority"]]
    lines += [b"%b: %b" % field for field in values.items() if field[0][:1] != b":"]
    return b"\r\n".join([*lines, b"", b""])


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@lru_cache(64)
def _field(name: str, value: str) -> bytes:
    """By itself it depends on nothing that was sent before."""
    return hpack.Encoder().encode([(name, value, True)])


def _head_block(head: bytes) -> bytes:
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = [line.partition(": ")[::2] for line in lines]
    kept = [(name.lower(), value) for name, value in fields if name.lower() not in HOP_BY_HOP]
    return b"".join(_field(name, value) for name, value in [(":status", status.split(" ")[1]), *kept])


async def serve(config: MockConfig) -> None:
    """Until it is killed."""
    server = Server(config)
    print(await server.start(), flush=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    listeners = []
    for scheme, kind in (("https", lambda: Secure(server, context)), ("http", lambda: Http2(server))):
        listener, url = await listen(kind, config.host, 0, Listening())
        listeners.append(listener)
        print(url.replace("http", scheme, 1), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """As `python -m streamgauge.mock_provider`, with few options."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--tokens", "--ledger-size"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--ttft", "--itl"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    config = MockConfig(ttft=given.ttft, itl=given.itl, tokens=given.tokens, ledger_size=given.ledger_size)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(config))


if __name__ == "__main__":
    main()
