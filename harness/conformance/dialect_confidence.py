"""Whether the dialect that the first event suggests fits the later events.

A wrong guess would blame an endpoint for rules that it never promised to keep. So a contradiction makes the checks
that rest on the guess inconclusive, with the reason; `--dialect` settles it.
"""

from collections import defaultdict

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import NDJSON_TYPES, Delta, Dialect, Kind, Media
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.transcript import Transcript

SETTLE = "--dialect NAME, if you know the endpoint's dialect"


def dialect_doubt(transcript: Transcript) -> str | None:
    """Why the detected dialect is uncertain; None when it is certain, or was not detected."""
    dialect, rule = transcript.dialect, transcript.dialect_rule
    if dialect is None or rule is None:
        return None
    but = _contradiction(transcript, dialect)
    return f"the stream looked like {dialect.name} because {rule}, but {but}; say --dialect NAME" if but else None


def _contradiction(transcript: Transcript, dialect: Dialect) -> str | None:
    events = [(index, event) for index, event in enumerate(transcript.events) if event.data]
    if dialect.media is Media.TEXT:
        head = transcript.capture.head
        labelled = head is not None and head.media_type in NDJSON_TYPES
        return "it is labelled as lines of JSON" if labelled else None
    if not dialect.json_payload:
        # Text of which more than half is JSON objects is not text, but an unknown shape.
        objects = sum(isinstance(decode(event.data), dict) for _, event in events)
        return f"{objects:,} of {len(events):,} payloads are JSON objects" if objects * 2 > len(events) else None
    deltas: dict[int, list[Delta]] = defaultdict(list)
    for index, delta in transcript.deltas:
        deltas[index].append(delta)
    later = events[1:]
    strange = [
        event
        for index, event in later
        if all(delta.kind is Kind.META for delta in deltas[index]) and dialect.sniff(event) is None
    ]
    if len(strange) * 2 <= len(later):
        return None
    first = strange[0]
    alike = _other(first, dialect)
    looks = f"looks like {alike.name}" if alike is not None else "has nothing that it knows"
    of_them = f"as have {len(strange) - 1:,} more of {len(later):,}" if len(strange) > 1 else "and no other follows"
    return f"the event at byte {first.offset:,} {looks}, {of_them}"


def _other(event: Event, guessed: Dialect) -> Dialect | None:
    """Another dialect that the event looks like, or None."""
    return next(
        (one for one in dialects.DIALECTS if one is not guessed and one.json_payload and one.sniff(event)), None
    )
