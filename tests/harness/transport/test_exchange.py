"""One exchange over a fake connection: what is parsed when, how it ends, and whether the connection is kept."""

import ssl
import time

import pytest

from streamgauge.transport.blocking import Blocking
from streamgauge.transport.connection import Arrived, Close
from streamgauge.transport.exchange import MOST_STORED_BYTES, TICK_S, Exchange, Limits, Wants
from streamgauge.transport.memory import SHARE_BYTES, MemoryBudget
from streamgauge.units import MIB
from streamgauge.wire import Arrivals, End, Excess
from tests.builders.exchanges import NOTHING, Held, Stage, reads_now, reads_of
from tests.builders.tapes import START_NS, chunk, head

CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"
WHOLE = [CHUNKED, chunk(b"data: a\n\n"), chunk(b"data: b\n\n"), LAST]
BEGUN = WHOLE[:2]


def body(stage: Stage) -> bytes:
    return b"".join(data for _, data in stage.capture.body)


def give(exchange: Exchange, *pieces: bytes) -> None:
    for data, read in reads_of(pieces):
        exchange.take(data, read)


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


# Parsing that is put off


def test_a_driver_that_defers_lets_reads_wait_until_one_may_end_the_response() -> None:
    stage = Stage()
    give(stage.exchange, CHUNKED + chunk(b"a"), chunk(b"b"))
    assert (stage.capture.reads, stage.exchange.satisfied) == ([], False)
    give(stage.exchange, LAST)
    assert (stage.capture.end, stage.exchange.satisfied) == (End.COMPLETE, True)
    assert stage.exchange.whole is not None
    assert stage.exchange.whole.response.pieces == [b"a", b"b"]


@pytest.mark.parametrize("why", ["the driver does not defer", "the wire is kept", "the user waits for a read"])
def test_else_each_read_is_parsed_at_once(why: str) -> None:
    stage = Stage(defers=why != "the driver does not defer", wire=why == "the wire is kept")
    if why == "the user waits for a read":
        stage.exchange.read_until(Wants.READ)
    give(stage.exchange, CHUNKED + chunk(b"a"))
    assert body(stage) == b"a"
    assert stage.exchange.tail == b""


def test_a_response_that_is_not_chunked_is_parsed_read_by_read() -> None:
    """Any read may end it."""
    stage = Stage()
    give(stage.exchange, head("Content-Length: 4"), b"ab")
    assert body(stage) == b"ab"
    give(stage.exchange, b"cd")
    assert stage.capture.end is End.COMPLETE


def test_the_driver_gets_the_tail_of_a_read_that_may_end_a_chunked_body() -> None:
    stage = Stage()
    assert stage.exchange.tail == b""
    give(stage.exchange, CHUNKED + chunk(b"a"))
    assert stage.exchange.tail == b"\r\n\r\n"


def test_reads_above_the_bound_are_parsed() -> None:
    stage = Stage()
    give(stage.exchange, CHUNKED + chunk(b"a"), chunk(b"x" * MOST_STORED_BYTES))
    assert len(body(stage)) == MOST_STORED_BYTES + 1


