"""HTTP/2 without a socket: heads, body pieces and ends, the bytes that are sent back, and the limits for a peer."""

import gc
import weakref
from collections.abc import Sequence

import h2.events
import h2.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2_parser import MAX_ASIDE_BYTES, StreamParser
from streamgauge.transport.http2_session import MAX_FRAME_BYTES, WINDOW_BYTES, Session
from streamgauge.transport.limits import MAX_HEAD_BYTES
from streamgauge.wire import Capture, End, Framing, Read
from tests.builders.tapes import cut
from tests.harness.transport.http2_frames import (
    CONTINUATION,
    DATA,
    END,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    OPENING,
    PADDED,
    PING,
    PING_FRAME,
    PONG,
    PRIORITY,
    PUSH_PROMISE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    SETTINGS_FRAME,
    SSE,
    WINDOW_UPDATE,
    Peer,
    asked,
    block,
    data,
    frame,
    goaway,
    head,
    large_head,
    padded,
    reset,
)

EVENT = b'data: {"a": 1}\n\n'


class Slow(StreamParser):
    """Every read looked at by h2."""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:  # noqa: ARG002
        return False


def feed(parser: StreamParser, reads: Sequence[bytes]) -> Capture:
    """As Exchange does, one read at a time."""
    capture = parser.capture
    for piece in reads:
        if parser.done:
            break
        capture.reads.append(Read(len(capture.reads), 0, len(piece)))
        parser.feed(piece, len(capture.reads) - 1)
    return capture


def parse(*reads: bytes, method: str = "POST") -> Capture:
    parser = asked(method=method)
    feed(parser, reads)
    parser.eof()
    return parser.capture


def body(capture: Capture) -> bytes:
    return b"".join(piece for _, piece in capture.body)


def test_a_response_is_its_head_its_data_frames_and_an_end() -> None:
    capture = parse(SETTINGS_FRAME, SETTINGS_ACK + head(*SSE, ("x-b", "1"), ("x-b", "2")), data(b"a") + data(b"b"), END)
    assert capture.head is not None
    assert (capture.head.status, capture.head.reason, capture.head.http_version) == (200, "", "2")
    assert capture.head.headers == (("content-type", "text/event-stream"), ("x-b", "1"), ("x-b", "2"))
    assert (capture.framing, capture.end, capture.detail) == (Framing.STREAM, End.COMPLETE, None)
    # The read of SETTINGS is not the response's: the head has the first.
    assert (len(capture.reads), capture.first_byte_ns, capture.headers_ns) == (3, 1, 1)
    assert capture.body == [(1, b"a"), (1, b"b")]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_a_head_may_be_the_whole_answer(method: str) -> None:
    capture = parse(SETTINGS_FRAME + head(flags=END_HEADERS | END_STREAM), method=method)
    assert (capture.end, capture.body) == (End.COMPLETE, [])


def test_informational_answers_trailers_and_padding_are_not_the_body() -> None:
    capture = parse(
        SETTINGS_FRAME + head((":status", "103"), ("link", "</a>")) + head() + padded(b"abc", 200),
        frame(HEADERS, block(("x-trailer", "1")), flags=END_HEADERS | END_STREAM),
    )
    assert capture.head is not None
    assert capture.head.get("x-trailer") is None
    assert (capture.head.status, body(capture), capture.end) == (200, b"abc", End.COMPLETE)


def test_a_head_in_continuations_is_one() -> None:
    encoded = block(*SSE)
    parts = [frame(HEADERS, encoded[:3]), frame(CONTINUATION, encoded[3:9])]
    last = frame(CONTINUATION, encoded[9:], flags=END_HEADERS)
    assert parse(SETTINGS_FRAME, *parts, last, data(b"a") + END).end is End.COMPLETE


