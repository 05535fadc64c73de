"""Where a hub's stream begins and ends, by its reads alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.hub_transport import HubParser
from streamgauge.protocol.dialects.signalr import RECORD_END, SignalR
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.parsing import parse_reads
from streamgauge.wire import Capture, End, Read
from tests.builders.tapes import MS, START_NS, chunk, head

HEAD = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
ASKED_NS = START_NS + 1000 * MS


def record(message: dict[str, Any], ends: str = "\r\n\r\n") -> bytes:
    return chunk(f"data: {json.dumps(message)}{RECORD_END}{ends}".encode())


def item(text: str) -> bytes:
    return record({"type": 2, "invocationId": "0", "item": text})


ACCEPTED, PING, COMPLETION = record({}), record({"type": 6}), record({"type": 3, "invocationId": "0"})
CLOSE, FAILED = record({"type": 7}), record({"type": 3, "invocationId": "0", "error": "x"})


class Played:
    """A hub's response, played to its parser. `asks` is the moment at which the method is called."""

    def __init__(self) -> None:
        self.capture = Capture(START_NS, method="GET", url="http://test/hub", sent_ns=START_NS, connect_ns=5)
        self.state = ExchangeState(self.capture)
        self.parser = HubParser(self.state)
        self.parser.feed(HEAD, self.state.read(HEAD, Read(START_NS, START_NS, len(HEAD))))

    def read(self, at_ns: int, data: bytes) -> None:
        parse_reads(self.parser, self.state, [(data, Read(at_ns, at_ns, len(data)))])

    def asks(self) -> None:
        self.parser.restart(Capture(ASKED_NS, "POST", "http://test/hub", b"POST", sent_ns=ASKED_NS + MS), START_NS - MS)


@pytest.mark.parametrize(
    ("first", "shaken", "ends"),
    [
        (ACCEPTED, True, False),
        (record({"error": "no"}), False, True),
        (record({"type": 7}), False, True),
        (PING, False, True),
        (chunk(b":\r\n\r\n"), False, False),
    ],
)
def test_only_an_empty_object_accepts_the_handshake(first: bytes, *, shaken: bool, ends: bool) -> None:
    played = Played()
    played.read(START_NS + MS, first)
    assert (played.parser.shaken, played.parser.done) == (shaken, ends)


def test_what_came_before_the_invocation_is_no_part_of_the_stream() -> None:
    played = Played()
    played.read(START_NS + MS, ACCEPTED + PING)
    played.asks()
    played.read(ASKED_NS - MS, PING)  # read only now
    played.read(ASKED_NS + 9 * MS, item("a"))
    played.read(ASKED_NS + 10 * MS, COMPLETION)

    capture = played.capture
    assert (capture.start_ns, capture.sent_ns, capture.method) == (ASKED_NS, ASKED_NS + MS, "POST")
    assert capture.opening_ns == ASKED_NS - START_NS + MS
    assert (capture.reused, capture.connect_ns, capture.headers_ns) == (True, None, None)
    assert [read.t_ns - ASKED_NS for read in capture.reads] == [9 * MS, 10 * MS]
    transcript = interpret(capture, SignalR())
    assert (transcript.outcome, transcript.text, len(transcript.events)) == (Outcome.OK, "a", 2)


@pytest.mark.parametrize("last", [COMPLETION, CLOSE, FAILED])
def test_the_last_message_ends_the_response_although_its_body_goes_on(last: bytes) -> None:
    played = Played()
    played.read(START_NS + MS, ACCEPTED)
    played.asks()
    played.read(ASKED_NS + MS, item("a"))
    assert not played.parser.done
    played.read(ASKED_NS + 2 * MS, last)
    assert (played.parser.done, played.parser.keep_alive, played.capture.end) == (True, False, End.COMPLETE)


def test_a_completion_in_a_text_ends_nothing() -> None:
    played = Played()
    played.read(START_NS + MS, ACCEPTED)
    played.asks()
    played.read(ASKED_NS + MS, item('{"type":3,"invocationId":"0"}') + record({"type": 3, "invocationId": "1"}))
    assert not played.parser.done


@given(
    st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6),
    st.lists(st.integers(1, 60), max_size=20),
    st.integers(0, 200),
    st.sampled_from(["\r\n\r\n", "\n\n", "\r\r"]),
)
def test_however_the_reads_are_cut_the_texts_are_the_same(
    texts: list[str], sizes: list[int], early: int, ends: str
) -> None:
    """Also where the method is called while an event is on its way."""
    played = Played()
    played.read(START_NS + MS, record({}, ends))
    wire = record({"type": 1, "target": "Welcome", "arguments": []}, ends)
    greeting = len(wire)
    for text in texts:
        wire += record({"type": 2, "invocationId": "0", "item": text}, ends)
    wire += record({"type": 3, "invocationId": "0"}, ends)
    early = min(early, greeting)
    if early:
        played.read(START_NS + 2 * MS, wire[:early])
    played.asks()
    at = early
    for number, size in enumerate([*sizes, len(wire)]):
        if wire[at : at + size] and not played.parser.done:
            played.read(ASKED_NS + number * MS + MS, wire[at : at + size])
        at += size

    transcript = interpret(played.capture, SignalR())
    assert [text for _, text in transcript.tokens] == texts
    assert (transcript.outcome, played.capture.end) == (Outcome.OK, End.COMPLETE)


def test_a_line_without_end_is_bounded() -> None:
    played = Played()
    played.read(START_NS + MS, ACCEPTED)
    played.asks()
    part = chunk(b"data: " + b"x" * 9_000_000)
    played.read(ASKED_NS + MS, part)
    played.read(ASKED_NS + 2 * MS, part)
    assert (played.parser.done, played.capture.end) == (True, End.TOO_LARGE)


def test_a_long_answer_in_the_four_chunks_of_asp_net_core_is_no_abuse() -> None:
    played = Played()
    played.read(START_NS + MS, ACCEPTED)
    played.asks()
    parts = [b"data: ", b'{"type":2,"invocationId":"0","item":"w"}\x1e\r\n', b"\r", b"\n"]
    event = b"".join(map(chunk, parts))
    for number in range(60_000):
        played.read(ASKED_NS + number, event)
    assert not played.parser.done
    played.read(ASKED_NS + 60_000, COMPLETION)
    assert played.capture.end is End.COMPLETE
    assert len(interpret(played.capture, SignalR()).tokens) == 60_000
