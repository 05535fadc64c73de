"""Caveats about how a stream was read: text in fields that its dialect does not know, and tokens that came in no event.

Pure. A caveat names an observation and its consequence; it is not a doubt about the dialect.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from streamgauge.protocol.dialects.base import TOKEN_KINDS
from streamgauge.protocol.dialects.by_pointer import ByPointer
from streamgauge.protocol.dialects.payload import Pointer, decode, texts_in, written
from streamgauge.protocol.record import StreamRecord
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import plural

_GROWS: Final = 3  # a field grows with the answer when it has so many different texts
_MANY_TIMES: Final = 3  # usage counts so many times the token events
_FEW_EVENTS: Final = 5
_ONE_WORD: Final = 1.5  # words a token event, on average
_MOST_EVENTS: Final = 2_000  # enough to see which fields grow


def reading_caveats(transcript: Transcript, record: StreamRecord) -> list[str]:
    """The caveats about one stream; empty for one whose dialect is uncertain, because nothing of it is believed."""
    if transcript.dialect is None or transcript.dialect_doubt is not None:
        return []
    return [*(_unlisted_events(transcript) or _unknown_texts(transcript)), *_hidden_tokens(transcript, record)]


def _unlisted_events(transcript: Transcript) -> list[str]:
    """Events with text where a [stream] table says that it is, under a name that the table does not list."""
    dialect = transcript.dialect
    if not isinstance(dialect, ByPointer):
        return []
    names = Counter(event.type for event in transcript.events[:_MOST_EVENTS] if dialect.left_out(event))
    return [
        f"{plural(count, 'event')} named {name!r} {'has' if count == 1 else 'have'} text where [stream] says that it "
        f"is, but `events` lists only {', '.join(repr(one) for one in sorted(dialect.events))}: if it is a part of "
        f"the answer, add {name!r} to events"
        for name, count in names.items()
        if count >= _GROWS
    ]


def _unknown_texts(transcript: Transcript) -> Iterator[str]:
    """Text fields beside the known ones whose text grows with the answer."""
    if transcript.dialect is None or not transcript.dialect.json_payload:
        return
    tokens: defaultdict[int, str] = defaultdict(str)
    for index, delta in transcript.deltas:
        if delta.kind in TOKEN_KINDS:
            tokens[index] += delta.text
    parents: set[Pointer] = set()
    unknown: defaultdict[Pointer, set[str]] = defaultdict(set)
    for index, event in enumerate(transcript.events[:_MOST_EVENTS]):
        for pointer, text in texts_in(decode(event.data)):
            if text in tokens[index] or (transcript.dialect.so_far and tokens[index] and tokens[index] in text):
                parents.add(pointer[:-1])
            else:
                unknown[pointer].add(text)
    for pointer, texts in unknown.items():
        beside = not parents or any(pointer[: len(parent)] == parent for parent in parents)
        name = pointer[-1] if pointer else ""
        if beside and len(texts) >= _GROWS:
            yield (
                f"the events have a text field `{name}` that {transcript.dialect.name} does not know (at "
                f"{written(pointer)}, {len(texts):,} different texts): if it is a part of the answer, its tokens are "
                "not counted and TTFT may be too late; a [stream] table in the target file can name it"
            )


def _hidden_tokens(transcript: Transcript, record: StreamRecord) -> Iterator[str]:
    """Usage that counts many more tokens than events which hold one word each."""
    events = len(record.token_reads)
    if record.tokens_source != "usage" or record.output_tokens is None or events < _FEW_EVENTS:
        return
    words = sum(len(text.split()) for _, text in transcript.tokens) / events
    if record.output_tokens >= _MANY_TIMES * events and words <= _ONE_WORD:
        yield (
            f"usage says {record.output_tokens:,} tokens, but {events:,} token events came with about one word each: "
            "the others were hidden (reasoning that is not sent) or in a field that was not read; TPOT and tokens/s "
            "count all of them"
        )
