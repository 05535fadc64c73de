"""How the streams of a run end, learned from its first streams: with an end marker, a finish reason or only the body.

Hand-written servers often write no end marker, and some gateways drop the one that their dialect prescribes. Without
this, every stream of theirs would count as truncated.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import End

STREAMS: Final = 3
"""So many streams must end alike before a missing end marker is taken for the way of this endpoint."""


class StreamEnd(NamedTuple):
    """How streams end, the evidence for it, and what the user must know about it."""

    ends: Ends
    reason: str | None = None
    caveat: str | None = None


def learn_end(given: Ends, first: Transcript, ask: Callable[[], Transcript]) -> StreamEnd:
    """How the streams end after `first`. `ask` makes another stream; it is called only where `first` had no marker.

    What the user has said (`given`) is not doubted.
    """
    if given is not Ends.AUTO:
        return StreamEnd(given, "the user said so")
    dialect = first.dialect
    if first.first(Kind.DONE) is not None and first.outcome is Outcome.OK:
        return StreamEnd(Ends.MARKER, "the first stream had an end marker")
    if dialect is None or dialect.terminal is None or not _unmarked(first):
        return StreamEnd(Ends.AUTO)
    owed = first.outcome is Outcome.TRUNCATED  # the dialect prescribes the marker
    if owed and first.first(Kind.FINISH) is None:
        return StreamEnd(Ends.AUTO)
    for _ in range(STREAMS - 1):
        other = ask()
        if other.first(Kind.DONE) is not None:
            return StreamEnd(Ends.MARKER, "one of the first streams had an end marker, and one had not")
        if not _unmarked(other) or (owed and other.first(Kind.FINISH) is None):
            return StreamEnd(Ends.AUTO)
    reason = f"the first {STREAMS} streams ended properly without an end marker"
    if not owed:
        return StreamEnd(Ends.CLOSE, reason)
    caveat = (
        f"{dialect.name} prescribes an end marker ({dialect.terminal}), but {reason}: in this run a finish reason and "
        "a proper end of the body are enough"
    )
    return StreamEnd(Ends.FINISH, reason, caveat)


def _unmarked(stream: Transcript) -> bool:
    """Whether the body ended properly after text, without an error, and only the end marker is missing."""
    ended_well = stream.capture.end is End.COMPLETE and stream.outcome in (Outcome.OK, Outcome.TRUNCATED)
    return ended_well and bool(stream.tokens) and stream.first(Kind.DONE) is None
