"""The mock over three paths with one ledger: HTTP/1.1, HTTP/1.1 over TLS, and HTTP/2 in clear text.

Prints one URL a line, in this order. What the mock writes in HTTP/1.1 becomes TLS records or HTTP/2 frames in the
moment of writing, so that its times are those of the ledger.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import asyncio
import ssl
from contextlib import suppress
from functools import lru_cache
from typing import Any

import hpack
import trustme

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.connection import Connection
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


class Http2(Connection):
    """HTTP/2 outside, the mock's HTTP/1.1 inside: requests are rewritten, and so is what answers them.

    For one stream at a time, whose client has room for all of it and keeps the rules. Without the library h2, which
    would take longer over a head than an error of the client's that is looked for.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._decoder = hpack.Decoder()
        self._came = b""
        self._greeted = False
        self._asked = b""
        self._stream = 0
        self._head = True
        self._answer = b""

    @property
    def descriptor(self) -> int | None:
        """Nothing may be written past this."""
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
                frames.append(_frame(1, 4, self._stream, _head_block(line)))
                self._head = False
            else:
                self._head = size == 2
                frames.append(_frame(0, self._head, self._stream, rest[: size - 2]))
            self._answer = rest[size:]
        super().send(b"".join(frames))

    def _received(self, data: bytes, arrival_ns: int) -> None:
        self._opened(data, arrival_ns)

    def _opened(self, data: bytes, arrival_ns: int) -> None:
        self._came += data
        if not self._greeted:
            if len(self._came) < len(PREFACE):
                return
            self._came = self._came.removeprefix(PREFACE)
            self._greeted = True
            super().send(_frame(4, 0, 0, b""))
        while len(self._came) >= 9 and len(self._came) >= (end := 9 + int.from_bytes(self._came[:3])):
            kind, flags, stream = self._came[3], self._came[4], int.from_bytes(self._came[5:9])
            payload, self._came = self._came[9:end], self._came[end:]
            if kind == 1:
                fields = {bytes(name): bytes(value) for name, value in self._decoder.decode(payload, raw=True)}
                lines = [b"%b %b HTTP/1.1" % (fields[b":method"], fields[b":path"]), b"Host: " + fields[b":authority"]]
                lines += [b"%b: %b" % field for field in fields.items() if field[0][:1] != b":"]
                self._asked = b"\r\n".join([*lines, b"", b""])
            elif kind == 0:
                self._asked += payload
                super().send(_frame(8, 0, 0, len(payload).to_bytes(4)) if payload else b"")
            elif kind in (4, 6) and not flags & 1:  # SETTINGS and PING
                super().send(_frame(kind, 1, 0, payload if kind == 6 else b""))
            elif kind == 3:
                self.close(reset=False)
            if kind in (0, 1) and flags & 1:
                self._stream = stream
                Connection._received(self, self._asked, arrival_ns)


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
