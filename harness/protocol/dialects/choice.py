"""Which dialect a run speaks, from all evidence of one whole stream: a pure decision, made once a run.

The order of the evidence: the dialect that the user named (then nothing is decided here), the URL's path, a response
header, the majority of the payloads. Errors, heartbeats, comments and end markers are no evidence: gateways put them
in front of any stream.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import NDJSON_TYPES, Dialect, Kind, Media
from streamgauge.protocol.dialects.foreign import lone_error, own_events
from streamgauge.protocol.dialects.payload import Pointer, decode, texts_in, written
from streamgauge.protocol.dialects.text_payload import AROUND
from streamgauge.protocol.eventstream import Event
from streamgauge.wire import Head

SETTLE: Final = "say --dialect NAME, or describe the payloads with a [stream] table in the target file"


_MOST_GUESSED: Final = 200  # payloads, enough to see where the text is
_AI_SDK_4: Final = "x-vercel-ai-data-stream"  # lines such as `0:"text"`


class Choice(NamedTuple):
    """The dialect of a run, why it was chosen, and why it is uncertain (`doubt`; None where it is certain).

    `dialect` is None when the stream has no evidence: it has only errors, heartbeats and comments.
    """

    dialect: Dialect | None
    reason: str | None = None
    doubt: str | None = None


class Origin(NamedTuple):
    """The evidence outside of the events: the URL's path, and the response head."""

    path: str = ""
    head: Head | None = None


def announced(origin: Origin, media: Media = Media.SSE) -> Choice:
    """The dialect that the URL's path or a response header tells, before any event has come."""
    by_path = dialects.at_path(origin.path)
    if by_path is not None and by_path.media is media:
        return Choice(by_path, f"the URL's path is that of {by_path.name}")
    for dialect in dialects.DIALECTS:
        mark = dialect.header
        if origin.head is not None and mark is not None and dialect.media is media and origin.head.get(mark):
            return Choice(dialect, f"the response has the header {mark}")
    return Choice(None)


def choose(origin: Origin, events: Sequence[Event], media: Media = Media.SSE) -> Choice:
    """The dialect of a stream with these events."""
    told = announced(origin, media)
    payloads = evidence(events)
    by_payloads = _by_majority(payloads, media, origin.head)
    if told.dialect is None:
        return by_payloads
    strange = unknown_to(payloads, told.dialect)
    if len(strange) * 2 <= len(payloads):
        return told
    if by_payloads.dialect is None or not by_payloads.dialect.json_payload:
        if told.dialect.header is not None:  # a header names its dialect; a path only makes it likely
            return told
        return told._replace(doubt=_doubt(told, f"{len(strange):,} of {len(payloads):,} payloads have no part of it"))
    if len(strange) == len(payloads) and by_payloads.doubt is None:
        return by_payloads
    return by_payloads._replace(doubt=_doubt(told, f"{len(strange):,} of {len(payloads):,} payloads look otherwise"))


def evidence(events: Sequence[Event]) -> list[Event]:
    """The events that tell something about the dialect."""
    found = own_events([event for event in events if event.data])
    if lone_error(found) is not None:
        return []
    # White space alone may be a token of a text, or keep a connection alive: other payloads tell more.
    return [event for event in found if event.data.strip()] or found


def specific(event: Event, media: Media) -> Dialect | None:
    """The dialect with JSON payloads whose shape this event has; None for text and for an unknown shape."""
    return next(
        (one for one in dialects.DIALECTS if one.media is media and one.json_payload and one.sniff(event)), None
    )


def _by_majority(payloads: list[Event], media: Media, head: Head | None) -> Choice:
    if not payloads:
        return Choice(None, "no event tells it")
    if media is Media.TEXT:
        return _plain_text(head)
    likely = [specific(event, media) for event in payloads]
    votes = Counter(dialect.name for dialect in likely if dialect is not None)
    texts = sum(dialect is None and not _is_json(event) for dialect, event in zip(likely, payloads, strict=True))
    if votes and votes.most_common(1)[0][1] >= texts:
        voted = dialects.by_name(votes.most_common(1)[0][0])
        if not _only_around(payloads, voted):
            return _most_voted(payloads, voted)
    return _text(payloads) if media is Media.SSE else _unknown_lines(payloads)


