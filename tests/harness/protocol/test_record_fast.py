"""A record made from packed reads is the record of the transcript, in every field."""

import json
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.dialects.by_pointer import StreamTable
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.record_fast import plain_record
from streamgauge.transport.http1_fast import plain_response
from streamgauge.wire import Arrivals, Capture
from tests.builders.arrivals import damaged, in_reads, packed, parsed, taken
from tests.builders.mock_streams import writes
from tests.builders.tapes import START_NS, chunk, head

CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
# The dialects whose clean streams the fast path takes. Ollama's lines and plain text are not event streams, the text
# dialects have no JSON, Gemini's lines end in CRLF, and OpenAI Responses numbers its events.
TAKEN = (
    "openai-chat", "openai-completions", "azure-chat", "anthropic", "cohere", "event-json", "json-string", "token-done"
)  # fmt: skip
MOCK_STREAMS = {
    **{name: writes(name, "tokens=30") for name in (*TAKEN, "event-text", "raw-text", "gemini", "openai-responses")},
    "short": writes("openai-chat", "tokens=1"),
    "reasoning": writes("openai-chat", "tokens=12 reasoning=9"),
    "reasoning and tools": writes("anthropic", "tokens=12 reasoning=9 tools=2"),
    "everything": writes("openai-chat", "tokens=60 text=everything"),
    "in one write": writes("openai-chat", "tokens=40 events_per_write=5"),
    "mistral": writes("openai-chat", "tokens=12 profile=mistral"),
    "openrouter": writes("openai-chat", "tokens=12 profile=openrouter"),
}


CHAT = dialects.by_name("openai-chat")


def spoken(name: str) -> Dialect:
    """The dialect of a stream of MOCK_STREAMS."""
    names = {dialect.name for dialect in dialects.DIALECTS}
    return (
        dialects.by_name("anthropic")
        if name == "reasoning and tools"
        else (dialects.by_name(name) if name in names else CHAT)
    )


def begun() -> Capture:
    return Capture(
        START_NS - 900, method="POST", url="http://test/", reused=True, sent_ns=START_NS - 500, connect_ns=4, tls_ns=5
    )


def fast_record(arrivals: Arrivals, dialect: Dialect | None = CHAT) -> StreamRecord | None:
    response = plain_response(arrivals)
    if response is None:
        return None
    capture = taken(begun(), response, arrivals)
    return plain_record(capture, arrivals, response, "s", dialect, url="u", scenario="chat", worker=3, warmup=True)


def law(arrivals: Arrivals, dialect: Dialect | None = CHAT) -> bool:
    """Compare both paths; whether the fast path took the stream."""
    fast = fast_record(arrivals, dialect)
    if fast is None:
        return False
    capture = begun()
    parsed(arrivals, capture)
    assert fast == record_of(interpret(capture, dialect), "s", url="u", scenario="chat", worker=3, warmup=True)
    return True


def chat(content: object, *, ascii_only: bool = False, **more: object) -> bytes:
    delta = {} if content is None else {"content": content}
    payload = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    text = json.dumps(payload | more, separators=(",", ":"), ensure_ascii=ascii_only)
    return f"data: {text}\n\n".encode("utf-8", "surrogatepass")


TEXTS = st.sampled_from(["a", " word", "\n", '"', "\\", "\u20ac", "\U0001f600", "\ud83d", "},{", 'x","y', "q", "qq",
                         "a b", "\x7f", "null", "[DONE]", "content", "é"])  # fmt: skip
