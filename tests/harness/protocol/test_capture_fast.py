"""A record made from the columns of a capture is the record of the transcript, in every field."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.capture_fast import MOST_BYTES, captured_record
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import record_of
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2_parser import StreamParser
from streamgauge.transport.http2_session import Session
from streamgauge.wire import Arrivals, Capture, End
from tests.builders.arrivals import damaged, in_reads, packed, parsed
from tests.builders.mock_streams import BY_NAME, writes
from tests.builders.tapes import START_NS, chunk, head
from tests.harness.transport.http2_frames import END, OPENING, REQUEST, SETTINGS_FRAME, data, goaway, reset
from tests.harness.transport.http2_frames import head as http2_head

SSE = "Content-Type: text/event-stream"
TAKEN = (
    "openai-chat", "openai-completions", "azure-chat", "anthropic", "cohere", "event-json", "json-string", "token-done"
)  # fmt: skip
BODIES = {
    name: [written.split(b"\r\n", 1)[1][:-2] for written in writes(name, "tokens=30")[1:-1]] for name in sorted(BY_NAME)
}
ENDS = st.sampled_from([END, END, END, b"", data(b"data: [DONE]\n\n", flags=1), reset(8), goaway(1)])
ENDED_NS = START_NS + 10**12


def spoken(name: str) -> Dialect:
    return dialects.by_name("openai-chat" if name == "azure-chat" else name)


def begun() -> Capture:
    return Capture(
        START_NS - 900, method="POST", url="http://test/", reused=True, sent_ns=START_NS - 500, connect_ns=4, tls_ns=5
    )


def over_http1(arrivals: Arrivals) -> Capture:
    capture = begun()
    parsed(arrivals, capture)
    return capture


def over_http2(arrivals: Arrivals) -> Capture:
    """The same as Exchange does."""
    capture = begun()
    state = ExchangeState(capture)
    parser = StreamParser(state, Session(), REQUEST)
    for piece, read in arrivals.pairs():
        if parser.done:
            break
        parser.feed(piece, state.read(piece, read))
    parser.eof()
    state.ended_at(ENDED_NS)
    return capture


def law(capture: Capture, dialect: Dialect | None = None) -> bool:
    """Compare both paths; whether the fast path took the stream."""
    before = deepcopy(capture)
    fast = captured_record(capture, "s", dialect, url="u", scenario="chat", worker=3, warmup=True)
    assert capture == before
    if fast is None:
        return False
    assert fast == record_of(interpret(capture, dialect), "s", url="u", scenario="chat", worker=3, warmup=True)
    return True


NAMES = st.sampled_from(sorted(BODIES))


@given(st.data(), NAMES, st.booleans(), st.sampled_from([None, "openai-chat", "raw-text", "ollama"]))
def test_a_captured_record_is_the_record_of_the_transcript(
    draws: st.DataObject, name: str, harmed: bool, named: str | None
) -> None:
    """Over HTTP/2, in any reads, with any end, whole or with damage."""
    pieces = [draws.draw(damaged(piece)) for piece in BODIES[name]] if harmed else BODIES[name]
    reads = draws.draw(in_reads([OPENING, *[data(piece) for piece in pieces if piece], draws.draw(ENDS)]))
    unstamped = draws.draw(st.sets(st.integers(0, 5)))
    law(over_http2(packed(reads, unstamped=unstamped)), None if named is None else dialects.by_name(named))


@given(st.data(), NAMES, st.sampled_from(["chunked", "length", "close"]), st.booleans())
def test_it_is_so_over_http1(draws: st.DataObject, name: str, framing: str, harmed: bool) -> None:
    pieces = [draws.draw(damaged(piece)) for piece in BODIES[name]] if harmed else BODIES[name]
    fields = {"chunked": ["Transfer-Encoding: chunked"], "length": [f"Content-Length: {sum(map(len, pieces))}"]}
    written = [*map(chunk, filter(None, pieces)), b"0\r\n\r\n"] if framing == "chunked" else pieces
    law(over_http1(packed(draws.draw(in_reads([head(SSE, *fields.get(framing, [])), *written])))), spoken(name))


@given(st.data(), st.sampled_from(TAKEN))
def test_the_fast_path_takes_every_clean_stream(draws: st.DataObject, name: str) -> None:
    capture = over_http2(packed(draws.draw(in_reads([OPENING, *map(data, BODIES[name]), END]))))
    assert law(capture, spoken(name))
    assert interpret(capture).outcome is Outcome.OK


@pytest.mark.parametrize(
    "wire",
    [
        SETTINGS_FRAME,
        OPENING,
        OPENING + END,
        OPENING + data(BODIES["openai-chat"][0]),
        SETTINGS_FRAME + http2_head((":status", "200"), ("content-type", "text/plain")) + data(b"a") + END,
        OPENING + data(b"data: " + b"a" * 15_000 + b"\n\n") * (MOST_BYTES // 15_000 + 1) + END,
    ],
    ids=["no head", "no body", "an empty body", "no end", "another type", "a large body"],
)
def test_any_other_response_is_left_to_the_reader(wire: bytes) -> None:
    capture = over_http2(packed([wire]))
    assert captured_record(capture, "s", spoken("openai-chat"), url="u") is None
    assert capture.end is not End.MALFORMED


def test_the_end_is_that_of_the_capture() -> None:
    """A body that the peer's FIN ends is longer than its last read."""
    capture = over_http2(packed([OPENING, *map(data, BODIES["openai-chat"]), END]))
    record = captured_record(capture, "s", spoken("openai-chat"), url="u")
    assert record is not None
    assert record.closed_ns == ENDED_NS - capture.start_ns
