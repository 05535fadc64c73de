"""Many streams on one HTTP/2 connection, without a socket: each stream gets its own bytes, ends by itself, and nothing
that happens to one stream touches another.
"""

from collections.abc import Sequence

import h2.events
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.transport.blocking import Blocking
from streamgauge.transport.connection import Close
from streamgauge.transport.exchange import Limits
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2_parser import MAX_ASIDE_BYTES
from streamgauge.transport.http2_session import MAX_FRAME_BYTES, WINDOW_BYTES
from streamgauge.transport.http2_shared import FIRST_STREAMS, Cut, SharedExchange, SharedSession
from streamgauge.wire import Capture, End, Read
from tests.builders.tapes import cut
from tests.harness.transport.http2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING_FRAME,
    PONG,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    SETTINGS_FRAME,
    SSE,
    WINDOW_UPDATE,
    Peer,
    block,
    data,
    frame,
    goaway,
    head,
    reset,
)

EVENT = b'data: {"a": 1}\n\n'
GREETING = SETTINGS_FRAME + SETTINGS_ACK


class Slow(SharedSession):
    """Every read goes through h2."""

    def _cut_plain(self, data: bytes) -> Cut | None:  # noqa: ARG002
        return None

    def _special(self, frames: list[tuple[int, bytes]]) -> set[int]:
        return {stream for stream, _ in frames}


class Wire:
    """A connection that keeps what is sent, and gives each stream the parts of each read, as a line does."""

    registration = None

    def __init__(self, shared: SharedSession | None = None) -> None:
        self.shared = shared or SharedSession()
        self.sent = b""
        self.exchanges: dict[int, SharedExchange] = {}
        self.captures: dict[int, Capture] = {}
        self._reads = 0

    def open(self, body: bytes = b"", *, method: str = "POST", keep: bool = False) -> Capture:
        capture = Capture(0, method=method, sent_ns=0, wire=[] if keep else None)
        state = ExchangeState(capture)
        parser = self.shared.open(state, REQUEST, body)
        exchange = SharedExchange(self, state, parser, Blocking(), Limits())
        self.exchanges[parser.stream] = exchange
        self.captures[parser.stream] = capture
        self.sent += parser.outgoing()
        return capture

    def feed(self, *reads: bytes) -> None:
        for piece in reads:
            self._reads += 1
            read = Read(self._reads, self._reads, len(piece))
            plain, parts = self.shared.cut(piece)
            awaited = [
                exchange
                for frame in plain
                if (exchange := self.exchanges[frame.stream]).capture.end is None and exchange.put_off(frame, read)
            ]
            for exchange in awaited:
                exchange.parse_now()
            for part in parts:
                if (exchange := self.exchanges[part.stream]).capture.end is None:
                    exchange.take_part(part, read)
            for stream in [*self.shared.ended, *self.shared.sending]:
                if self.captures[stream].end is None:
                    self.exchanges[stream].go_on()
            self.shared.ended, self.shared.sending = [], []
        for exchange in self.exchanges.values():
            if exchange.capture.end is None:
                exchange.parse_now()  # the tests look at the captures
        self.sent += self.shared.outgoing()

    def eof(self) -> None:
        for exchange in self.exchanges.values():
            if exchange.capture.end is None:
                exchange.closed(0)

    # As a Carrier.

    def send(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, seconds: float | None) -> None:
        pass

    def half_close(self) -> None:
        pass

    def close(self, how: Close = Close.FIN) -> None:  # noqa: ARG002
        self.sent += self.shared.outgoing()


def opened(count: int, shared: SharedSession | None = None) -> Wire:
    """Streams 1, 3, 5, … whose heads have come."""
    wire = Wire(shared)
    for _ in range(count):
        wire.open()
    wire.feed(GREETING, *[head(stream=2 * number + 1) for number in range(count)])
    return wire


def body(capture: Capture) -> bytes:
    return b"".join(piece for _, piece in capture.body)


def end(stream: int) -> bytes:
    return data(b"", flags=END_STREAM, stream=stream)