def test_many_small_reads_are_above_the_bound_too() -> None:
    """Each read takes memory beside its bytes."""
    stage = Stage()
    give(stage.exchange, CHUNKED + chunk(b"a"))
    arrivals = Arrivals.of(reads_of([chunk(b"b" * 60)] * (MOST_STORED_BYTES // 90)))
    stage.exchange.take_packed(arrivals)
    assert len(body(stage)) == 1 + MOST_STORED_BYTES // 90 * 60


def test_packed_reads_wait_and_are_parsed_in_their_order() -> None:
    stage = Stage()
    for pieces in ([CHUNKED, chunk(b"a")], [chunk(b"b"), chunk(b"c")]):
        stage.exchange.take_packed(Arrivals.of(reads_of(pieces)))
    assert stage.capture.reads == []
    stage.exchange.take_packed(Arrivals.of(reads_of([chunk(b"d"), LAST])))
    assert stage.exchange.whole is not None
    assert stage.exchange.whole.response.pieces == [b"a", b"b", b"c", b"d"]


def test_packed_reads_behind_single_ones_keep_their_order() -> None:
    stage = Stage()
    give(stage.exchange, CHUNKED + chunk(b"a"), chunk(b"b"))
    stage.exchange.take_packed(Arrivals.of(reads_of([chunk(b"c"), chunk(b"d")])))
    assert body(stage) == b"abcd"


def test_after_a_second_of_silence_the_reads_are_parsed() -> None:
    """The end may share a read with bytes behind it; then the read does not end as a body ends."""
    stage = Stage()
    for data, read in reads_now(*BEGUN, LAST + b"more"):
        stage.exchange.take(data, read)
    assert stage.exchange.check_time() == TICK_S  # new reads have come since the last look
    assert stage.capture.end is None
    stage.exchange.check_time()
    assert (stage.capture.end, stage.exchange.satisfied, stage.kept) == (End.COMPLETE, True, False)


def test_the_clock_is_looked_at_every_second_even_before_the_first_read() -> None:
    """The driver does not ask again when a read is put off."""
    assert Stage(limits=Limits(silence_s=60.0)).exchange.check_time() == TICK_S
    assert Stage().exchange.check_time() == TICK_S
    assert Stage(defers=False).exchange.check_time() is None


# Limits of time


def test_silence_ends_it() -> None:
    stage = Stage(limits=Limits(silence_s=0.0))
    stage.exchange.check_time()
    assert (stage.capture.end, stage.capture.detail) == (End.TIMEOUT, "no answer came for 0.0 s")
    assert stage.connection.closed is Close.FIN


def test_silence_is_counted_from_the_last_read() -> None:
    stage = Stage(limits=Limits(silence_s=60.0), defers=False)
    (data, read), (more, _) = reads_now(CHUNKED + chunk(b"a"), chunk(b"b"))
    stage.exchange.take(data, read._replace(user_ns=time.time_ns() - 59_000_000_000))
    left_s = stage.exchange.check_time()
    assert left_s is not None
    assert 0 < left_s <= 1.0
    stage.exchange.take(more, read._replace(user_ns=time.time_ns() - 61_000_000_000))
    stage.exchange.check_time()
    assert (stage.capture.end, stage.capture.detail) == (End.TIMEOUT, "no byte came for 60.0 s")


def test_at_the_deadline_what_has_come_is_kept() -> None:
    stage = Stage(limits=Limits(deadline_s=time.monotonic()))
    give(stage.exchange, *BEGUN)
    stage.exchange.check_time()
    assert (stage.capture.end, body(stage)) == (End.TIMEOUT, b"data: a\n\n")
    assert stage.capture.detail == "the stream was still running at the deadline"


def test_the_client_leaves_at_its_time_and_in_its_way() -> None:
    stage = Stage(limits=Limits(leave=(time.monotonic(), Close.RST), deadline_s=time.monotonic() + 9))
    give(stage.exchange, *BEGUN)
    stage.exchange.check_time()
    assert (stage.capture.end, body(stage), stage.connection.closed) == (End.CANCELLED, b"data: a\n\n", Close.RST)


def test_a_response_that_had_ended_when_the_client_left_is_complete() -> None:
    """Its end lay in a read whose parsing was put off."""
    stage = Stage()
    give(stage.exchange, *BEGUN, LAST + b"more")
    stage.exchange.leave(Close.RST)
    capture = stage.capture
    assert (capture.end, capture.detail, capture.end_ns) == (End.COMPLETE, None, capture.reads[-1].t_ns)


# The peer's end


def test_the_end_of_a_body_without_a_length_is_the_peer_s() -> None:
    stage = Stage()
    give(stage.exchange, head("Content-Type: text/event-stream"), b"data: a\n\n")
    stage.exchange.closed(START_NS + 7)
    assert (stage.capture.end, stage.capture.end_ns, stage.kept) == (End.COMPLETE, START_NS + 7, False)


def test_a_body_that_stops_halfway_is_closed() -> None:
    stage = Stage()
    give(stage.exchange, *BEGUN)
    stage.exchange.take(b"", reads_of([b""], START_NS + 9)[0][1])
    assert (stage.capture.end, stage.capture.end_ns, body(stage)) == (End.CLOSED, START_NS + 9, b"data: a\n\n")


def test_the_end_of_the_peer_behind_the_last_chunk_changes_nothing() -> None:
    stage = Stage()
    stage.exchange.arrived(Arrived(Arrivals.of(reads_of(WHOLE)), START_NS + 10**9))
    assert stage.exchange.whole is not None
    assert (stage.capture.end, stage.capture.end_ns) == (End.COMPLETE, reads_of(WHOLE)[-1][1].t_ns)


@pytest.mark.parametrize(
    ("error", "end", "detail"),
    [
        (ConnectionResetError(), End.RESET, "the connection was reset by the peer"),
        (BrokenPipeError(), End.RESET, "the connection was reset by the peer"),
        (OSError(113, "No route to host"), End.RESET, "the connection broke: No route to host"),
        (tls_error("BAD_RECORD"), End.MALFORMED, "TLS failed while reading: BAD_RECORD"),
    ],
)
def test_an_error_ends_it_behind_the_bytes_that_came_before(error: OSError, end: End, detail: str) -> None:
    stage = Stage()
    stage.exchange.arrived(Arrived(Arrivals.of(reads_of(BEGUN)), START_NS + 5, error))
    assert (stage.capture.end, stage.capture.detail, body(stage)) == (end, detail, b"data: a\n\n")
    assert (stage.capture.end_ns, stage.connection.closed) == (START_NS + 5, Close.FIN)


def test_an_error_of_tls_keeps_the_plaintext_before_it() -> None:
    begun = reads_of(BEGUN)
    garbage = (b"garbage", begun[-1][1]._replace(size=7))
    stage = Stage()
    stage.connection.decrypts(Arrivals.of(begun), tls_error("BAD_RECORD"))
    stage.exchange.arrived(Arrived(Arrivals.of([*begun, garbage])))
    assert (stage.capture.end, body(stage)) == (End.MALFORMED, b"data: a\n\n")


def test_under_tls_the_driver_sees_no_tail() -> None:
    stage = Stage()
    stage.connection.decrypts(NOTHING, None)
    give(stage.exchange, CHUNKED + chunk(b"a"))
    assert (stage.capture.reads, stage.exchange.tail) == ([], b"")


def test_an_error_behind_the_end_changes_nothing() -> None:
    stage = Stage()
    stage.exchange.arrived(Arrived(Arrivals.of(reads_of(WHOLE)), START_NS + 10**9, ConnectionResetError()))
    assert stage.capture.end is End.COMPLETE


def test_a_response_that_is_not_http_ended_when_its_read_was_there() -> None:
    """However late it is parsed."""
    stage = Stage()
    give(stage.exchange, *BEGUN, b"no size\r\n", b"more")
    stage.exchange.parse_now()
    capture = stage.capture
    assert (capture.end, capture.end_ns, len(capture.reads)) == (End.MALFORMED, capture.reads[-1].user_ns, 3)


# The next request


def test_a_complete_response_leaves_its_connection_to_the_next_request() -> None:
    stage = Stage()
    give(stage.exchange, *WHOLE)
    assert (stage.kept, stage.connection.closed) == (True, None)


@pytest.mark.parametrize("behind", [b"x", LAST, head("Content-Length: 1") + b"a"])
@pytest.mark.parametrize("same_read", [True, False])
def test_bytes_behind_the_end_close_the_connection(behind: bytes, same_read: bool) -> None:
    stage = Stage()
    pieces = [*WHOLE[:-1], LAST + behind] if same_read else [*WHOLE, behind]
    stage.exchange.take_packed(Arrivals.of(reads_of(pieces)))
    stage.exchange.parse_now()
    assert (stage.capture.end, body(stage), stage.kept) == (End.COMPLETE, b"data: a\n\ndata: b\n\n", False)
    assert len(stage.capture.reads) == len(WHOLE)
    assert stage.connection.closed is Close.FIN


@pytest.mark.parametrize("defers", [True, False])
def test_a_server_that_does_not_keep_connections_gets_a_new_one(defers: bool) -> None:
    stage = Stage(defers=defers)
    opening = head("Transfer-Encoding: chunked", "Connection: close")
    give(stage.exchange, opening + chunk(b"a"), LAST)
    assert (stage.capture.end, stage.kept, stage.connection.closed) == (End.COMPLETE, False, Close.FIN)


# The user


def test_an_interruption_takes_what_a_registration_still_has() -> None:
    stage = Stage()
    give(stage.exchange, CHUNKED + chunk(b"a"))
    stage.connection.registration = Held(Arrived(Arrivals.of(reads_of([chunk(b"b")]))))
    stage.exchange.interrupt()
    assert (stage.capture.end, body(stage)) == (End.INTERRUPTED, b"ab")


def test_an_interruption_that_finds_the_end_leaves_a_complete_response() -> None:
    stage = Stage()
    stage.connection.registration = Held(Arrived(Arrivals.of(reads_of(WHOLE))))
    stage.exchange.interrupt()
    assert (stage.capture.end, stage.kept) == (End.COMPLETE, True)
    assert stage.exchange.whole is not None


def test_an_interruption_after_the_end_changes_nothing() -> None:
    stage = Stage()
    stage.exchange.leave(Close.FIN)
    left = stage.capture.end, stage.capture.detail, stage.capture.end_ns
    stage.connection.registration = Held(Arrived(NOTHING))
    stage.exchange.interrupt()
    stage.exchange.close()
    assert (stage.capture.end, stage.capture.detail, stage.capture.end_ns) == left
    assert left[0] is End.CANCELLED


def test_one_more_read_is_enough_for_a_user_who_waits_for_a_read() -> None:
    def script(exchange: Exchange) -> None:
        give(exchange, next(pieces))
        assert exchange.satisfied

    pieces = iter(WHOLE)
    stage = Stage(script)
    more = [stage.exchange.read_until(Wants.READ) for _ in WHOLE]
    assert more == [True, True, True, False]
    assert stage.exchange.read_until(Wants.READ) is False


def test_half_a_close_leaves_the_response_open() -> None:
    stage = Stage()
    stage.exchange.half_close()
    assert (stage.connection.half_closed, stage.exchange.satisfied) == (True, False)


# The blocking driver


def test_the_blocking_driver_waits_as_long_as_the_limits_allow() -> None:
    blocking = Blocking()
    stage = Stage(blocking.drive, defers=False, incoming=reads_now(*WHOLE), limits=Limits(silence_s=60.0))
    stage.exchange.read_until(Wants.END)
    assert stage.capture.end is End.COMPLETE
    waits = stage.connection.timeouts
    assert len(waits) == len(WHOLE)
    assert all(wait_s is not None and 50 < wait_s <= 60 for wait_s in waits)


def test_the_blocking_driver_passes_an_error_on() -> None:
    stage = Stage(Blocking().drive, defers=False, incoming=[*reads_now(*BEGUN), ConnectionResetError()])
    stage.exchange.read_until(Wants.END)
    assert (stage.capture.end, body(stage)) == (End.RESET, b"data: a\n\n")


def test_the_blocking_driver_looks_at_the_clock_after_a_wait_in_vain() -> None:
    limits = Limits(deadline_s=time.monotonic() + 0.005)

    def late(exchange: Exchange) -> None:
        Blocking().drive(exchange)

    stage = Stage(late, defers=False, incoming=[TimeoutError()] * 10**6, limits=limits)
    stage.exchange.read_until(Wants.END)
    assert stage.capture.end is End.TIMEOUT


def test_a_response_that_takes_more_than_the_memory_of_its_process_ends_as_a_limit_of_this_client() -> None:
    stage = Stage(defers=False)
    stage.exchange.capture.memory = MemoryBudget(MIB).claim(kept=False)
    give(stage.exchange, CHUNKED)

    given = 0
    while not stage.exchange.satisfied:
        give(stage.exchange, chunk(b"x" * 65_536))
        given += 65_536
        assert given < SHARE_BYTES + 2 * MIB

    assert stage.exchange.capture.end is End.NO_ROOM
    assert "all long answers together take more than 1.0 MiB" in (stage.exchange.capture.detail or "")
    assert stage.connection.closed is not None


def test_content_beyond_a_limit_ends_the_response() -> None:
    stage = Stage(defers=False)
    give(stage.exchange, CHUNKED + chunk(b"a"))

    stage.exchange.refuse(Excess(End.TOO_LARGE, "the stream has too many events"))

    assert (stage.exchange.capture.end, stage.exchange.capture.detail) == (
        End.TOO_LARGE,
        "the stream has too many events",
    )
