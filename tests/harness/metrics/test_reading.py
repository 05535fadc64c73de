"""Caveats about how a stream was read."""

import json
from typing import Any

from streamgauge.metrics.reading import reading_caveats
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.dialects.by_pointer import EndMark, StreamTable
from streamgauge.protocol.record import record_of
from tests.builders.tapes import stream

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    payload = {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}
    return f"data: {json.dumps(payload)}\n\n".encode()


def caveats(*events: bytes, dialect: Dialect | None = None) -> list[str]:
    transcript = stream(*events, b"data: [DONE]\n\n", dialect=dialect)
    return reading_caveats(transcript, record_of(transcript, "s", url="u"))


def test_a_text_beside_the_known_one_is_told_when_it_grows() -> None:
    (line,) = caveats(*(chunk({"thinking": word}) for word in WORDS), *(chunk({"content": word}) for word in WORDS))
    assert "`thinking` that openai-chat does not know (at /choices/*/delta/thinking, 8 different texts)" in line


def test_an_answer_only_in_unknown_fields_is_told() -> None:
    (line,) = caveats(chunk({"role": "assistant"}), *(chunk({"reasoning_text": word}) for word in WORDS))
    assert "`reasoning_text`" in line


def test_fields_that_repeat_the_text_or_are_no_text_are_not_told() -> None:
    assert caveats(
        *(
            chunk({"role": "assistant", "content": word, "obfuscation": word * 2, "id": f"m{word}", "copy": word},
                  system_fingerprint=f"fp_{word}", message_id=word)
            for word in WORDS
        )
    ) == []  # fmt: skip


def test_known_reasoning_is_not_told() -> None:
    events = (
        chunk({"reasoning": word, "reasoning_details": [{"type": "reasoning.text", "text": word}]}) for word in WORDS
    )
    assert caveats(*events) == []


def test_usage_of_many_times_the_events_with_one_word_each_is_told() -> None:
    events = [chunk({"content": f"{word} "}) for word in WORDS]
    (line,) = caveats(*events, chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 400}))
    assert "usage says 400 tokens, but 8 token events came with about one word each" in line


def test_usage_of_grouped_tokens_or_of_as_many_tokens_is_not_told() -> None:
    usage = chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 24})
    assert caveats(*(chunk({"content": f"{word} and then "}) for word in WORDS), usage) == []
    assert caveats(*(chunk({"content": f"{word} "}) for word in WORDS), chunk({}, usage={"completion_tokens": 9})) == []


def test_a_text_that_comes_again_with_each_event_is_known() -> None:
    texts = [" ".join(WORDS[: count + 1]) for count in range(len(WORDS))]
    events = [f'event: messages/partial\ndata: [{{"type":"ai","content":"{text}"}}]\n\n'.encode() for text in texts]
    assert caveats(*events) == []


def by_events(*names: str) -> Dialect:
    return StreamTable(text="/t", events=list(names), end=EndMark(data="[DONE]")).dialect()


def test_text_in_events_that_the_stream_table_does_not_list_is_told() -> None:
    told = [f'event: tok\ndata: {{"t": "{word}"}}\n\n'.encode() for word in WORDS]
    (line,) = caveats(*told, dialect=by_events("token"))
    assert "8 events named 'tok' have text" in line
    assert "lists only 'token'" in line
    assert "add 'tok' to events" in line
    assert caveats(*told, dialect=by_events("tok")) == []
    assert caveats(*told, dialect=by_events()) == []


def test_listed_events_beside_others_without_text_are_not_told() -> None:
    told = [f'event: tok\ndata: {{"t": "{word}"}}\n\n'.encode() for word in WORDS]
    status = [b'event: status\ndata: {"n": 1}\n\n'] * len(WORDS)
    assert caveats(*told, *status, dialect=by_events("tok")) == []


def test_a_stream_of_an_uncertain_dialect_has_no_caveats() -> None:
    assert caveats(*(f'data: {{"out": {{"x": "{word}"}}}}\n\n'.encode() for word in WORDS)) == []