BROKEN = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", End.MALFORMED, "begins with b'HTTP/1.1 "),
    (PING_FRAME, End.MALFORMED, "does the endpoint speak HTTP/2"),
    (b"\x15\x03\x03\x00\x02\x02\x46" + bytes(9), End.MALFORMED, "does the endpoint speak HTTP/2"),
    (b"", End.CLOSED, "without an answer (does the endpoint speak HTTP/2"),
    (SETTINGS_FRAME, End.CLOSED, "without an answer"),
    (OPENING + data(b"a"), End.CLOSED, "before the end of the stream"),
    (OPENING + data(b"a") + goaway(), End.CLOSED, "before the end of the stream (GOAWAY)"),
    (OPENING + data(b"a") + goaway(11), End.CLOSED, "ENHANCE_YOUR_CALM (GOAWAY)"),
    (SETTINGS_FRAME + goaway(0, last=0), End.CLOSED, "before it took this request: NO_ERROR (GOAWAY)"),
    (OPENING + goaway(99), End.CLOSED, "99 (GOAWAY)"),
    (OPENING + reset(2), End.RESET, "INTERNAL_ERROR (RST_STREAM)"),
    (OPENING + reset(77), End.RESET, "77 (RST_STREAM)"),
    (SETTINGS_FRAME + reset(7), End.RESET, "REFUSED_STREAM (RST_STREAM)"),
    (OPENING + data(bytes(MAX_FRAME_BYTES + 1)), End.MALFORMED, "16,385 bytes"),
    (OPENING + b"\xff\xff\xff", End.CLOSED, "before the end"),
    (OPENING + b"\xff\xff\xff\0\0\0\0\0\x01", End.MALFORMED, "16,777,215 bytes"),
    (OPENING + data(b"a", stream=3), End.MALFORMED, "not valid HTTP/2"),
    (OPENING + data(b"a", stream=0), End.MALFORMED, "not valid HTTP/2"),
    (OPENING + frame(DATA, b"\x05ab", flags=PADDED), End.MALFORMED, "padding"),
    (OPENING + frame(PUSH_PROMISE, (2).to_bytes(4) + block(*SSE), flags=END_HEADERS), End.MALFORMED, "pushed"),
    (OPENING + frame(CONTINUATION, flags=END_HEADERS), End.MALFORMED, "not valid HTTP/2"),
    (OPENING + frame(WINDOW_UPDATE, bytes(4), stream=0), End.MALFORMED, "not valid HTTP/2"),
    (OPENING + frame(PING, b"short", stream=0), End.MALFORMED, "not valid HTTP/2"),
    (OPENING + frame(SETTINGS, b"12345", stream=0), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + head(("content-type", "a")), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + head((":status", "2²0")), End.MALFORMED, "status"),
    (SETTINGS_FRAME + head(*SSE, ("Upper", "a")), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + head(*SSE, ("connection", "close")), End.MALFORMED, "connection"),
    (SETTINGS_FRAME + head(*SSE, ("content-length", "2")) + data(b"abc"), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + frame(HEADERS, b"\xff" * 20, flags=END_HEADERS), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + frame(HEADERS, b"\xff" * 80, flags=END_HEADERS), End.MALFORMED, "representation is too long"),
    (SETTINGS_FRAME + frame(HEADERS, block(*SSE)) + goaway(), End.MALFORMED, "not valid HTTP/2"),
    (SETTINGS_FRAME + frame(HEADERS, b"a") + 70 * frame(CONTINUATION, b"a"), End.MALFORMED, "continuation"),
]


@pytest.mark.parametrize(("wire", "end", "words"), BROKEN)
def test_each_way_of_breaking_off_has_its_name(wire: bytes, end: End, words: str) -> None:
    breaks_off(wire, end, words)


def test_a_head_of_several_frames_has_the_limit_of_one() -> None:
    """Its compression takes half a second, so it is made here and not when tests are collected."""
    breaks_off(SETTINGS_FRAME + large_head(9 * 8_000), End.TOO_LARGE, "65,536 bytes")


def breaks_off(wire: bytes, end: End, words: str) -> None:
    """Asserts how a parser names it, however the wire is cut into reads."""
    for reads in ([wire], cut(wire, range(1, len(wire), 7)), cut(wire, [len(OPENING)])):
        capture = parse(*reads)
        assert capture.end is end
        assert words in (capture.detail or "")
        assert "0x" not in (capture.detail or ""), "an address in this process"
        assert ("speak HTTP/2" in (capture.detail or "")) == (not wire.startswith(SETTINGS_FRAME))


