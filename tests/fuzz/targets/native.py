"""The two modules in C: the reader under any order of calls and acts of its peer, the chunk cutter beside Python's."""

import select
import socket
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

from streamgauge.transport.chunks_fast import cut_in_python
from streamgauge.transport.native import CUT, READER
from tests.fuzz.targets.choices import Choices, Target

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader

_PATTERN: Final = bytes(range(256)) * 512
_MOST_STREAM_BYTES: Final = 20_000  # so small that the reader pauses
_PATIENCE_S: Final = 20.0
_MOST_ACTS: Final = 200


@cache
def _reader() -> "Reader":
    assert READER is not None
    return READER(most_bytes=1 << 20, most_stream_bytes=_MOST_STREAM_BYTES)


class _Talk:
    """One socket in the reader. The peer sends a known pattern, so that lost, doubled or swapped bytes show."""

    def __init__(self) -> None:
        self.own, self.peer = socket.socketpair()
        self.own.setblocking(False)
        self.peer.setblocking(False)
        self.reader = _reader()
        self.slot: int = self.reader.add(self.own)
        self.sent = 0
        self.taken = b""
        self.finished = False

    def act(self, code: int, argument: int) -> None:
        match code:
            case 0:
                self.send(argument + 1)
            case 1:
                self.send(argument * 500)
            case 2:
                self.arm(argument)
            case 3:
                self.take()
            case 4:
                assert all(slot == self.slot and why for slot, why in self.reader.ready())
            case 5:
                self.reader.disarm(self.slot)
            case 6 if not self.finished:
                self.peer.shutdown(socket.SHUT_WR)
                self.finished = True
            case _:
                assert self.reader.stored(self.slot)[0] <= self.sent - len(self.taken)

    def send(self, size: int) -> None:
        if not self.finished:
            at = self.sent % 256
            with suppress(BlockingIOError):
                self.sent += self.peer.send(_PATTERN[at : at + size])

    def arm(self, argument: int) -> None:
        tail = _PATTERN[argument : argument + argument % 17]
        wake = argument & (15 if tail else 7)
        self.reader.arm(
            self.slot, wake, size=argument + 1, tail=tail, silence_ns=argument * 1_000,
            deadline_ns=time.monotonic_ns() + argument * 1_000 if argument % 2 else 0,
        )  # fmt: skip

    def take(self) -> None:
        taken = self.reader.take(self.slot)
        assert len(taken.data) == sum(memoryview(taken.sizes).cast("I"))
        assert len(taken.t_ns) == len(taken.user_ns) == len(taken.empty_ns) == 2 * len(taken.sizes)
        self.taken += taken.data

    def finish(self) -> None:
        """Everything that was sent has come out, in order."""
        if not self.finished:
            self.peer.shutdown(socket.SHUT_WR)
        until_s = time.monotonic() + _PATIENCE_S
        while len(self.taken) < self.sent or self.reader.stored(self.slot)[1] is None:
            assert time.monotonic() < until_s, (self.sent, len(self.taken), self.reader.stored(self.slot))
            select.select([], [], [], 0.0001)
            self.take()
        self.take()
        assert self.reader.stored(self.slot) == (0, 0)
        assert self.taken == _PATTERN[: self.sent] if self.sent <= len(_PATTERN) else True

    def close(self) -> None:
        self.reader.remove(self.slot)
        for call in (self.reader.take, self.reader.stored, self.reader.disarm):
            with suppress(ValueError):
                call(self.slot)
                raise AssertionError("a removed slot is known")
        assert self.reader.ready() == []
        self.own.close()
        self.peer.close()


def reader(data: bytes) -> None:
    """In any order of calls and of acts of the peer, each byte comes out of the native reader once, and in order."""
    if READER is None:
        return
    talk = _Talk()
    try:
        for byte in data[:_MOST_ACTS]:  # three bits say which act, five are its argument
            talk.act(byte % 8, byte // 8)
        talk.finish()
    finally:
        talk.close()


def chunks(data: bytes) -> None:
    """The chunk cutter in C cuts a body as the one in Python does, wherever that one does not decline."""
    if CUT is None:
        return
    choices = Choices(data, 2)
    begin, step = choices.below(3), 1 + choices.below(40)
    wire = b"\r" * begin + choices.rest
    sizes = [step] * (len(wire) // step) + [len(wire) % step]
    python, c = cut_in_python(wire, begin, sizes), CUT(wire, begin, sizes)
    assert python is None or python == c, (python, c)


def _acts() -> list[bytes]:
    return [
        bytes([2 + 8 * 7, 0 + 8 * 9, 3, 4, 1 + 8 * 31, 6, 3]),
        bytes(range(256)),
        bytes([1 + 8 * 31] * 60 + [3] * 9),
    ]


def _bodies() -> list[bytes]:
    bodies = [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"5;x=y\r\nhello\r\n0\r\n\r\n",
    ]
    return [bytes([begin, step]) + body for body in bodies for begin in (0, 1) for step in (0, 6, 39)]


READER_CALLS: Final = Target(reader, _acts, near=100)
CHUNKS: Final = Target(chunks, _bodies)
