"""Conversations of a load: TTFT by turn, how long sessions took, and how many were going on at once."""

from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from streamgauge.metrics.distributions import Distribution, distribution
from streamgauge.metrics.facts import ttft_ns
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord

LAST_TURN: Final = 10
"""Turns from this one on are counted together."""
_GOOD: Final = (Outcome.OK, Outcome.CANCELLED)
"""The answer came, or its user left. Every other turn failed, or was cut by the end of the run."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The streams that were turn `turn` of their sessions; with `and_later`, those of later turns too.

    `failed` of them failed or were cut.
    """

    turn: int
    and_later: bool = False
    streams: int
    failed: int
    prompt_tokens: float | None
    ttft_ms: Distribution | None


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """`sessions` of run.json. `time_ms` is from the start of a session's first turn to the end of its last one, over
    the sessions in which every turn succeeded; `busy_ms` leaves out the pauses between turns.

    `waiting` turns had no intended start: they followed an answer. Sessions with a turn in the warm-up have no time,
    and turns in the warm-up are in no TTFT.
    """

    sessions: int
    succeeded: int
    streams: int
    waiting: int
    most_open: int
    time_ms: Distribution | None
    busy_ms: Distribution | None
    turns: list[Turn]


class _Session:
    """The part of a session that has been recorded so far; ns of one clock."""

    def __init__(self) -> None:
        self.begin_ns: int | None = None
        self.end_ns: int | None = None
        self.busy_ns = 0
        self.succeeded = True
        self.warmup = False

    def add(self, record: StreamRecord) -> None:
        end_ns = record.start_ns + (record.closed_ns or 0)
        self.begin_ns = record.start_ns if self.begin_ns is None else min(self.begin_ns, record.start_ns)
        self.end_ns = end_ns if self.end_ns is None else max(self.end_ns, end_ns)
        self.busy_ns += record.closed_ns or 0
        self.succeeded = self.succeeded and record.outcome in _GOOD
        self.warmup = self.warmup or record.warmup


class _Turns:
    def __init__(self) -> None:
        self.streams = self.failed = self.asked = self.asked_tokens = 0
        self.ttft_ns = array("q")

    def add(self, record: StreamRecord) -> None:
        self.streams += 1
        self.failed += record.outcome not in _GOOD
        if record.asked_prompt_tokens is not None:
            self.asked += 1
            self.asked_tokens += record.asked_prompt_tokens
        if not record.warmup and (first := ttft_ns(record)) is not None:
            self.ttft_ns.append(first)


def sessions_of(records: Iterable[StreamRecord]) -> Sessions | None:
    """The figures of all records that belong to a session; None if none does."""
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
    succeeded = [session for session in sessions.values() if session.succeeded]
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
            )
            for turn, found in sorted(turns.items())
        ],
    )


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
