"""Conversations of a load: TTFT and cached tokens by turn, how sessions ended, how long they took, and how many were
going on at once.
"""

from array import array
from collections.abc import Callable, Iterable
from enum import StrEnum
from statistics import fmean
from typing import Final

import msgspec

from streamgauge.metrics.dependence import MOST_VALUES, Events, of_share
from streamgauge.metrics.distributions import Distribution, distribution, nearest_rank
from streamgauge.metrics.facts import NEUTRAL, share, ttft_ns
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord

LAST_TURN: Final = 10
"""Turns from this one on are counted together."""
_GOOD: Final = (Outcome.OK, Outcome.CANCELLED)
"""The answer came, or its user left. Every other turn failed, or was cut by the end of the run."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The streams that were turn `turn` of their sessions; with `and_later`, those of later turns too.

    `failed` of them failed or were cut. `cached_share` is the share of the prompt tokens that came from a cache, over
    the streams whose usage says it.
    """

    turn: int
    and_later: bool = False
    streams: int
    failed: int
    prompt_tokens: float | None
    ttft_ms: Distribution | None
    cached_share: float | None = None


class TurnsCompleted(msgspec.Struct, frozen=True):
    """How many turns of a session succeeded, over all sessions."""

    mean: float
    p50: float
    max: int


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """`sessions` of run.json. Of the sessions, `succeeded` played all their turns with success, `failed` had a turn
    that failed, and `unfinished` had neither when the run ended. `dependence`: so many sessions are worth an
    independent one for the share that failed (metrics/dependence.py).

    `time_ms` is from the start of a session's first turn to the end of its last one, over the sessions that succeeded;
    `busy_ms` leaves out the pauses between turns. `waiting` turns had no intended start: they followed an answer.
    Sessions with a turn in the warm-up have no time, and turns in the warm-up are in no TTFT.
    """

    sessions: int
    succeeded: int
    streams: int
    waiting: int
    most_open: int
    time_ms: Distribution | None
    busy_ms: Distribution | None
    turns: list[Turn]
    failed: int = 0
    unfinished: int = 0
    turns_completed: TurnsCompleted | None = None
    dependence: float = 1.0

    @property
    def ended(self) -> int:
        """The sessions that decide which share of them fails."""
        return self.succeeded + self.failed


class _End(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNFINISHED = "unfinished"


class _Session:
    """The part of a session that has been recorded so far; ns of one clock."""

    def __init__(self) -> None:
        self.begin_ns: int | None = None
        self.end_ns: int | None = None
        self.busy_ns = 0
        self.turns = self.good = 0
        self.failed = False
        self.warmup = False

    def add(self, record: StreamRecord) -> None:
        end_ns = record.start_ns + (record.closed_ns or 0)
        self.begin_ns = record.start_ns if self.begin_ns is None else min(self.begin_ns, record.start_ns)
        self.end_ns = end_ns if self.end_ns is None else max(self.end_ns, end_ns)
        self.busy_ns += record.closed_ns or 0
        self.turns += 1
        self.good += record.outcome in _GOOD
        self.failed = self.failed or record.outcome not in NEUTRAL
        self.warmup = self.warmup or record.warmup

    def end(self, planned: int | None) -> _End:
        """How the session ended; `planned` is the number of its turns, if known."""
        if self.failed:
            return _End.FAILED
        return _End.SUCCEEDED if self.good == self.turns and self.turns >= (planned or 0) else _End.UNFINISHED


class _Turns:
    def __init__(self) -> None:
        self.streams = self.failed = self.asked = self.asked_tokens = 0
        self.prompt_tokens = self.cached_tokens = 0  # of streams whose usage says both
        self.ttft_ns = array("q")

    def add(self, record: StreamRecord) -> None:
        self.streams += 1
        self.failed += record.outcome not in _GOOD
        if record.asked_prompt_tokens is not None:
            self.asked += 1
            self.asked_tokens += record.asked_prompt_tokens
        if record.usage_cached_tokens is not None and record.usage_prompt_tokens is not None:
            self.prompt_tokens += record.usage_prompt_tokens
            self.cached_tokens += record.usage_cached_tokens
        if not record.warmup and (first := ttft_ns(record)) is not None:
            self.ttft_ns.append(first)


def _not_known(_: str) -> None:
    return None


def sessions_of(records: Iterable[StreamRecord], planned: Callable[[str], int | None] = _not_known) -> Sessions | None:
    """The figures of the records that belong to a session; None without such a record.

    `planned` gives the number of turns of a session by its name. Where that is not known, a session that the end of the
    run cut in a pause between turns counts as one that succeeded.
    """
    sessions: dict[str, _Session] = {}
    turns: dict[int, _Turns] = {}
    later = False
    waiting = 0
    for record in records:
        if record.session is None:
            continue
        turn = record.turn or 1
        later = later or turn > LAST_TURN
        waiting += turn > 1 and record.intended_ns is None
        sessions.setdefault(record.session, _Session()).add(record)
        turns.setdefault(min(turn, LAST_TURN), _Turns()).add(record)
    if not sessions:
        return None
    ends = {name: session.end(planned(name)) for name, session in sessions.items()}
    succeeded = [session for name, session in sessions.items() if ends[name] is _End.SUCCEEDED]
    completed = sorted(session.good for session in sessions.values())
    by_start = sorted((session.begin_ns or 0, ends[name] is _End.FAILED) for name, session in sessions.items())
    return Sessions(
        sessions=len(sessions),
        succeeded=len(succeeded),
        streams=sum(found.streams for found in turns.values()),
        waiting=waiting,
        most_open=_most_open(sessions.values()),
        time_ms=distribution(_length_ns(session) for session in succeeded if not session.warmup),
        busy_ms=distribution(session.busy_ns for session in succeeded if not session.warmup),
        turns=[
            Turn(
                turn=turn,
                and_later=later and turn == LAST_TURN,
                streams=found.streams,
                failed=found.failed,
                prompt_tokens=round(found.asked_tokens / found.asked, 1) if found.asked else None,
                ttft_ms=distribution(found.ttft_ns),
                cached_share=_rounded(share(found.cached_tokens, found.prompt_tokens)),
            )
            for turn, found in sorted(turns.items())
        ],
        failed=sum(end is _End.FAILED for end in ends.values()),
        unfinished=sum(end is _End.UNFINISHED for end in ends.values()),
        turns_completed=TurnsCompleted(round(fmean(completed), 2), nearest_rank(completed, 0.5), completed[-1]),
        dependence=round(of_share(Events(failed for _, failed in by_start[-MOST_VALUES:])), 2),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _length_ns(session: _Session) -> int:
    return (session.end_ns or 0) - (session.begin_ns or 0)


def _most_open(sessions: Iterable[_Session]) -> int:
    """The most sessions between their first start and their last end at once, the pauses included."""
    edges: list[tuple[int, int]] = []
    for session in sessions:
        edges += [(session.begin_ns or 0, 1), (session.end_ns or 0, -1)]
    most = count = 0
    for _, change in sorted(edges):
        count += change
        most = max(most, count)
    return most
