"""The native reader against real loopback sockets: every wake policy, its bounds, its ends, and every byte."""

import contextlib
import errno
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import warnings
from array import array
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.transport import native, stamps

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader, Taken

pytestmark = pytest.mark.skipif(native.READER is None, reason=str(native.WHY_NOT))

MS = 1_000_000
FOREVER_S = 20.0  # only a broken reader waits so long
SOON_S = 0.05  # in which a reader that wakes wrongly would have done so

if native.READER is not None:
    R = native.READER
    make = partial(R, most_bytes=1 << 30, most_stream_bytes=1 << 26)


@pytest.fixture
def reader() -> "Iterator[Reader]":
    reader = make()
    yield reader
    reader.close()


class Pair:
    """Two ends of a TCP connection over loopback: the reader's and the peer's."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.own = socket.create_connection(server.getsockname())
            self.peer, _ = server.accept()
        self.own.setblocking(False)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamps.prime()
        stamps.enable(self.own)

    def close(self) -> None:
        self.own.close()
        self.peer.close()

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def wait(reader: "Reader", timeout_s: float = FOREVER_S) -> dict[int, int]:
    """The slots that are ready, waiting for the first; empty when there is none in that time."""
    ends_s = time.monotonic() + timeout_s
    while True:
        left_s = ends_s - time.monotonic()
        select.select([reader], [], [], max(left_s, 0))
        ready = reader.ready()
        if ready or left_s <= 0:
            assert len(dict(ready)) == len(ready), "a slot is in the list once"
            return dict(ready)


def wait_stored(reader: "Reader", slot: int, size: int) -> None:
    ends_s = time.monotonic() + FOREVER_S
    while reader.stored(slot)[0] < size:
        assert time.monotonic() < ends_s, reader.stored(slot)
        time.sleep(0.001)


def read_until(reader: "Reader", slot: int, size: int) -> bytes:
    """Takes until so many bytes have come, whatever else happens."""
    data = b""
    reader.arm(slot, R.EVERY)
    while len(data) < size:
        wait(reader)
        data += reader.take(slot).data
    return data


def reads_of(taken: "Taken") -> list[tuple[int, int, int]]:
    """Arrival, user time and size of each read."""
    return list(zip(array("q", taken.t_ns), array("q", taken.user_ns), array("I", taken.sizes), strict=True))


class TestPolicies:
    def test_the_first_bytes_wake_once(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        assert reader.arm(slot, R.FIRST) is False

        assert wait(reader, SOON_S) == {}
        pair.peer.send(b"a")
        assert wait(reader) == {slot: R.FIRST}
        pair.peer.send(b"b")
        wait_stored(reader, slot, 2)
        assert wait(reader, SOON_S) == {}
        assert reader.take(slot).data == b"ab"

    def test_every_read_wakes(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.EVERY)

        for byte in (b"a", b"b", b"c"):
            pair.peer.send(byte)
            assert wait(reader) == {slot: R.EVERY}
            assert reader.take(slot).data == byte

    def test_many_reads_are_one_entry_in_the_ready_list(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.EVERY | R.FIRST)

        for count in range(1, 6):
            pair.peer.send(b"x")
            wait_stored(reader, slot, count)

        assert wait(reader) == {slot: R.EVERY | R.FIRST}
        assert [size for _, _, size in reads_of(reader.take(slot))] == [1] * 5

    def test_a_size_wakes_when_so_much_is_stored(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.SIZE, size=10)

        pair.peer.send(b"x" * 9)
        wait_stored(reader, slot, 9)
        assert wait(reader, SOON_S) == {}
        pair.peer.send(b"x")
        assert wait(reader) == {slot: R.SIZE}

    def test_a_size_counts_again_after_a_take(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.SIZE, size=4)
        pair.peer.send(b"12345")
        assert wait(reader) == {slot: R.SIZE}
        reader.take(slot)

        pair.peer.send(b"678")
        wait_stored(reader, slot, 3)
        assert wait(reader, SOON_S) == {}
        pair.peer.send(b"9")
        assert wait(reader) == {slot: R.SIZE}

    @pytest.mark.parametrize("tail", [b"\n", b"0\r\n\r\n", b"0123456789abcdef"])
    def test_a_tail_wakes_when_the_last_of_its_bytes_comes(self, reader: "Reader", pair: Pair, tail: bytes) -> None:
        """Byte by byte, with a false start in front."""
        slot = reader.add(pair.own)
        reader.arm(slot, R.TAIL, tail=tail)

        for sent, byte in enumerate(tail[:-1] + b"?" + tail[:-1], start=1):
            pair.peer.send(bytes([byte]))
            wait_stored(reader, slot, sent)
        assert reader.ready() == []
        pair.peer.send(tail[-1:])
        assert wait(reader) == {slot: R.TAIL}

    def test_a_tail_may_begin_in_bytes_that_were_taken(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        for part in (b"body0", b"\r\n", b"\r"):
            pair.peer.send(part)
            wait_stored(reader, slot, len(part))
            assert reader.take(slot).data == part
        assert reader.arm(slot, R.TAIL, tail=b"0\r\n\r\n") is False

        pair.peer.send(b"\n")
        assert wait(reader) == {slot: R.TAIL}

    def test_a_tail_that_was_taken_whole_wakes_nobody(self, reader: "Reader", pair: Pair) -> None:
        """The end of one response on a connection is not the end of the next."""
        slot = reader.add(pair.own)
        reader.arm(slot, R.TAIL, tail=b"end")
        pair.peer.send(b"the end")
        assert wait(reader) == {slot: R.TAIL}
        reader.take(slot)

        assert reader.arm(slot, R.TAIL, tail=b"end") is False
        assert wait(reader, SOON_S) == {}

    def test_what_holds_already_wakes_at_the_arm(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        pair.peer.send(b"stray")
        wait_stored(reader, slot, 5)
        assert reader.ready() == []

        for wake, options in (
            (R.FIRST, {}),
            (R.EVERY, {}),
            (R.SIZE, {"size": 5}),
            (R.TAIL, {"tail": b"ray"}),
        ):
            assert reader.arm(slot, wake, **options) is True
            assert wait(reader) == {slot: wake}
        assert reader.arm(slot, R.SIZE | R.TAIL, size=6, tail=b"rays") is False
        assert reader.arm(slot, R.FIRST, deadline_ns=time.monotonic_ns() - 1) is True
        assert wait(reader) == {slot: R.FIRST | R.DEADLINE}

    def test_the_descriptor_is_readable_only_while_something_is_ready(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        for byte in (b"a", b"b"):
            reader.arm(slot, R.EVERY)
            pair.peer.send(byte)
            assert wait(reader) == {slot: R.EVERY}
            assert select.select([reader], [], [], 0)[0] == []
            reader.take(slot)

    def test_an_arm_replaces_the_policy_and_its_reasons(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.FIRST, deadline_ns=time.monotonic_ns() + 30 * MS)
        pair.peer.send(b"a")
        wait_stored(reader, slot, 1)
        reader.arm(slot, R.SIZE, size=2)

        assert wait(reader, 3 * SOON_S) == {}
        pair.peer.send(b"b")
        assert wait(reader) == {slot: R.SIZE}

    def test_an_unarmed_slot_stores_and_wakes_nobody(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.EVERY)
        reader.disarm(slot)
        pair.peer.send(b"stray")
        wait_stored(reader, slot, 5)
        pair.peer.close()

        assert wait(reader, SOON_S) == {}
        assert reader.stored(slot) == (5, 0)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"wake": 512},
            {"wake": 16},
            {"wake": 4},
            {"wake": 8},
            {"wake": 8, "tail": b"x" * 17},
            {"wake": 1, "silence_ns": -1},
        ],
    )
    def test_a_policy_without_sense_is_refused(self, reader: "Reader", pair: Pair, arguments: dict[str, int]) -> None:
        slot = reader.add(pair.own)

        with pytest.raises(ValueError, match=r"must|needs"):
            reader.arm(slot, **arguments)


class TestTimes:
    def test_a_deadline_wakes_once_and_not_before(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        deadline_ns = time.monotonic_ns() + 20 * MS
        reader.arm(slot, 0, deadline_ns=deadline_ns)

        assert wait(reader) == {slot: R.DEADLINE}
        assert time.monotonic_ns() >= deadline_ns
        assert wait(reader, SOON_S) == {}

    def test_a_silence_is_counted_from_the_last_read(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, 0, silence_ns=60 * MS)

        for _ in range(4):
            time.sleep(0.02)
            pair.peer.send(b".")
        last_ns = time.monotonic_ns()
        assert wait(reader) == {slot: R.SILENCE}
        if reader.stored(slot)[0] == 4:  # a busy machine may have let a silence pass between two sends
            assert time.monotonic_ns() - last_ns >= 55 * MS
        assert wait(reader, 2 * SOON_S) == {}

    def test_the_earlier_of_deadline_and_silence_comes_first(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, 0, deadline_ns=time.monotonic_ns() + 40 * MS, silence_ns=5 * MS)
        assert wait(reader) == {slot: R.SILENCE}
        assert wait(reader) == {slot: R.DEADLINE}

    def test_many_deadlines_come_in_their_order(self, reader: "Reader") -> None:
        """Each on its slot, whatever the order of the arms, with some moved and some dropped."""
        rng = random.Random(7)
        pairs = [Pair() for _ in range(60)]
        slots = [reader.add(one.own) for one in pairs]
        start_ns = time.monotonic_ns() + 50 * MS
        due = {slot: start_ns + rng.randrange(60) * MS for slot in slots}
        for slot in slots:
            reader.arm(slot, 0, deadline_ns=start_ns + rng.randrange(60) * MS)
        for slot in slots:
            reader.arm(slot, 0, deadline_ns=due[slot])
        for slot in slots[::7]:
            reader.disarm(slot)
            del due[slot]

        order: list[int] = []
        while len(order) < len(due):
            ready = reader.ready()
            now_ns = time.monotonic_ns()
            for slot, why in ready:
                assert why == R.DEADLINE
                assert due[slot] <= now_ns
                order.append(slot)
            assert now_ns < start_ns + FOREVER_S * 1e9
        assert [due[slot] for slot in order] == sorted(due.values())
        for one in pairs:
            one.close()


class TestStamps:
    def test_reads_have_the_kernels_stamp(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.EVERY)
        before_ns = time.time_ns()
        pair.peer.send(b"ab")
        wait(reader)
        taken = reader.take(slot)

        ((t_ns, user_ns, size),) = reads_of(taken)
        assert before_ns <= t_ns <= user_ns <= time.time_ns()
        assert size == 2
        assert taken.unstamped == b""
        assert (taken.ended, taken.ended_ns) == (None, None)

    def test_reads_without_a_stamp_are_named(self, reader: "Reader", pair: Pair) -> None:
        """The option is turned off between the first and the second read."""
        slot = reader.add(pair.own)
        reader.arm(slot, R.FIRST)
        pair.peer.send(b"a")
        wait(reader)
        pair.own.setsockopt(socket.SOL_SOCKET, stamps.SO_TIMESTAMPNS, 0)
        for count in (2, 3):
            pair.peer.send(b"b")
            wait_stored(reader, slot, count)
        taken = reader.take(slot)

        assert list(array("I", taken.unstamped)) == [1, 2]
        assert [t_ns == user_ns for t_ns, user_ns, _ in reads_of(taken)][1:] == [True, True]

    def test_one_read_of_the_kernel_is_one_read(self, reader: "Reader", pair: Pair) -> None:
        """Up to 64 KiB that wait are one read, also when the stream's own buffer is small."""
        size = 60_000
        pair.own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        pair.peer.sendall(b"x" * size)
        time.sleep(SOON_S)
        slot = reader.add(pair.own)
        wait_stored(reader, slot, size)

        assert [length for _, _, length in reads_of(reader.take(slot))] == [size]