def test_each_stream_gets_its_own_frames_with_the_time_of_their_read_and_their_own_size() -> None:
    wire = opened(3)
    before = wire._reads
    wire.feed(
        data(b"a", stream=1) + data(b"bb", stream=3),
        data(b"c", stream=3) + data(b"d", stream=3) + data(b"e", stream=5),
        end(1) + data(b"f", stream=5),
    )
    first, second, third = wire.captures.values()
    assert (body(first), body(second), body(third)) == (b"a", b"bbcd", b"ef")
    assert [(read.t_ns - before, read.size) for read in first.reads[1:]] == [(1, 10), (3, 9)]
    assert [(read.t_ns - before, read.size) for read in second.reads[1:]] == [(1, 11), (2, 20)]
    assert [read for read, _ in second.body] == [1, 2, 2]
    assert (first.end, second.end, third.end) == (End.COMPLETE, None, None)
    assert first.end_ns == before + 3


def test_a_read_says_when_bytes_of_other_streams_came_behind_its_own() -> None:
    wire = opened(3)
    wire.feed(data(b"a", stream=1) + data(b"b", stream=3), data(b"c", stream=1), data(b"d", stream=5) + PING_FRAME)
    first, second, third = wire.captures.values()
    assert (first.crowded, second.crowded, third.crowded) == ([1], [], [1])


def test_a_frame_belongs_to_the_read_that_completed_it() -> None:
    wire = opened(2)
    cut_frame = data(b"in two reads", stream=3)
    wire.feed(data(b"a", stream=1) + cut_frame[:13], cut_frame[13:])
    first, second = wire.captures.values()
    assert (first.crowded, len(first.reads), len(second.reads)) == ([1], 2, 2)
    assert second.reads[1].size == len(cut_frame)


def test_resetting_one_stream_leaves_the_others_undisturbed() -> None:
    wire = opened(3)
    wire.feed(data(b"a", stream=1) + data(b"b", stream=3), reset(8, 3) + data(b"c", stream=5))
    first, second, third = wire.captures.values()
    assert (second.end, second.detail) == (End.RESET, "the stream was reset by the server: CANCEL (RST_STREAM)")
    wire.feed(data(b"x", stream=1) + end(1) + end(5))
    assert (first.end, body(first)) == (third.end, b"ax") == (End.COMPLETE, b"ax")
    assert wire.shared.has_room


def test_a_stream_that_is_left_in_whatever_way_is_reset_and_its_late_bytes_touch_nobody() -> None:
    peer = Peer()
    wire = Wire()
    first, second = wire.open(), wire.open()
    peer.hear(wire.sent)
    wire.feed(peer.say(), head(stream=1), head(stream=3), data(EVENT, stream=1))
    wire.sent = b""
    wire.exchanges[1].leave(Close.FIN)
    assert (first.end, first.detail) == (End.CANCELLED, "closed by the harness (RST_STREAM)")
    resets = [event for event in peer.hear(wire.sent) if isinstance(event, h2.events.StreamReset)]
    assert [(event.stream_id, event.error_code) for event in resets] == [(1, 8)]
    wire.feed(data(EVENT, stream=1) * 3 + data(EVENT, stream=3), end(3))
    assert (second.end, body(second), first.end) == (End.COMPLETE, EVENT, End.CANCELLED)
    assert wire.shared.streams == 0


def test_a_goaway_ends_the_streams_that_were_not_taken_and_the_others_go_on() -> None:
    wire = opened(3)
    wire.feed(data(b"a", stream=3) + goaway(last=3) + data(b"b", stream=1))
    first, second, third = wire.captures.values()
    assert (first.end, second.end, third.end) == (None, None, End.CLOSED)
    assert third.detail == "the server ended the connection before it took this request: NO_ERROR (GOAWAY)"
    assert (wire.shared.leaving, wire.shared.has_room) == (True, False)
    wire.feed(data(b"c", stream=1) + end(1), end(3))
    assert (first.end, body(first), second.end, body(second)) == (End.COMPLETE, b"bc", End.COMPLETE, b"a")


def test_a_goaway_with_an_error_ends_all_streams_after_what_came_before_it() -> None:
    wire = opened(2)
    wire.feed(data(b"a", stream=1) + goaway(11, last=1))
    first, second = wire.captures.values()
    assert (first.end, body(first)) == (End.CLOSED, b"a")
    assert first.detail == "the server ended the connection: ENHANCE_YOUR_CALM (GOAWAY)"
    assert second.detail == "the server ended the connection before it took this request: ENHANCE_YOUR_CALM (GOAWAY)"