EVENTS = st.one_of(
    TEXTS.map(chat),
    TEXTS.map(lambda text: chat(text, ascii_only=True)),
    st.sampled_from(["word", " and", "more"]).map(chat),
    st.sampled_from(["word", " and", "more"]).map(chat),
    st.sampled_from(
        [
            chat(""),
            chat(None),
            chat("x", usage={"completion_tokens": 3, "prompt_tokens": 5}),
            chat("x", error={"message": "no"}),
            chat("x", usage=None),
            chat("x").replace(b"null", b'"stop"'),
            chat("x").replace(b'"x"', b"null"),
            chat("x").replace(b'"x"', b'"x","refusal":"r"'),
            chat("x").replace(b'"x"', b'"x","content":"y"'),
            chat("x").replace(b'"content"', b'"reasoning_content"'),
            chat("x").replace(b'"x"', b'"a\\"'),
            chat("x").replace(b'"x"', b'"a\\ud83d"'),
            chat("x").replace(b'"x"', b'"\\ude00"'),
            chat("x").replace(b'"x"', b'"a\xffb"'),
            chat("x").replace(b'"x"', b'"\xe2\x82"'),
            chat("x").replace(b'"x"', b'"a\x01b"'),
            chat("x").replace(b'"x"', b'"a\tb"'),
            chat([{"type": "text", "text": "part"}]),
            chat("x").replace(b"data: ", b"data:"),
            chat("x").replace(b"data: ", b"data:  "),
            chat("x").replace(b"data: ", b"event: other\ndata: "),
            chat("x").replace(b"data: ", b"event: error\ndata: "),
            chat("x").replace(b"data: ", b"id: 7\ndata: "),
            chat("x").replace(b"data: ", b": c\ndata: "),
            chat("x").replace(b",", b",\ndata: ", 1),
            chat("x").replace(b"\n\n", b"\r\n\r\n"),
            chat("x").replace(b"\n\n", b"\n\r\n"),
            chat("x")[:-1],
            chat("x")[:-2],
            chat("x") + b"\n",
            b"\n" + chat("x"),
            b"\xef\xbb\xbf" + chat("x"),
            chat("a") + chat("b"),
            b": comment\n\n",
            b"id: 8\n\n",
            b"retry: 5\n\n",
            b"event: ping\n\n",
            b"data: {\n\n",
            b"data: 5\n\n",
            b"data\n\n",
            b'data: {"error":{"message":"boom"}}\n\n',
            b'data: {"choices":[],"usage":{"completion_tokens":7,"prompt_tokens":2}}\n\n',
            DONE,
        ]
    ),
)
BODIES = st.lists(EVENTS, max_size=24)
FRAMES = st.sampled_from(
    [
        lambda event: event,
        lambda event: event.replace(b"data: ", b"event: x\ndata: "),
        lambda event: event.replace(b"data: ", b"event: error\ndata: "),
        lambda event: event.replace(b"data: ", b": c\ndata: "),
        lambda event: event.replace(b"data: ", b"id: 7\ndata: "),
        lambda event: event.replace(b"data: ", b"data:"),
        lambda event: event.replace(b"data: ", b"\ndata: "),
        lambda event: event.replace(b",", b",\ndata: ", 1),
        lambda event: event.replace(b'"content"', b'"reasoning_content"'),
        lambda event: event.replace(b'"content"', b'"refusal"'),
        lambda event: event.replace(b'"content"', b'"refusal":"r","content"'),
        lambda event: event.replace(b'"content"', b'"content":"x","content"'),
        lambda event: event.replace(b'"content"', b'"content":"x","other"'),
        lambda event: event.replace(b'"content"', b'"role":"assistant","content"'),
        lambda event: event.replace(b'"index"', b'"finish_reason":"stop","index"'),
        lambda event: event.replace(b'"object"', b'"error":{"message":"e"},"object"'),
        lambda event: event.replace(b'{"object"', b'{"model":"\xff","object"'),
    ]
)
RUNS = st.lists(st.tuples(FRAMES, st.lists(TEXTS, min_size=1, max_size=12), EVENTS), max_size=4)


def chunked(events: list[bytes]) -> list[bytes]:
    return [CHUNKED, *map(chunk, filter(None, events)), LAST]


@given(st.data(), st.sampled_from(sorted(MOCK_STREAMS)), st.booleans())
def test_a_plain_record_is_the_record_of_the_transcript(data: st.DataObject, name: str, unstamped: bool) -> None:
    arrivals = packed(data.draw(in_reads(MOCK_STREAMS[name])), unstamped=[0, 3] if unstamped else ())
    assert law(arrivals, spoken(name)) or name not in TAKEN


@given(st.data(), st.sampled_from(sorted(MOCK_STREAMS)))
def test_it_is_so_for_damaged_streams(data: st.DataObject, name: str) -> None:
    law(packed(data.draw(in_reads([data.draw(damaged(piece)) for piece in MOCK_STREAMS[name][:12]]))), spoken(name))


