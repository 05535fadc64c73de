"""A stream as a search sees it: when it ran, how it ended, and its value for each objective."""

from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.protocol.outcome import Outcome

REFUSALS: Final = frozenset({429, 503, 529})
"""HTTP statuses of a server that has no room: RFC 6585 section 4, RFC 9110 section 15.6.4, and Anthropic's own."""


class Fate(StrEnum):
    """How a stream ended. A cut stream was still running when this client ended it, and is neither good nor bad."""

    OK = "ok"
    REFUSED = "refused"
    BROKEN = "broken"
    CUT = "cut"


class Value(NamedTuple):
    """A stream's value for an objective, and how many of its `of` measurements miss the limit.

    A stream has one measurement, except for a pooled metric, where each gap is one. `certain` misses stay misses when
    the error of this client is taken off; `possible` misses are all that were measured.
    """

    value: float
    certain: int
    possible: int
    of: int = 1


class Stream(NamedTuple):
    """Times are seconds on one clock. `values` has one entry for each objective; None where the stream has no value."""

    start_s: float
    end_s: float
    fate: Fate
    values: tuple[Value | None, ...]
    tokens: int = 0
    prompt_tokens: int = 0
    replica: str | None = None


def fate_of(outcome: Outcome, status: int | None) -> Fate:
    """How a stream with this outcome ended."""
    if outcome is Outcome.OK:
        return Fate.OK
    if outcome in (Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.CLIENT_LIMIT):
        return Fate.CUT
    return Fate.REFUSED if outcome is Outcome.HTTP_ERROR and status in REFUSALS else Fate.BROKEN