def test_a_peer_that_breaks_the_protocol_ends_all_streams_after_what_came_before() -> None:
    for wrong in (
        data(b"", stream=0),
        data(bytes(MAX_FRAME_BYTES + 1), stream=1),
        frame(HEADERS, b"\xff\xff", flags=END_HEADERS, stream=1),
    ):
        wire = opened(2)
        wire.feed(data(b"a", stream=3) + wrong)
        first, second = wire.captures.values()
        assert (first.end, second.end, body(second)) == (End.MALFORMED, End.MALFORMED, b"a"), wrong[:9]
        assert "not valid HTTP/2" in (second.detail or "")
        assert wire.shared.failed


def test_an_answer_that_is_no_http_ends_all_streams_with_a_hint() -> None:
    wire = Wire()
    captures = [wire.open(), wire.open()]
    wire.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert [capture.end for capture in captures] == [End.MALFORMED] * 2
    assert all("does the endpoint speak HTTP/2" in (capture.detail or "") for capture in captures)


def test_a_bad_head_ends_its_own_stream_only() -> None:
    wire = Wire()
    bad, good = wire.open(), wire.open()
    wire.feed(GREETING + head((":status", "999")) + head(stream=3), data(b"a", stream=3) + end(3))
    assert (bad.end, good.end, body(good)) == (End.MALFORMED, End.COMPLETE, b"a")


def test_a_closed_connection_ends_all_its_streams() -> None:
    wire = opened(2)
    wire.feed(end(1))
    wire.eof()
    first, second = wire.captures.values()
    assert (first.end, second.end) == (End.COMPLETE, End.CLOSED)


def test_there_is_room_up_to_the_limit_of_the_peer_and_for_a_hundred_before_it_is_known() -> None:
    wire = Wire()
    for _ in range(FIRST_STREAMS):
        assert wire.shared.has_room
        wire.open()
    assert not wire.shared.has_room
    wire.feed(frame(SETTINGS, (3).to_bytes(2) + (FIRST_STREAMS + 1).to_bytes(4), stream=0))
    assert wire.shared.has_room
    wire.open()
    assert not wire.shared.has_room
    wire.feed(head(stream=1) + end(1))
    assert wire.shared.has_room


def test_a_ping_is_answered_and_settings_are_acknowledged() -> None:
    wire = opened(1)
    wire.sent = b""
    wire.feed(PING_FRAME + SETTINGS_FRAME)
    assert PONG in wire.sent
    assert SETTINGS_ACK in wire.sent