def _only_around(payloads: list[Event], dialect: Dialect) -> bool:
    """Whether the dialect knows few payloads, and those have names of any framework: LangServe begins as LangGraph."""
    strange = unknown_to(payloads, dialect)
    return len(strange) * 2 > len(payloads) and all(event in strange or event.type in AROUND for event in payloads)


def _most_voted(payloads: list[Event], dialect: Dialect) -> Choice:
    """The dialect with most votes. It is uncertain when at least half of the payloads have nothing that it knows."""
    alike = Counter(why for event in payloads if (why := dialect.sniff(event)))
    shown = alike.most_common(1)[0][0]
    reason = f"{alike.total():,} of {len(payloads):,} payloads look like it, most of them as {shown}"
    strange = unknown_to(payloads, dialect)
    choice = Choice(dialect, reason)
    if len(strange) * 2 < len(payloads):
        return choice
    first, other = strange[0], specific(strange[0], dialect.media)
    looks = f"looks like {other.name}" if other is not None else "has nothing that it knows"
    more = f"as have {len(strange) - 1:,} more of {len(payloads):,}" if len(strange) > 1 else "and no other follows"
    return choice._replace(doubt=_doubt(choice, f"the event at byte {first.offset:,} {looks}, {more}"))


def unknown_to(payloads: Sequence[Event], dialect: Dialect | None) -> list[Event]:
    """The payloads that the dialect does not know: all, where there is no dialect."""
    return [
        event
        for event in payloads
        if dialect is None
        or (dialect.sniff(event) is None and all(delta.kind is Kind.META for delta in dialect.deltas_in(event)))
    ]


def _text(payloads: list[Event]) -> Choice:
    """An event stream without a payload that any dialect with JSON knows: text, or JSON of an unknown shape."""
    is_json = list(map(_is_json, payloads))
    texts = [event for event, json in zip(payloads, is_json, strict=True) if not json]
    named = sum(event.type != "message" for event in texts or payloads)
    name = "event-text" if named * 2 > len(texts or payloads) else "raw-text"
    if len(texts) * 2 > len(payloads):
        dialect = dialects.amid_json(name)
        return Choice(dialect, f"{len(texts):,} of {len(payloads):,} payloads are text, which no other dialect has")
    choice = Choice(dialects.by_name(name), "no other dialect has such payloads")
    return choice._replace(
        doubt=_doubt(
            choice, f"{sum(is_json):,} of {len(payloads):,} payloads are JSON of another shape{_likely_text(payloads)}"
        )
    )


def _likely_text(payloads: list[Event]) -> str:
    """A guess at the place of the text, for the user who describes the shape: where most different texts are."""
    found: defaultdict[Pointer, set[str]] = defaultdict(set)
    for event in payloads[:_MOST_GUESSED]:
        for pointer, text in texts_in(decode(event.data)):
            found[pointer].add(text)
    place, texts = max(found.items(), key=lambda item: len(item[1]), default=((), set()))
    return f' (the text may be at text = "{written(place)}")' if len(texts) > 1 else ""


def _is_json(event: Event) -> bool:
    """Whether the payload is JSON that no text would be: a word, a number or null may be text."""
    return isinstance(decode(event.data), (dict, list))


def _unknown_lines(payloads: list[Event]) -> Choice:
    choice = Choice(dialects.by_name("plain-text"), f"no dialect recognises its {len(payloads):,} lines of JSON")
    return choice._replace(doubt=_doubt(choice, f"its lines are JSON objects{_likely_text(payloads)}"))


def _plain_text(head: Head | None) -> Choice:
    media = None if head is None else head.media_type
    choice = Choice(dialects.by_name("plain-text"), f"Content-Type is {media}")
    if media in NDJSON_TYPES:
        return choice._replace(doubt=_doubt(choice, "it is labelled as lines of JSON"))
    if head is not None and head.get(_AI_SDK_4):
        return choice._replace(doubt=_doubt(choice, f"the header {_AI_SDK_4} says that its lines are coded"))
    return choice


def _doubt(choice: Choice, but: str) -> str:
    name = "" if choice.dialect is None else choice.dialect.name
    return f"the stream looked like {name} because {choice.reason}, but {but}; {SETTLE}"
