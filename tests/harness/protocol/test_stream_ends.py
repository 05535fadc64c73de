"""Streams with and without an end marker: what the dialect, the user and the first streams of a run say about it."""

import pytest

from streamgauge.protocol import dialects
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import End
from tests.builders.tapes import MS, SSE_HEAD, chunk, head, play

CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
CHAT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
UNMARKED = {
    "token-done": b'data: {"token":"a"}\n\n',
    "event-json": b'event: token\ndata: {"text":"a"}\n\n',
    "json-string": b'data: "a"\n\n',
}
MARKED = {
    "token-done": b'data: {"token":"a","done":false}\n\n',
    "openai-chat": CHAT + STOP,
    "anthropic": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"a"}}\n\n',
}
FRAMINGS = {
    "chunked": lambda body: CHUNKED + chunk(body) + b"0\r\n\r\n",
    "length": lambda body: head("Content-Type: text/event-stream", f"Content-Length: {len(body)}") + body,
    "close": lambda body: SSE_HEAD + body,
}


def ended(wire: bytes, name: str, ends: Ends = Ends.AUTO) -> Transcript:
    return interpret(play([(0, wire[:20]), (MS, wire[20:])]), dialects.by_name(name), ends=ends)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", UNMARKED)
def test_a_shape_of_an_application_may_end_with_the_body_and_the_doubt_is_said(name: str, framing: str) -> None:
    transcript = ended(FRAMINGS[framing](UNMARKED[name] * 2), name)
    assert transcript.outcome is Outcome.OK
    assert transcript.detail == "no end marker came, so a stream that is cut cleanly would look the same"


@pytest.mark.parametrize("name", MARKED)
def test_a_dialect_with_a_prescribed_marker_owes_it(name: str) -> None:
    transcript = ended(FRAMINGS["chunked"](MARKED[name]), name)
    assert transcript.outcome is Outcome.TRUNCATED
    assert transcript.detail == f"the stream ended without its end marker ({dialects.by_name(name).terminal})"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", {**UNMARKED, **MARKED})
def test_where_the_user_says_that_there_is_no_marker_a_proper_end_is_enough(name: str, framing: str) -> None:
    body = {**UNMARKED, **MARKED}[name]
    assert ended(FRAMINGS[framing](body), name, Ends.CLOSE).outcome is Outcome.OK
    assert ended(FRAMINGS[framing](body), name, Ends.CLOSE).detail is None


@pytest.mark.parametrize("ends", Ends)
@pytest.mark.parametrize(
    "wire", [CHUNKED + chunk(CHAT), head("Content-Type: text/event-stream", "Content-Length: 999") + CHAT]
)
def test_a_body_that_is_cut_is_truncated_whatever_was_said(ends: Ends, wire: bytes) -> None:
    assert ended(wire, "openai-chat", ends).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("name", ["raw-text", *UNMARKED])
def test_where_the_first_stream_had_a_marker_all_others_owe_it(name: str) -> None:
    """Some dialects prescribe none, but a server that writes one has cut a stream that lacks it."""
    body = UNMARKED.get(name, b"data: a\n\n")
    assert ended(FRAMINGS["chunked"](body), name, Ends.MARKER).outcome is Outcome.TRUNCATED
    assert ended(FRAMINGS["chunked"](body + b"data: [DONE]\n\n"), name, Ends.MARKER).outcome is Outcome.OK


def test_a_finish_reason_can_stand_for_the_marker() -> None:
    assert ended(FRAMINGS["chunked"](CHAT + STOP), "openai-chat", Ends.FINISH).outcome is Outcome.OK
    cut = ended(FRAMINGS["chunked"](CHAT), "openai-chat", Ends.FINISH)
    assert (cut.outcome, cut.detail) == (Outcome.TRUNCATED, "the stream ended without its end marker (a finish reason)")


def test_an_error_counts_whatever_was_said() -> None:
    error = b'data: {"error":{"message":"boom"}}\n\n'
    for ends in Ends:
        assert ended(FRAMINGS["chunked"](CHAT + error), "openai-chat", ends).outcome is Outcome.ERROR_EVENT
        assert ended(FRAMINGS["chunked"](b": hi\n\n"), "openai-chat", ends).outcome is Outcome.EMPTY


def test_a_run_that_ends_is_not_a_proper_end() -> None:
    capture = play([(0, SSE_HEAD + UNMARKED["json-string"])], End.INTERRUPTED)
    assert interpret(capture, dialects.by_name("json-string"), ends=Ends.CLOSE).outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("rest", [b"data: [DONE]\n", b"data: [DONE]"])
def test_an_end_marker_without_its_blank_line_is_lost_and_the_reason_is_said(rest: bytes) -> None:
    transcript = ended(FRAMINGS["chunked"](CHAT + STOP + rest), "openai-chat")
    assert transcript.outcome is Outcome.TRUNCATED
    assert transcript.detail == (
        "the stream ended without its end marker (data: [DONE]): "
        "its last event has no blank line behind it, so clients drop it"
    )
