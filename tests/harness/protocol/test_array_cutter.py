"""A growing JSON array is read as a stream of its items."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.array_cutter import ArrayCutter, first_item
from streamgauge.protocol.dialects.base import Dialect, Media
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import Capture, End, Framing, Head, Read

ITEMS = st.lists(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


def read(
    body: bytes,
    *,
    size: int = 7,
    end: End = End.COMPLETE,
    length: bool = False,
    dialect: Dialect | None = None,
) -> Transcript:
    fields = [("Content-Type", "application/json; charset=utf-8")]
    fields += [("Content-Length", str(len(body)))] if length else [("Transfer-Encoding", "chunked")]
    capture = Capture(0, method="POST", sent_ns=0, end=end)
    capture.head, capture.framing, capture.head_read = Head(200, "OK", "1.1", tuple(fields)), Framing.CHUNKED, 0
    capture.reads.append(Read(1, 1, 100))
    for number, at in enumerate(range(0, len(body), size), 1):
        capture.reads.append(Read(number * 1_000_000, number * 1_000_000, size))
        capture.body.append((number, body[at : at + size]))
    capture.end_ns = capture.reads[-1].t_ns
    return interpret(capture, dialect, keep=True)


@given(ITEMS, st.integers(1, 9), st.sampled_from([None, 2]), st.booleans())
def test_the_items_of_any_array_come_out_whatever_the_cut(
    items: list[object], size: int, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    cutter = ArrayCutter()
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    events = [event for piece in pieces for event in cutter.feed(piece, 0)]

    assert [json.loads(event.data) for event in events] == json.loads(body.decode("utf-8", "replace"))
    assert cutter.closed
    assert all(body[event.offset : event.end].strip().decode("utf-8", "replace") == event.data for event in events)


def test_an_item_is_whole_with_its_last_character() -> None:
    assert first_item(b'[{"token":"a, ]"') is None
    assert first_item(b'[{"token":"a, ]"}') == b'{"token":"a, ]"}'
    assert first_item(b'[ {"token":"a"} ,') == b'{"token":"a"}'
    assert first_item(rb'["a\"') is None
    assert first_item(b"[12") is None
    assert first_item(b"[12,") == b"12"
    assert first_item(b'["x"]') == b'"x"'
    assert first_item(b"[]") is None


@pytest.mark.parametrize(
    ("items", "name"),
    [
        ([{"token": "Hi"}, {"token": " there"}], "token-done"),
        (["Hi", " there"], "json-string"),
    ],
)
def test_tokens_in_an_array_are_read_when_they_come(items: list[object], name: str) -> None:
    found = read(json.dumps(items).encode())

    assert found.dialect is not None
    assert (found.is_stream, found.media, found.dialect.name, found.text) == (True, Media.ARRAY, name, "Hi there")
    assert found.outcome is Outcome.OK
    times = [found.time_of(event) for event, _ in found.tokens]
    assert times[0] < times[1]


def test_an_array_that_is_cut_is_truncated() -> None:
    assert read(b'[{"token":"Hi"},{"token":" th', end=End.CLOSED).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("body", [b"[]", b'[{"id":5,"name":"x"}]', b"[1,2,3]", b"[[1],[2]]"])
def test_other_arrays_are_no_stream(body: bytes) -> None:
    assert read(body).is_stream is False


def test_a_list_of_texts_with_a_length_is_an_ordinary_answer() -> None:
    assert read(b'["a","b"]', length=True).is_stream is False
    assert read(b'["a","b"]').is_stream is True


CHAT = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
STOP = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}


@pytest.mark.parametrize(
    ("items", "name"),
    [([CHAT, STOP], "openai-chat"), ([GEMINI], "gemini"), ([{"token": "Hi"}], "token-done"), (["Hi"], "json-string")],
)
def test_an_array_reads_the_same_once_its_dialect_is_settled(items: list[object], name: str) -> None:
    """A load settles the dialect by its first stream: it called each later one no stream."""
    body = json.dumps(items).encode()
    first = read(body)
    later = read(body, dialect=first.dialect)

    assert first.dialect is dialects.by_name(name)
    assert (first.outcome, first.text) == (Outcome.OK, "Hi")
    assert (later.outcome, later.detail, later.media, later.text) == (first.outcome, None, first.media, first.text)


@pytest.mark.parametrize("name", ["openai-chat", "gemini", "anthropic"])
def test_an_array_without_the_shape_of_its_vendor_is_no_stream(name: str) -> None:
    assert read(b'[{"id":5,"name":"x"}]', dialect=dialects.by_name(name)).is_stream is False


@pytest.mark.parametrize("name", ["gemini", "openai-chat", "json-string"])
def test_an_error_in_an_array_is_an_error(name: str) -> None:
    found = read(b'[{"error":{"code":503,"message":"overloaded"}}]', dialect=dialects.by_name(name))
    assert found.outcome is Outcome.ERROR_EVENT
    assert "overloaded" in (found.detail or "")