@pytest.mark.parametrize(
    "flood",
    [
        PING_FRAME,
        SETTINGS_FRAME,
        data(b""),
        padded(b"", 255),
        frame(PRIORITY, bytes([0, 0, 0, 0, 1])),
        frame(WINDOW_UPDATE, (1).to_bytes(4), stream=0),
        frame(0xBE, b"unknown"),
    ],
)
def test_frames_that_bring_nothing_are_bounded_and_a_stream_with_some_is_not(flood: bytes) -> None:
    parser = asked()
    sent = 0
    feed(parser, [OPENING])
    while not parser.done:
        feed(parser, [flood * (32_768 // len(flood)), data(EVENT)])
        parser.outgoing()
        sent += 32_768
        assert sent <= 2 * MAX_ASIDE_BYTES
    assert (parser.capture.end, sent > MAX_ASIDE_BYTES // 2) == (End.TOO_LARGE, True)


def test_endless_informational_answers_are_too_large() -> None:
    parser = asked()
    flood = SETTINGS_FRAME
    sent = 0
    while not parser.done:
        feed(parser, [flood])
        sent += len(flood)
        flood = head((":status", "102")) * 500
        assert sent <= 2 * MAX_HEAD_BYTES
    assert parser.capture.end is End.TOO_LARGE


def test_much_padding_is_not_taken_for_frames_that_bring_nothing() -> None:
    parser = asked()
    capture = feed(parser, [OPENING, *[padded(b"a", 255) * 100] * 100, END])
    assert (capture.end, body(capture)) == (End.COMPLETE, b"a" * 10_000)


def test_settings_and_pings_are_answered_and_what_answers_is_not() -> None:
    parser = asked()
    sent = parser.capture.request
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    for told, answer in ((SETTINGS_FRAME, SETTINGS_ACK), (PING_FRAME, PONG), (SETTINGS_ACK, b""), (PONG, b"")):
        parser.feed(told, 0)
        assert parser.outgoing() == answer


def test_the_peer_reads_the_request_and_is_told_of_the_windows() -> None:
    peer = Peer()
    parser = asked(b"the body")
    events = peer.hear(parser.capture.request)
    assert [type(event) for event in events] == [
        h2.events.RemoteSettingsChanged,
        h2.events.WindowUpdated,
        h2.events.RequestReceived,
        h2.events.DataReceived,
        h2.events.StreamEnded,
    ]
    assert peer.h2.remote_settings.enable_push == 0
    assert peer.h2.local_flow_control_window(1) == WINDOW_BYTES


@pytest.mark.parametrize("window", [100, 65_535, 1_000_000])
def test_a_request_larger_than_the_window_waits_for_room(window: int) -> None:
    """The peer opens its windows only as it reads."""
    content = bytes(range(256)) * 1_000
    peer, session = Peer(initial_window_size=window), Session()
    peer.hear(session.outgoing())
    session.absorb(peer.say())
    parser = asked(content, session=session)
    got = b""
    sent = parser.capture.request
    assert parser.unsent
    while sent:
        for event in peer.hear(sent):
            if isinstance(event, h2.events.DataReceived):
                assert event.data is not None
                got += event.data
                peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        parser.feed(peer.say(), 0)
        sent = parser.outgoing()
    assert got == content
    assert not parser.unsent


def test_an_answer_that_comes_before_the_request_was_sent_ends_it_and_the_connection() -> None:
    parser = asked(bytes(200_000))
    feed(parser, [SETTINGS_FRAME + head((":status", "413"), flags=END_HEADERS | END_STREAM)])
    assert (parser.capture.end, parser.unsent, parser.keep_alive) == (End.COMPLETE, True, False)
    assert feed(asked(bytes(200_000)), [SETTINGS_FRAME + reset(7)]).end is End.RESET


def test_room_is_given_back_before_it_is_used_up() -> None:
    """More bytes than the windows hold, over two streams of one connection; h2 as the peer refuses to exceed them."""
    peer, session = Peer(), Session()
    frame_of = bytes(MAX_FRAME_BYTES)
    for stream in (1, 3):
        parser = asked(session=session)
        peer.hear(parser.capture.request)
        peer.h2.send_headers(stream, SSE)
        feed(parser, [peer.say()])
        total = 0
        while total < 0.8 * WINDOW_BYTES:
            for _ in range(4):
                peer.h2.send_data(stream, frame_of)
            total += 4 * MAX_FRAME_BYTES
            said = peer.say()
            if parser.plain(said):
                assert parser.feed_plain([said], 0)
            else:
                parser.feed(said, 0)
            if answer := parser.outgoing():
                peer.hear(answer)
            parser.capture.body.clear()
        peer.h2.end_stream(stream)
        parser.feed(peer.say(), 0)
        assert (parser.capture.end, parser.keep_alive) == (End.COMPLETE, True)
        parser.release()


def test_a_goaway_that_covers_the_stream_lets_it_end_and_the_connection_with_it() -> None:
    parser = asked()
    capture = feed(parser, [OPENING + goaway(last=2**31 - 1), data(b"a"), goaway() + data(b"b") + END])
    assert (capture.end, body(capture), parser.keep_alive) == (End.COMPLETE, b"ab", False)


def test_a_connection_is_kept_after_an_end_and_a_reset() -> None:
    session = Session()
    for tail, stream in ((END, 1), (reset(2, 3), 3), (data(b"", flags=END_STREAM, stream=5), 5)):
        parser = asked(session=session)
        feed(parser, [SETTINGS_FRAME + head(stream=stream) + tail])
        assert parser.keep_alive
    for spoilt in (END + goaway(), END + data(b"", stream=0)):
        parser = asked()
        capture = feed(parser, [OPENING + spoilt])
        assert (capture.end, parser.keep_alive) == (End.COMPLETE, False)


def test_a_server_that_takes_no_stream_is_not_asked_again() -> None:
    parser = asked()
    none = frame(SETTINGS, (3).to_bytes(2) + bytes(4), stream=0)
    feed(parser, [OPENING + none + END])
    assert (parser.capture.end, parser.keep_alive) == (End.COMPLETE, False)


def test_a_stream_that_is_left_is_reset_and_what_still_comes_of_it_does_not_touch_the_next() -> None:
    session, peer = Session(), Peer()
    first = asked(session=session)
    peer.hear(first.capture.request)
    feed(first, [OPENING, data(EVENT), data(EVENT)])
    assert isinstance(peer.hear(first.cancel())[-1], h2.events.StreamReset)
    assert first.keep_alive
    assert first.cancel() == b""
    assert session._h2.inbound_flow_control_window == WINDOW_BYTES - 2 * len(EVENT)
    first.release()
    second = asked(session=session)
    assert [type(event) for event in peer.hear(second.capture.request)] == [
        h2.events.RequestReceived,
        h2.events.StreamEnded,
    ]
    # 4 MiB of it: more than any head or any frames that bring nothing may have.
    late = data(bytes(MAX_FRAME_BYTES))
    capture = feed(second, [late * 4 for _ in range(64)])
    peer.hear(second.outgoing())
    feed(second, [head(stream=3), data(b"a", stream=3), data(b"", flags=END_STREAM, stream=3)])
    assert (capture.end, body(capture), len(capture.reads)) == (End.COMPLETE, b"a", 3)
    assert second.keep_alive


def test_an_idle_connection_answers_what_comes_and_sees_when_the_server_leaves() -> None:
    for wire, usable in (
        (PING_FRAME, True),
        (SETTINGS_FRAME, True),
        (frame(WINDOW_UPDATE, (9).to_bytes(4), stream=0), True),
        (data(b"late"), True),
        (goaway(), False),
        (goaway(2), False),
        (data(b"", stream=0), False),
        (b"HTTP/1.1 408 Request Timeout\r\n\r\n", False),
    ):
        session = Session()
        parser = asked(session=session)
        feed(parser, [OPENING])
        parser.cancel()
        assert session.absorb(wire) is usable, wire
        if wire == PING_FRAME:
            assert PONG in session.outgoing()


def test_a_request_that_http2_does_not_allow_is_refused_before_it_is_sent() -> None:
    with pytest.raises(h2.exceptions.ProtocolError):
        StreamParser(ExchangeState(Capture(0, sent_ns=0)), Session(), [*REQUEST, (b"te", b"gzip")])


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.lists(st.integers(0, 300), max_size=10))
def test_any_cut_gives_the_same_answer(parts: list[bytes], points: list[int]) -> None:
    wire = OPENING + b"".join(map(data, parts)) + END
    capture = parse(*cut(wire, points))
    assert (capture.end, [piece for _, piece in capture.body]) == (End.COMPLETE, parts)
    assert [read for read, _ in capture.body] == sorted(read for read, _ in capture.body)
    assert capture.head_read == 0


FRAMES = st.sampled_from(
    # Most are plain: a stream that breaks at once tells nothing of what comes later.
    [data(EVENT), data(b"a") + data(b"b"), data(bytes(3_000))] * 25
    + [
        data(b""),
        data(b"z", flags=END_STREAM),
        END,
        padded(b"abc", 5),
        padded(b"", 0),
        data(b"x", flags=0x40),  # a flag that means nothing
        frame(DATA, b"r", stream=0x80000001),  # the reserved bit
        data(bytes(MAX_FRAME_BYTES + 1)),
        data(b"other", stream=3),
        frame(RST_STREAM, bytes(4), stream=3),
        PING_FRAME,
        SETTINGS_FRAME,
        frame(SETTINGS, (4).to_bytes(2) + (70_000).to_bytes(4), stream=0),
        frame(WINDOW_UPDATE, (1).to_bytes(4)),
        frame(0xBE, b"?"),
        head(),
        frame(HEADERS, block(("x", "y")), flags=END_HEADERS | END_STREAM),
        frame(HEADERS, block(("x", "y")), flags=END_STREAM),
        frame(CONTINUATION, b"", flags=END_HEADERS),
        goaway(),
        goaway(1),
        reset(8),
        EVENT,
        data(EVENT)[:5],
    ]
)
READS = st.lists(st.lists(FRAMES, min_size=1, max_size=2).map(b"".join), max_size=6)
HEADS = st.sampled_from([OPENING, OPENING, OPENING[:-1], SETTINGS_FRAME + head(*SSE, ("content-length", "40"))])


@given(HEADS, READS, READS, st.lists(st.integers(0, 200), max_size=3), st.sampled_from(["POST", "HEAD"]))
def test_nothing_can_tell_the_fast_path_from_the_slow_one(
    opening: bytes, first: list[bytes], then: list[bytes], points: list[int], method: str
) -> None:
    slow = Slow(ExchangeState(Capture(0, method=method, sent_ns=0)), Session(), REQUEST)
    fast = StreamParser(ExchangeState(Capture(0, method=method, sent_ns=0)), Session(), REQUEST)
    reads = [opening, *first, *cut(b"".join(then), points), data(b"last"), END]
    feed(slow, reads)
    waiting: list[bytes] = []
    for piece in reads:
        if fast.done:
            break
        waiting.append(piece)
        if fast.plain(piece):
            continue
        feed_what_waits(fast, waiting)
        waiting = []
    feed_what_waits(fast, waiting)
    for parser in (slow, fast):
        parser.eof()
        parser._settle()
    for name in ("body", "end", "detail", "head", "head_read", "reads"):
        assert getattr(fast.capture, name) == getattr(slow.capture, name), name
    assert fast.keep_alive == slow.keep_alive
    assert fast.outgoing() == slow.outgoing()
    if not slow.session.leaving and not slow.over:
        rooms = [parser.session._h2.remote_flow_control_window(1) for parser in (slow, fast)]
        assert rooms[0] == rooms[1]


def feed_what_waits(parser: StreamParser, waiting: list[bytes]) -> None:
    """What can wait together, and then what cannot."""
    capture = parser.capture
    if len(waiting) > 1 and parser.feed_plain(waiting[:-1], len(capture.reads)):
        capture.reads += [Read(len(capture.reads) + n, 0, len(piece)) for n, piece in enumerate(waiting[:-1])]
        waiting = waiting[-1:]
    feed(parser, waiting)


def test_what_is_plain_is_taken_together() -> None:
    parser = asked()
    assert not parser.plain(data(EVENT))
    feed(parser, [OPENING])
    reads = [data(EVENT), data(EVENT) + data(b"b"), data(bytes(MAX_FRAME_BYTES))]
    assert all(map(parser.plain, reads))
    assert parser.feed_plain(reads, 1)
    assert [read for read, _ in parser.capture.body] == [1, 2, 2, 3]
    for other in (END, data(b""), data(EVENT)[:-1], data(EVENT) + b"\0", PING_FRAME, data(EVENT) + END, b""):
        assert not parser.plain(other)
        assert not parser.feed_plain([data(EVENT), other], 4)
    parser.feed(data(EVENT)[:4], 4)
    assert not parser.plain(data(EVENT)), "it is the rest of another frame"
    sized, trailing = asked(), asked()
    feed(sized, [SETTINGS_FRAME + head(*SSE, ("content-length", "5"))])
    assert not sized.plain(data(EVENT)), "it may be too much of it"
    feed(trailing, [OPENING, frame(HEADERS, block(("x", "y")), flags=END_STREAM)])
    assert not trailing.plain(data(EVENT)), "a CONTINUATION has to come"


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.booleans())
def test_no_bytes_break_it_and_every_capture_ends(noise: bytes, points: list[int], after_head: bool) -> None:
    assert parse(*cut((OPENING if after_head else b"") + noise, points)).end is not None


@given(
    st.lists(
        st.builds(
            frame,
            st.integers(0, 12),
            st.binary(max_size=40),
            flags=st.integers(0, 255),
            stream=st.sampled_from([0, 1, 1, 1, 2, 3, 2**31]),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_frames_break_it_and_every_capture_ends(frames: list[bytes], after_head: bool) -> None:
    parser = asked(bytes(70_000))
    feed(parser, [OPENING if after_head else SETTINGS_FRAME, *frames])
    parser.outgoing()
    parser.eof()
    assert parser.capture.end is not None


def test_a_parser_that_is_released_keeps_nothing() -> None:
    parser = asked()
    feed(parser, [OPENING + data(b"a") + END])
    kept = weakref.ref(parser)
    gc.disable()
    try:
        parser.release()
        del parser
        assert kept() is None
    finally:
        gc.enable()