class TestEnds:
    def test_an_end_of_file_wakes_after_the_bytes(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, 0)
        pair.peer.send(b"last")
        before_ns = time.time_ns()
        pair.peer.close()

        assert wait(reader) == {slot: R.END}
        taken = reader.take(slot)
        assert (taken.data, taken.ended) == (b"last", 0)
        assert taken.ended_ns is not None
        assert before_ns <= taken.ended_ns <= time.time_ns()
        assert wait(reader, SOON_S) == {}
        assert reader.arm(slot, R.EVERY) is True
        assert wait(reader) == {slot: R.END}

    def test_a_reset_is_an_error(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, 0)
        pair.reset()

        assert wait(reader) == {slot: R.ERROR}
        assert reader.stored(slot) == (0, errno.ECONNRESET)
        assert reader.take(slot).ended == errno.ECONNRESET

    def test_an_ended_slot_costs_no_time(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, 0, silence_ns=MS)
        pair.reset()
        wait(reader)
        cpu_ns = reader.stats()["cpu_ns"]
        time.sleep(0.2)

        assert reader.stats()["cpu_ns"] - cpu_ns < 20 * MS

    def test_an_error_of_one_slot_does_not_touch_the_others(self, reader: "Reader", pair: Pair) -> None:
        """A pipe can be watched but not read as a socket."""
        slot = reader.add(pair.own)
        inlet, outlet = os.pipe()
        wrong = reader.add(inlet)
        reader.arm(slot, R.FIRST)
        reader.arm(wrong, R.FIRST)
        os.write(outlet, b"x")
        assert wait(reader) == {wrong: R.ERROR}
        assert reader.take(wrong).ended == errno.ENOTSOCK
        reader.remove(wrong)
        os.close(inlet)
        os.close(outlet)

        pair.peer.send(b"x")
        assert wait(reader) == {slot: R.FIRST}

    def test_what_cannot_be_watched_is_refused(self, reader: "Reader") -> None:
        with open(os.devnull, "rb") as file, pytest.raises(PermissionError):
            reader.add(file)
        closed = Pair()
        closed.close()
        with pytest.raises(ValueError, match="-1"):
            reader.add(closed.own)


