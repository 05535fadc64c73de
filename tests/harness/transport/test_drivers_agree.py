"""The same bytes with the same times give the same record, however a driver hands them over."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.answer import Answer
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.transport.connection import Arrived
from streamgauge.transport.exchange import Exchange, Wants
from streamgauge.wire import Arrivals, End, Read
from tests.builders.arrivals import damaged, in_reads
from tests.builders.exchanges import NOTHING, Held, Stage, in_groups
from tests.builders.mock_streams import BY_NAME, writes
from tests.builders.tapes import MS, START_NS, chunk, head

CHUNKED = "chunked, as the mock sends it"
RESPONSES = {name: writes(name, "tokens=12") for name in sorted(BY_NAME)}
BEHIND = [b"", b"", b"", b"x", b"0\r\n\r\n", head("Content-Length: 1") + b"a", b"\r\n\r\n"]


class Told(NamedTuple):
    """A response as it arrives, and how it ends: the peer's FIN, a reset, or an interruption by the client."""

    reads: list[tuple[bytes, Read]]
    end: str
    at_ns: int


@st.composite
def responses(draw: st.DrawFn) -> Told:
    opening, *chunks = RESPONSES[draw(st.sampled_from(sorted(RESPONSES)))]
    framing = draw(st.sampled_from([CHUNKED, CHUNKED, "close", "length", "close-delimited"]))
    wire = [opening, *chunks]
    if framing == "close":
        wire = [opening.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), *chunks]
    elif framing != CHUNKED:
        bodies = [part.split(b"\r\n", 1)[1][:-2] for part in chunks]
        length = [f"Content-Length: {sum(map(len, bodies))}"] if framing == "length" else []
        wire = [head("Content-Type: text/event-stream", *length), *filter(None, bodies)]
    if draw(st.booleans()):
        wire = [draw(damaged(b"".join(wire)))]
    wire.append(draw(st.sampled_from(BEHIND)))
    pieces = draw(in_reads(wire))
    pieces = pieces[: draw(st.integers(0, len(pieces)) | st.just(len(pieces)))]
    unstamped = draw(st.sets(st.integers(0, max(len(pieces) - 1, 0)), max_size=3))
    knows_empty = draw(st.booleans())
    reads = []
    for number, data in enumerate(pieces):
        user_ns = START_NS + 20 * MS * (number + 1)
        t_ns = user_ns if number in unstamped else user_ns - 5
        reads.append((data, Read(t_ns, user_ns, len(data), number not in unstamped, t_ns - 9 if knows_empty else None)))
    return Told(reads, draw(st.sampled_from(["fin", "reset", "interrupt"])), START_NS + 20 * MS * (len(reads) + 1))


class Ended(NamedTuple):
    """What is left of an exchange. `empty_ns` has, for each read, when its socket was known to be empty."""

    record: StreamRecord
    empty_ns: list[int | None]
    trailing: bytes


def ended(script: Callable[[Exchange], None], *, defers: bool) -> Ended:
    """Drive an exchange by this script to its end."""
    stage = Stage(script, defers=defers)
    stage.exchange.read_until(Wants.END)
    stage.exchange.interrupt()
    answer = Answer(stage.capture, stage.exchange.whole)
    interrupted = stage.capture.end is End.INTERRUPTED
    record = answer.record("id", None, url="http://test/")
    empty_ns = [answer.empty_ns(number) for number in range(len(record.reads.bytes))]
    if interrupted:
        assert record.closed_ns is not None
        record = msgspec.structs.replace(record, closed_ns=None)  # the time at which the test interrupted it
    return Ended(record, empty_ns, stage.capture.trailing)


def one_by_one(told: Told) -> Callable[[Exchange], None]:
    """As the blocking driver and the one with epoll hand reads over."""

    def script(exchange: Exchange) -> None:
        for data, read in told.reads:
            if exchange.satisfied:
                return
            exchange.take(data, read)
        if exchange.satisfied:
            return
        if told.end == "fin":
            exchange.take(b"", Read(told.at_ns, told.at_ns, 0, stamped=False))
        elif told.end == "reset":
            exchange.broke(ConnectionResetError(), told.at_ns)

    return script


def packed(told: Told, groups: set[int], silences: set[int], *, end_with_reads: bool) -> Callable[[Exchange], None]:
    """As the native driver does: in groups, with a tick of silence behind some; an interruption finds the last group
    in the registration.
    """

    def script(exchange: Exchange) -> None:
        parts = list(in_groups(told.reads, groups))
        error = ConnectionResetError() if told.end == "reset" else None
        last: Arrivals | None = parts.pop() if parts and end_with_reads else None
        for number, arrivals in enumerate(parts):
            if exchange.satisfied:
                return
            exchange.arrived(Arrived(arrivals))
            if number in silences:
                exchange.parse_now()
        if exchange.satisfied:
            return
        if told.end == "interrupt":
            exchange.connection.registration = Held(Arrived(last or NOTHING))
        else:
            exchange.arrived(Arrived(last or NOTHING, told.at_ns, error))

    return script


@given(responses(), st.data())
def test_each_driver_gives_the_same_record(told: Told, data: st.DataObject) -> None:
    numbers = st.sets(st.integers(0, len(told.reads)))
    groups, silences = data.draw(numbers), data.draw(numbers)
    as_read = ended(one_by_one(told), defers=False)

    assert ended(one_by_one(told), defers=True) == as_read
    for end_with_reads in (True, False):
        assert ended(packed(told, groups, silences, end_with_reads=end_with_reads), defers=True) == as_read


@given(st.sampled_from(sorted(RESPONSES)), st.data())
def test_a_clean_response_is_ok_in_each_way(name: str, data: st.DataObject) -> None:
    pieces = data.draw(in_reads(RESPONSES[name]))
    reads = [(piece, Read(START_NS + number, START_NS + number, len(piece))) for number, piece in enumerate(pieces)]
    told = Told(reads, "fin", START_NS + len(reads))
    as_read = ended(one_by_one(told), defers=False)

    assert as_read.record.outcome is Outcome.OK
    assert ended(packed(told, set(), set(), end_with_reads=True), defers=True) == as_read


def test_the_chunk_of_a_byte_is_the_same_too() -> None:
    """Reads that the fast path of the body declines, because a chunk spans two of them."""
    wire = head("Transfer-Encoding: chunked") + b"".join(chunk(b"%d" % n) for n in range(30)) + b"0\r\n\r\n"
    reads = [(wire[n : n + 1], Read(START_NS + n, START_NS + n, 1)) for n in range(len(wire))]
    told = Told(reads, "fin", START_NS + len(wire))
    as_read = ended(one_by_one(told), defers=False)

    assert ended(one_by_one(told), defers=True) == as_read
    assert ended(packed(told, set(range(0, len(wire), 7)), {3}, end_with_reads=True), defers=True) == as_read
