"""Waiting in gevent's hub, with real sockets; nothing is monkey-patched here."""

import gc
import socket
import time
import weakref
from collections.abc import Callable, Iterator

import gevent
import pytest

from streamgauge.scenarios.epoll_collector import MANY, MOST_FINISHED, PollTimes, announce_start, polled_before, watch


class Reader:
    """Reads up to a full stop; says when it has waited long enough."""

    def __init__(self, patience_s: float | None = 60.0) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.seen = b""
        self.ticks = 0
        self._patience_s = patience_s

    def take(self) -> bool:
        self.seen += self.ours.recv(100)
        return not self.seen.endswith(b".")

    def tick(self) -> float | None:
        self.ticks += 1
        return self._patience_s

    def wait(self) -> None:
        watch(self.ours.fileno(), self.take, self.tick)


@pytest.fixture
def readers() -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(*arguments: float | None) -> Reader:
        made.append(Reader(*arguments))
        return made[-1]

    yield make
    for reader in made:
        reader.ours.close()
        reader.theirs.close()


@pytest.mark.parametrize("count", [1, MANY - 1, MANY, 3 * MANY])
def test_each_waits_for_its_own_end(readers: Callable[..., Reader], count: int) -> None:
    every = [readers() for _ in range(count)]
    waiting = [gevent.spawn(reader.wait) for reader in every]
    for text in (b"a", b"b", b"c."):
        gevent.sleep(0.002)
        for reader in every:
            reader.theirs.sendall(text)
    gevent.joinall(waiting, raise_error=True)
    assert [reader.seen for reader in every] == [b"abc."] * count


def test_none_from_tick_ends_the_wait(readers: Callable[..., Reader]) -> None:
    reader = readers(None)
    reader.wait()
    assert (reader.seen, reader.ticks) == (b"", 1)


def test_tick_is_called_again_after_the_time_it_asks_for(readers: Callable[..., Reader]) -> None:
    reader = readers(0.001)
    waiting = gevent.spawn(reader.wait)
    while reader.ticks < 3:
        gevent.sleep(0.001)
    reader.theirs.sendall(b".")
    waiting.join()
    assert reader.seen == b"."


def test_a_killed_waiter_leaves_nothing_behind(readers: Callable[..., Reader]) -> None:
    killed, other = readers(), readers()
    greenlets = [gevent.spawn(reader.wait) for reader in (killed, other)]
    gevent.sleep(0)
    greenlets[0].kill()
    killed.theirs.sendall(b"late")
    other.theirs.sendall(b"x.")
    greenlets[1].join()
    assert (killed.seen, other.seen) == (b"", b"x.")


def test_one_end_may_end_another_wait(readers: Callable[..., Reader]) -> None:
    """What a finished greenlet does runs while the others are still being polled."""
    every = [readers() for _ in range(MANY * 2)]
    waiting = [gevent.spawn(reader.wait) for reader in every]

    def first() -> None:
        every[0].wait()
        for greenlet in waiting[1:]:
            greenlet.kill(block=False)

    waiting[0].kill()
    waiting[0] = gevent.spawn(first)
    gevent.sleep(0)
    for reader in every:
        reader.theirs.sendall(b".")
    gevent.joinall(waiting)
    assert every[0].seen == b"."
    assert all(greenlet.dead for greenlet in waiting)


def test_a_wait_that_is_over_keeps_nothing() -> None:
    """A cycle would keep the stream until a collection, and that stops every other stream for its time."""
    reader = Reader()
    kept = weakref.ref(reader)
    reader.theirs.sendall(b".")
    gc.collect()
    gc.disable()
    try:
        reader.wait()
        reader.ours.close()
        reader.theirs.close()
        del reader
        gevent.sleep(0.001)  # gevent's hub holds its last callback until its next turn
        assert kept() is None
    finally:
        gc.enable()


def test_what_has_ended_waits_for_a_start_that_is_due(readers: Callable[..., Reader]) -> None:
    """What comes is read all the same."""
    early, other = readers(), readers()
    order: list[str] = []
    early_waits = gevent.spawn(lambda: (early.wait(), order.append("ended")))
    other_waits = gevent.spawn(other.wait)
    gevent.sleep(0.002)
    announce_start(time.time_ns())
    early.theirs.sendall(b".")
    other.theirs.sendall(b"read")
    while other.seen != b"read" or early.seen != b".":
        gevent.sleep(0.001)
    order.append("started")
    announce_start(None)
    other.theirs.sendall(b".")
    gevent.joinall([early_waits, other_waits], raise_error=True)
    assert order == ["started", "ended"]


def test_so_many_that_have_ended_do_not_wait(readers: Callable[..., Reader]) -> None:
    """Starts that come one behind the other must not keep the ends from their turn."""
    every = [readers() for _ in range(MOST_FINISHED + 1)]
    waiting = [gevent.spawn(reader.wait) for reader in every]
    gevent.sleep(0.002)
    announce_start(time.time_ns())
    try:
        for reader in every:
            reader.theirs.sendall(b".")
        gevent.wait(waiting, count=1, timeout=10)
        assert any(greenlet.ready() for greenlet in waiting)
    finally:
        announce_start(None)
    gevent.joinall(waiting, raise_error=True)


def test_the_poll_before_the_one_that_read_is_found() -> None:
    poll_times = PollTimes(remembered=3)
    for at_ns in range(10, 70, 10):
        poll_times.add(at_ns)

    assert poll_times.before(15) is None  # the first poll took it
    assert poll_times.before(20) == 10
    assert poll_times.before(59) == 40
    assert poll_times.before(1_000) == 50
    poll_times.add(70)
    assert poll_times.before(49) is None  # only 50, 60 and 70 are remembered
    assert poll_times.before(60) == 50


def test_every_poll_is_remembered(readers: Callable[..., Reader]) -> None:
    reader = readers()
    began_ns = time.time_ns()
    reader.theirs.sendall(b"x.")
    reader.wait()
    taken_ns = time.time_ns()
    reader.theirs.sendall(b"y.")
    reader.wait()

    polled_ns = polled_before(time.time_ns())
    assert polled_ns is not None
    assert began_ns <= polled_ns <= taken_ns