class TestBounds:
    def test_a_full_stream_is_paused_and_loses_nothing(self, pair: Pair) -> None:
        most = 200_000
        sent = random.Random(1).randbytes(2_000_000)
        reader = make(most_stream_bytes=most)
        slot = reader.add(pair.own)
        pair.peer.setblocking(False)
        reader.arm(slot, 0)
        left, got = memoryview(sent), b""
        while len(got) < len(sent):
            with contextlib.suppress(BlockingIOError):
                left = left[pair.peer.send(left) :] if left else left
            for why in wait(reader, 0).values():
                assert why == R.FULL
                held = reader.stored(slot)[0]
                assert held < most + 2 * stamps.RECV_BYTES
                taken = reader.take(slot)
                assert len(taken.data) >= held
                got += taken.data
            if not left:
                got += reader.take(slot).data

        assert got == sent
        assert reader.stats()["pauses"] > 1
        reader.close()

    def test_a_paused_stream_is_not_silent_and_its_reset_costs_no_time(self, pair: Pair) -> None:
        reader = make(most_stream_bytes=1)
        slot = reader.add(pair.own)
        reader.arm(slot, 0, silence_ns=10 * MS)
        pair.peer.send(b"xy")
        assert wait(reader) == {slot: R.FULL}
        pair.reset()
        cpu_ns = reader.stats()["cpu_ns"]
        assert wait(reader, 0.2) == {}
        assert reader.stats()["cpu_ns"] - cpu_ns < 20 * MS
        reader.take(slot)
        assert wait(reader) == {slot: R.ERROR}
        reader.close()

    def test_reading_stops_at_the_limit_of_all_and_goes_on_after_a_take(self) -> None:
        reader = make(most_bytes=100_000)
        pairs = [Pair() for _ in range(3)]
        slots = [reader.add(one.own) for one in pairs]
        for slot in slots[:2]:
            reader.arm(slot, R.TAIL, tail=b"no such tail", silence_ns=30 * MS)
        for one in pairs[:2]:
            one.peer.send(b"x" * 60_000)
        full: dict[int, int] = {}
        while full.keys() != set(slots[:2]):
            full |= wait(reader)
        assert set(full.values()) == {R.FULL}

        pairs[2].peer.send(b"late")
        pairs[2].peer.close()
        time.sleep(2 * SOON_S)
        assert reader.stored(slots[2]) == (0, None)
        assert reader.ready() == [], "nobody reads, so nobody is silent"
        assert reader.arm(slots[0], 0) is True, "still full"
        assert wait(reader) == {slots[0]: R.FULL}

        reader.arm(slots[2], 0)
        assert len(reader.take(slots[0]).data) + reader.stored(slots[1])[0] == 120_000
        assert R.END in wait(reader).values()
        assert reader.take(slots[2]).data == b"late"
        stats = reader.stats()
        assert stats["holds"] >= 1
        assert stats["held_ns"] > 0
        reader.close()
        for one in pairs:
            one.close()

    def test_deadlines_come_while_reading_is_held(self) -> None:
        reader = make(most_bytes=1)
        pair = Pair()
        slot = reader.add(pair.own)
        reader.arm(slot, 0, deadline_ns=time.monotonic_ns() + 40 * MS)
        pair.peer.send(b"xx")

        why = 0
        while not why & R.DEADLINE:
            why |= wait(reader)[slot]
        assert why == R.FULL | R.DEADLINE
        reader.close()
        pair.close()

    def test_the_removal_of_a_slot_frees_its_bytes(self) -> None:
        reader = make(most_bytes=1)
        first, second = Pair(), Pair()
        slot = reader.add(first.own)
        first.peer.send(b"xx")
        wait_stored(reader, slot, 2)
        other = reader.add(second.own)
        second.peer.send(b"y")
        reader.remove(slot)

        wait_stored(reader, other, 1)
        reader.close()
        first.close()
        second.close()


