"""What is cut out of a frame is what its dialect reads there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.eventstream import Interpreter, Lexer
from streamgauge.protocol.frames import Frame, frame_of, inside_of, plain_event, run_of
from tests.builders.mock_streams import writes

CHAT = dialects.by_name("openai-chat")
FRAGMENTS = st.lists(
    st.sampled_from([b"", b"a", b'"', b"\\", b"\\\\", b'\\"', b"\\u", b"u0041", b"\\u0041", b"\\ud83d", b"\\ude00",
                     b"\n", b"\x01", b"\xc3", b"\xa9", b"\xc3\xa9", b"\x7f", b"0041", b"n", b",", b"\\u00"])
)  # fmt: skip


def chat(text: str, key: str = "content", more: str = "") -> bytes:
    choice = f'{{"index":0,"delta":{{"{key}":{json.dumps(text)}}},"finish_reason":null{more}}}'
    return f'data: {{"object":"chat.completion.chunk","choices":[{choice}]}}\n\n'.encode()


def found(raw: bytes, kind: Kind, text: str) -> Frame | None:
    event = plain_event(raw, 0)
    assert event is not None
    assert CHAT.deltas_in(event) == [Delta(kind, text)]
    return frame_of(CHAT, event, raw, Delta(kind, text))


@given(st.lists(st.sampled_from([b"data: ", b"event: ", b"data:", b"event:", b"id: 1", b": ", b"a", b"\xff", b"\n",
                                 b"\n\n", b"\r", b"\xef\xbb\xbf"])).map(b"".join))  # fmt: skip
def test_a_plain_event_is_what_the_interpreter_makes_of_it(raw: bytes) -> None:
    event = plain_event(raw, 3)
    if event is not None:
        interpreter = Interpreter()
        found = [event for line in Lexer().feed(raw, 3) if (event := interpreter.feed(line))]
        assert [(one.type, one.data, one.read_index) for one in found] == [(event.type, event.data, 3)]


@given(st.lists(FRAGMENTS.map(b"".join), min_size=1, max_size=4))
def test_joined_texts_are_one_string_exactly_when_each_is_one(texts: list[bytes]) -> None:
    each = [inside_of([text]) for text in texts]
    whole = None if None in each else " ".join(text for text in each if text is not None)
    assert inside_of(texts) == whole


@given(FRAGMENTS.map(b"".join))
def test_the_inside_of_a_string_is_what_json_says(text: bytes) -> None:
    try:
        expected = json.loads(b'"%b"' % text)
        expected.encode()  # a lone surrogate is no text
    except ValueError:
        expected = None
    assert inside_of([text]) == expected


@pytest.mark.parametrize(
    "text",
    ["a", "q", "qq", "content", "delta", "index", "finish_reason", "chat.completion.chunk", "é", "\n", '"', "\\", ", ",
     "\u20ac", "\U0001f600", "/"],
)  # fmt: skip
def test_a_frame_is_around_the_text_wherever_else_its_words_are(text: str) -> None:
    frame = found(chat(text), Kind.CONTENT, text)
    assert frame is not None
    assert frame.prefix.endswith(b'"content":"')
    assert frame.suffix == b'"},"finish_reason":null}]}\n\n'


def test_the_kind_of_the_token_is_that_of_the_frame() -> None:
    frame = found(chat("a", "reasoning_content"), Kind.REASONING, "a")
    assert frame is not None
    assert frame.kind is Kind.REASONING


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "cohere", "event-json", "token-done", "json-string"])
def test_what_a_run_says_is_what_its_dialect_reads(name: str) -> None:
    """Each token event of the mock has a frame, and from there a run that reaches as far as its frame."""
    dialect = dialects.by_name(name)
    body = b"".join(write.split(b"\r\n", 1)[1][:-2] for write in writes(name, "tokens=20")[1:-1])
    events = [block + b"\n\n" for block in body[:-2].split(b"\n\n")]
    taken = 0
    for number, raw in enumerate(events):
        event = plain_event(raw, 0)
        assert event is not None
        deltas = dialect.deltas_in(event)
        if not deltas[0].is_token:
            continue
        frame = frame_of(dialect, event, raw, deltas[0])
        assert frame is not None
        run = run_of(frame, events, number)
        assert run is not None
        taken = max(taken, run.events)
    assert taken == 20