def test_a_peer_that_sends_frames_without_a_stream_for_ever_is_given_up() -> None:
    wire = opened(1)
    wire.feed(*[PING_FRAME * 1_000 for _ in range(MAX_ASIDE_BYTES // len(PING_FRAME * 1_000) + 1)])
    assert wire.captures[1].end is End.TOO_LARGE


def test_request_bodies_share_the_connections_window_and_go_on_when_it_opens() -> None:
    peer = Peer()
    wire = Wire()
    content = bytes(range(256)) * 200  # 51,200 bytes: the first window of a connection has 65,535
    captures = [wire.open(content), wire.open(content)]
    got: dict[int, bytes] = {1: b"", 3: b""}
    for _ in range(10):
        for event in peer.hear(wire.sent):
            if isinstance(event, h2.events.DataReceived):
                got[event.stream_id] += event.data or b""
                peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        wire.sent = b""
        wire.feed(peer.say())
    assert got == {1: content, 3: content}
    assert [exchange.sending for exchange in wire.exchanges.values()] == [False, False]
    assert [capture.end for capture in captures] == [None, None]


def test_the_windows_of_the_streams_and_of_the_connection_stay_open() -> None:
    """A peer that keeps the rules sends three times the connection's window over two streams."""
    peer = Peer()
    wire = Wire()
    wire.open()
    wire.open()
    peer.hear(wire.sent)
    for stream in (1, 3):
        peer.h2.send_headers(stream, SSE)
    wire.feed(peer.say())
    sent = 0
    while sent < 3 * WINDOW_BYTES:
        for stream in (1, 3):
            for _ in range(16):
                assert peer.h2.local_flow_control_window(stream) >= MAX_FRAME_BYTES
                peer.h2.send_data(stream, bytes(MAX_FRAME_BYTES))
                sent += MAX_FRAME_BYTES
        wire.sent = b""
        wire.feed(peer.say())
        peer.hear(wire.sent)
        for capture in wire.captures.values():
            capture.body.clear()
        for exchange in wire.exchanges.values():
            exchange._shared_parser._body_bytes = 0  # the limit of a body is not looked at here
    assert all(capture.end is None for capture in wire.captures.values())


FRAMES = st.sampled_from(
    [data(EVENT, stream=stream) for stream in (1, 3, 5)] * 12
    + [
        data(b"a", stream=1) + data(b"b", stream=3),
        data(b"", stream=1),
        end(1),
        end(3),
        data(b"z", flags=END_STREAM, stream=5),
        frame(DATA, b"\x02ab\0\0", flags=8, stream=3),
        frame(DATA, b"r", stream=0x80000001),
        data(b"x", flags=0x40, stream=3),
        data(bytes(MAX_FRAME_BYTES + 1), stream=1),
        data(b"nobody", stream=7),
        frame(RST_STREAM, bytes(4), stream=3),
        reset(8, 1),
        PING_FRAME,
        SETTINGS_FRAME,
        frame(WINDOW_UPDATE, (1).to_bytes(4), stream=3),
        frame(0xBE, b"?", stream=1),
        head(stream=3),
        frame(HEADERS, block(("x", "y")), flags=END_HEADERS | END_STREAM, stream=5),
        frame(HEADERS, block(("x", "y")), flags=END_STREAM, stream=1),
        goaway(last=3),
        goaway(1, last=5),
        data(EVENT)[:5],
    ]
)
READS = st.lists(st.lists(FRAMES, min_size=1, max_size=5).map(b"".join), max_size=8)


@given(
    READS, st.lists(st.integers(0, 300), max_size=4), st.sampled_from([(), (("content-length", "40"),)]), st.booleans()
)
def test_nothing_can_tell_the_fast_path_from_the_slow_one(
    reads: list[bytes], points: list[int], fields: Sequence[tuple[str, str]], keep: bool
) -> None:
    wires = Wire(Slow()), Wire()
    for wire in wires:
        for _ in range(3):
            wire.open(keep=keep)
        heads = [head(stream=1), head(*SSE, *fields, stream=3), head(stream=5)]
        wire.feed(GREETING + heads[0], *heads[1:], *reads[:4], *cut(b"".join(reads[4:]), points))
        wire.feed(data(b"last", stream=1) + data(b"last", stream=3))
        for stream in list(wire.shared._unsettled):
            wire.shared.settle(stream)
        wire.eof()
    slow, fast = wires
    for stream, capture in slow.captures.items():
        for name in ("reads", "body", "end", "detail", "head", "head_read", "wire", "crowded"):
            assert getattr(fast.captures[stream], name) == getattr(capture, name), (stream, name)
    assert fast.shared.leaving == slow.shared.leaving
    assert fast.shared.outgoing() == slow.shared.outgoing()
    if not slow.shared.failed:
        rooms = [wire.shared.session._h2.inbound_flow_control_window for wire in wires]
        assert rooms[0] == rooms[1]


@given(st.lists(st.lists(FRAMES, min_size=1, max_size=3).map(b"".join), max_size=12), st.integers(1, 120))
def test_a_body_that_exceeds_its_limit_ends_at_the_same_read(reads: list[bytes], limit: int) -> None:
    wires = Wire(Slow()), Wire()
    for wire in wires:
        for _ in range(3):
            wire.open()
        for exchange in wire.exchanges.values():
            exchange._shared_parser._max_body_bytes = limit
        wire.feed(GREETING, *[head(stream=stream) for stream in (1, 3, 5)], *reads)
        wire.eof()
    slow, fast = wires
    for stream, capture in slow.captures.items():
        for name in ("reads", "body", "end", "detail", "crowded"):
            assert getattr(fast.captures[stream], name) == getattr(capture, name), (stream, name)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_no_bytes_break_it_and_every_stream_ends(noise: bytes, points: list[int]) -> None:
    wire = opened(2)
    wire.feed(*cut(noise, points))
    wire.eof()
    assert all(capture.end is not None for capture in wire.captures.values())