class TestRemoval:
    def test_a_removed_slot_is_refused(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.remove(slot)

        for call in (
            reader.take,
            reader.stored,
            reader.remove,
            reader.disarm,
            lambda slot: reader.arm(slot, R.FIRST),
        ):
            with pytest.raises(ValueError, match="no such slot"):
                call(slot)
        with pytest.raises(ValueError, match="no such slot"):
            reader.take(999)
        with pytest.raises(TypeError):
            reader.take("1")

    def test_a_removed_slot_is_not_in_the_ready_list(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.FIRST)
        pair.peer.send(b"x")
        wait_stored(reader, slot, 1)
        reader.remove(slot)

        assert wait(reader, SOON_S) == {}

    def test_after_a_removal_the_bytes_are_the_callers(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.remove(slot)
        pair.peer.send(b"x")
        pair.own.settimeout(FOREVER_S)

        assert pair.own.recv(1) == b"x"

    def test_a_descriptor_that_is_used_again_gets_a_slot_of_its_own(self, reader: "Reader") -> None:
        """Nothing of the first connection is left: bytes, end, policy, half a tail."""
        seen = set()
        for turn in range(50):
            pair = Pair()
            slot = reader.add(pair.own)
            assert slot not in seen
            seen.add(slot)
            silence_ns = 0 if turn % 2 else 60_000 * MS
            assert reader.arm(slot, R.TAIL, tail=b"\r\n", silence_ns=silence_ns) is False
            pair.peer.send(b"\n")
            wait_stored(reader, slot, 1)
            assert reader.ready() == []
            pair.peer.send(b"%d\r" % turn)
            wait_stored(reader, slot, 2 + len(str(turn)))
            if turn % 3 == 0:
                pair.reset()
            assert reader.take(slot).data == b"\n%d\r" % turn
            reader.remove(slot)
            pair.close()


class TestProcess:
    def test_a_forked_child_is_refused_and_does_no_harm(self, reader: "Reader", pair: Pair) -> None:
        slot = reader.add(pair.own)
        reader.arm(slot, R.FIRST)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: the process has threads
            child = os.fork()
        if child == 0:
            refusals = 0
            for call in (reader.fileno, reader.ready, reader.stats, lambda: reader.take(slot)):
                try:
                    call()
                except RuntimeError as error:
                    refusals += "belongs to the parent process" in str(error)
            reader.close()
            del reader
            os._exit(refusals)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4

        pair.peer.send(b"x")
        assert wait(reader) == {slot: R.FIRST}
        assert reader.take(slot).data == b"x"

    def test_a_closed_reader_is_refused_and_may_be_closed_again(self, pair: Pair) -> None:
        reader = make()
        slot = reader.add(pair.own)
        reader.arm(slot, R.EVERY, deadline_ns=time.monotonic_ns() + 10**12)
        pair.peer.send(b"x")
        reader.close()
        reader.close()

        with pytest.raises(RuntimeError, match="closed"):
            reader.take(slot)
        with pytest.raises(RuntimeError, match="closed"):
            reader.arm(slot, R.EVERY)

    def test_a_reader_that_is_forgotten_ends_its_thread(self) -> None:
        before = len(os.listdir("/proc/self/task"))
        readers = [make() for _ in range(5)]
        assert len(os.listdir("/proc/self/task")) == before + 5
        del readers
        assert len(os.listdir("/proc/self/task")) == before

    @pytest.mark.parametrize("keep", ["kept = reader", "reader.self = None", "del reader", "reader.close()"])
    def test_a_program_ends_cleanly_with_a_living_reader(self, keep: str) -> None:
        program = f"""
import contextlib, os, signal, socket
from streamgauge.transport.native import READER
reader = READER(most_bytes=1 << 20, most_stream_bytes=1 << 20)
own, peer = socket.socketpair()
own.setblocking(False)
reader.arm(reader.add(own), READER.EVERY, silence_ns=1_000_000)
peer.send(b"x")
signal.signal(signal.SIGUSR1, lambda *_: print("signal", flush=True))
os.kill(os.getpid(), signal.SIGUSR1)
with contextlib.suppress(AttributeError):
    {keep}
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

        assert (done.returncode, done.stdout, done.stderr) == (0, "signal\n", "")

    def test_a_process_that_was_stopped_finds_no_silence_where_bytes_wait(self) -> None:
        """More sockets than the thread reads in one batch: it looks at some silences before it has read all sockets."""
        streams = 600
        program = f"""
import select, socket, sys
from streamgauge.transport.native import READER
reader = READER(most_bytes=1 << 20, most_stream_bytes=1 << 20)
sockets = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range({streams})]
slots = {{reader.add(one) for one in sockets}}
for slot in slots:
    reader.arm(slot, READER.EVERY, silence_ns=1_000_000_000)
print("armed", flush=True)
reasons = set()
while slots:
    select.select([reader], [], [])
    for slot, why in reader.ready():
        reasons.add(why)
        slots.discard(slot)
print(reasons)
"""
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=streams))
            command = [sys.executable, "-c", program, str(server.getsockname()[1])]
            child = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert child.stdout is not None
            peers = [stack.enter_context(server.accept()[0]) for _ in range(streams)]
            assert child.stdout.readline() == "armed\n"
            child.send_signal(signal.SIGSTOP)
            time.sleep(1.2)
            for peer in peers:
                peer.send(b"x")
            child.send_signal(signal.SIGCONT)

            assert child.stdout.read() == f"{ {R.EVERY} }\n"

    @pytest.mark.parametrize("realtime", [True, False])
    def test_the_thread_says_what_the_scheduler_gave_it(self, realtime: bool) -> None:
        before = set(os.listdir("/proc/self/task"))
        reader = make(realtime=realtime, nice=-7)
        (task,) = (int(name) for name in set(os.listdir("/proc/self/task")) - before)
        time.sleep(SOON_S)
        stats = reader.stats()

        if stats["realtime"]:
            assert realtime
            assert os.sched_getscheduler(task) == os.SCHED_RR
        else:
            assert stats["nice"] in (-7, None)
            assert stats["slice_ns"] in (200_000, None)
            assert os.getpriority(os.PRIO_PROCESS, task) == (os.nice(0) if stats["nice"] is None else -7)
        assert os.sched_getscheduler(0) == os.SCHED_OTHER, "the program's own class is as before"
        assert os.getpriority(os.PRIO_PROCESS, 0) == os.nice(0)
        reader.close()


class TestBytes:
    @given(st.lists(st.binary(min_size=1, max_size=70_000), min_size=1, max_size=8), st.data())
    def test_what_is_taken_is_what_was_sent(self, pieces: list[bytes], data: st.DataObject) -> None:
        """Whatever the pieces, the policies and the moments of the takes."""
        reader, pair = make(most_stream_bytes=data.draw(st.sampled_from([1, 1000, 1 << 26]))), Pair()
        try:
            slot = reader.add(pair.own)
            got = b""
            for sent, piece in enumerate(pieces, start=1):
                wake = data.draw(st.sampled_from([0, R.FIRST, R.EVERY, R.FIRST | R.EVERY]))
                reader.arm(slot, wake, silence_ns=data.draw(st.sampled_from([0, MS])))
                pair.peer.sendall(piece)
                if data.draw(st.booleans()) or sent == len(pieces):
                    got += read_until(reader, slot, sum(map(len, pieces[:sent])) - len(got))
            assert got == b"".join(pieces)
        finally:
            reader.close()
            pair.close()

    def test_a_thousand_connections_in_random_order(self, reader: "Reader") -> None:
        """Each ends by a close or a reset. All bytes of the orderly ones arrive, in reads whose sizes add up."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2_500:
            pytest.skip("needs 2,000 descriptors: ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_500), hard))
        rng = random.Random(3)
        expected: dict[int, bytes] = {}
        waiting: list[tuple[int, Pair, bytes]] = []
        pairs = []
        for _ in range(1_000):
            own, peer = socket.socketpair()
            own.setblocking(False)
            pairs.append((own, peer))
        for own, peer in pairs:
            slot = reader.add(own)
            expected[slot] = rng.randbytes(rng.randrange(1, 3_000))
            reader.arm(slot, 0)
            rest = expected[slot]
            while rest:
                cut = rng.randrange(1, len(rest) + 1)
                waiting.append((slot, peer, rest[:cut]))
                rest = rest[cut:]
            waiting.append((slot, peer, b""))
        order = list(range(len(waiting)))
        rng.shuffle(order)
        # The slots in random order, the pieces of each in their own.
        turns: dict[int, list[tuple[int, socket.socket, bytes]]] = {}
        for item in reversed(waiting):
            turns.setdefault(item[0], []).append(item)
        for index in order:
            _, peer, piece = turns[waiting[index][0]].pop()
            peer.send(piece) if piece else peer.close()

        got: dict[int, bytes] = {}
        while len(got) < len(expected):
            for slot, why in wait(reader).items():
                assert why == R.END
                taken = reader.take(slot)
                assert sum(array("I", taken.sizes)) == len(taken.data)
                got[slot] = taken.data
        assert got == expected
        assert reader.stats()["bytes"] == sum(map(len, expected.values()))
        for own, _ in pairs:
            own.close()