@given(st.data(), st.sampled_from(sorted(MOCK_STREAMS)), st.integers(0, 3000))
def test_it_is_so_for_damaged_events_in_whole_chunks(data: st.DataObject, name: str, cut_off: int) -> None:
    body = b"".join(piece.split(b"\r\n", 1)[1][:-2] for piece in MOCK_STREAMS[name][1:-1])
    body = data.draw(damaged(body))[: max(len(body) - cut_off, 0)]
    law(packed(data.draw(in_reads(chunked(body.splitlines(keepends=True))))), spoken(name))


@given(st.data(), BODIES, st.sampled_from([None, "openai-chat", "event-json", "raw-text", "ollama", "plain-text"]))
def test_it_is_so_for_any_mixture_of_events(data: st.DataObject, events: list[bytes], named: str | None) -> None:
    dialect = None if named is None else dialects.by_name(named)
    law(packed(data.draw(in_reads(chunked(events)))), dialect)
    body = b"".join(events)
    size = data.draw(st.integers(1, max(len(body), 1)))
    law(packed(data.draw(in_reads(chunked([body[at : at + size] for at in range(0, len(body), size)])))), dialect)


@given(st.data(), RUNS)
def test_it_is_so_for_any_runs(
    data: st.DataObject, runs: list[tuple[Callable[[bytes], bytes], list[str], bytes]]
) -> None:
    events = [event for frame, texts, odd in runs for event in [*(frame(chat(text)) for text in texts), odd]]
    law(packed(data.draw(in_reads(chunked([*events, DONE])))))


@pytest.mark.parametrize("odd", [b"", b": beat\n\n", chat(""), chat("\ud83d"), chat("x", usage=None), b"id: 7\n\n"])
def test_the_fast_path_takes_runs_with_another_event_between_them(odd: bytes) -> None:
    texts = [f"t{number}" for number in range(50)]
    runs = [chat("a"), *map(chat, texts), odd, *map(chat, texts), chat("z").replace(b"null", b'"stop"'), DONE]
    assert law(packed(chunked(runs)))


@given(st.data(), st.lists(TEXTS.filter(lambda text: text != "\ud83d"), min_size=1, max_size=60), st.booleans())
def test_the_fast_path_takes_every_clean_stream_of_chat(
    data: st.DataObject, texts: list[str], ascii_only: bool
) -> None:
    events = [chat(text, ascii_only=ascii_only) for text in texts]
    assert law(packed(data.draw(in_reads(chunked([*events, DONE])))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"text/event-stream", b"text/plain"),
        (b"text/event-stream", b"text/event-stream\r\nContent-Encoding: gzip"),
        (b"\n\n\r\n0\r\n", b"\n\r\r\n0\r\n"),
    ],
)
def test_any_other_stream_is_left_to_the_reader(old: bytes, new: bytes) -> None:
    whole = b"".join(chunked([chat("a"), chat("b"), DONE]))
    assert law(packed([whole]))
    assert fast_record(packed([whole.replace(old, new)])) is None


@pytest.mark.parametrize("place", ["/choices/0/delta/content", "/choices/*/delta/content"])
def test_the_fast_path_takes_a_dialect_by_pointer(place: str) -> None:
    described = StreamTable(text=place).dialect()
    assert law(packed(chunked([*(chat(f"t{number}") for number in range(40)), DONE])), described)


def test_without_a_dialect_the_whole_stream_must_be_read() -> None:
    assert fast_record(packed(chunked([chat("a"), chat("b"), DONE])), None) is None


def test_a_dialect_without_json_and_a_stream_of_many_frames_are_left_to_the_reader() -> None:
    texts = [f"data: t{number}\n\n".encode() for number in range(40)]
    numbered = [chat(f"t{number}", sequence=number) for number in range(40)]
    assert fast_record(packed(chunked(texts)), dialects.by_name("raw-text")) is None
    assert fast_record(packed(chunked(numbered))) is None


def test_the_fast_path_takes_a_stream_whose_frame_changes_now_and_then() -> None:
    events = [chat(f"t{number}", created=number // 20) for number in range(600)]
    assert law(packed(chunked([*events, DONE])))


def test_the_capture_stays_as_it_is() -> None:
    arrivals = packed(MOCK_STREAMS["openai-chat"])
    response = plain_response(arrivals)
    assert response is not None
    capture = taken(begun(), response, arrivals)
    before = deepcopy(capture)
    record = plain_record(capture, arrivals, response, "s", CHAT, url="u")
    assert record is not None
    assert (record.outcome, len(record.token_reads)) == (Outcome.OK, 30)
    assert capture == before
