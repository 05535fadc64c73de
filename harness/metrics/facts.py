"""What metrics are computed from: facts of one stream (of its record), and facts of a whole run.

A fact that several metrics need is computed once here; metrics/definitions.py turns facts into metrics.
"""

import operator
from collections.abc import Sequence
from math import inf
from statistics import median
from typing import Final, NamedTuple

from streamgauge.metrics.validity import arrival_waits_ns, itl_bounds_ns, ttft_bound_ns
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS

STALL_FLOOR_NS: Final = 500 * MS
STALL_FACTOR: Final = 10
NEUTRAL: Final = frozenset({Outcome.OK, Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.CLIENT_LIMIT})
"""Outcomes that are not a failure of the endpoint: it answered, the client left, had no means to go on, or the run
ended."""
CUT: Final = frozenset({Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.CLIENT_LIMIT})
"""Outcomes of streams that this client ended or never began: neither a success nor a failure of the endpoint."""
_WAITING: Final = frozenset({Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.TIMEOUT, Outcome.STALLED})
"""Outcomes of streams that were still waiting when they ended: the user left, the run ended, or this client gave up."""
_NO_END: Final = _WAITING | {Outcome.CLIENT_LIMIT, Outcome.HTTP_ERROR}
"""Outcomes without an e2e: a stream that was cut has no end of its own, and an endpoint that refuses is not fast."""
_CONTENT_ENDED: Final = frozenset({Outcome.OK, Outcome.ERROR_EVENT, Outcome.EMPTY})
LATE_NS: Final = 10 * MS
"""An arrival is late when it starts this long after its time. Peers aim at less (inference-perf's schedule delay)."""


class StreamFacts:
    """One stream's record, and what several metrics need of it. All times are ns since the stream's start."""

    __slots__ = (
        "cut_ns", "delay_ns", "end_ns", "gaps_ns", "itl_bounds_ns", "record", "stalls_ns", "token_ns", "ttft_bound_ns",
        "ttft_ns",
    )  # fmt: skip

    def __init__(self, record: StreamRecord) -> None:
        # `Totals.add` builds one of these for every stream under load: about 30 µs for 50 tokens.
        self.record = record
        self.token_ns = tokens = record.token_ns
        self.ttft_ns = tokens[0] if tokens else None
        self.gaps_ns = gaps = gaps_of(tokens)
        silent_ns = last_silence_ns(record)
        self.stalls_ns = stalls_of(gaps, silent_ns)
        self.end_ns = None if record.outcome in _NO_END else record.end_ns
        self.cut_ns = record.closed_ns if _was_waiting(record) else None
        if self.cut_ns is not None and silent_ns is not None and silent_ns in self.stalls_ns:
            self.gaps_ns = [*gaps, silent_ns]  # the next gap is at least so long
        self.delay_ns = schedule_delay_ns(record)
        waits = arrival_waits_ns(record)
        self.itl_bounds_ns = itl_bounds_ns(record, waits)
        self.ttft_bound_ns = ttft_bound_ns(record, waits)

    @property
    def failed(self) -> bool:
        """Whether the endpoint failed the stream: it neither ended well nor was cut by this client."""
        return self.record.outcome not in NEUTRAL

    def adjusted_ns(self, value_ns: float | None) -> float | None:
        """A value of the stream, infinite where the stream failed: its user never got what the stream was for."""
        return inf if self.failed else value_ns

    def waited_ns(self, at_ns: int | None) -> int | None:
        """How long the stream had waited for an event when it was cut; None when the event came, or without a cut."""
        return self.cut_ns if at_ns is None else None

    def from_intended(self, at_ns: int | None) -> int | None:
        """A time since the actual start, as time since the intended start; None without one."""
        return None if at_ns is None or self.delay_ns is None else at_ns + self.delay_ns


class RunFacts(NamedTuple):
    """Counts over the measured streams of a run. `seconds` is the length of the measured window.

    `judged` are the streams that ended by themselves. `goodput` is the share of all streams that are known to be good,
    and `good` their number; None where no objective asks something of a stream.
    `window_tokens` and `window_events` arrived in the window, whichever stream they belong to. `prompt_tokens` are
    those of streams whose usage says how many of them, `cached_tokens`, came from a cache. `sessions_ended` are those
    that succeeded or failed.
    """

    seconds: float = 0.0
    streams: int = 0
    judged: int = 0
    ok: int = 0
    goodput: float | None = None
    good: int | None = None
    window_tokens: float = 0.0
    window_events: float = 0.0
    token_events: int = 0
    gaps: int = 0
    coalesced: int = 0
    merged: int = 0
    stalls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    busiest_core: float | None = None
    sessions_ended: int = 0
    sessions_failed: int = 0

    def per_second(self, count: float) -> float | None:
        """A count as a rate over the window; None when nothing was counted."""
        return rate(count, self.seconds)


def rate(count: float, seconds: float) -> float | None:
    """A count per second; None when nothing was counted, and for no time."""
    return round(count / seconds, 3) if count and seconds > 0 else None


def share(part: float, whole: float) -> float | None:
    """A fraction; None of nothing."""
    return part / whole if whole else None


def mean(values: Sequence[int]) -> float | None:
    """The arithmetic mean; None of nothing."""
    return sum(values) / len(values) if values else None


def ttft_ns(record: StreamRecord) -> int | None:
    """First token event − start."""
    return record.reads.at_ns[record.token_reads[0]] if record.token_reads else None


def schedule_delay_ns(record: StreamRecord) -> int | None:
    """Actual − intended start; None in a closed loop without shared connections."""
    return None if record.intended_ns is None else record.start_ns - record.intended_ns


def gaps_ns(record: StreamRecord) -> list[int]:
    """Gaps between successive token events."""
    return gaps_of(record.token_ns)


def gaps_of(times: list[int]) -> list[int]:
    """Differences between successive times."""
    return list(map(operator.sub, times[1:], times))


def tpot_ns(record: StreamRecord) -> float | None:
    """(last token − first token) / (output tokens − 1); None with fewer than two token events or output tokens."""
    tokens, at = record.token_reads, record.reads.at_ns
    if len(tokens) < 2 or record.output_tokens is None or record.output_tokens < 2:
        return None
    return (at[tokens[-1]] - at[tokens[0]]) / (record.output_tokens - 1)


def stalls_of(gaps: list[int], last: int | None = None) -> list[int]:
    """The gaps that count as stalls: above max(STALL_FACTOR × median, STALL_FLOOR_NS). `last` is a gap without a token
    behind it (see `last_silence_ns`); it can be a stall, but the median is that of the other gaps.
    """
    # Most streams have no gap as long as the floor, and a median costs more than a maximum.
    silences = gaps if last is None else [*gaps, last]
    if not silences or max(silences) <= STALL_FLOOR_NS:
        return []
    limit = max(STALL_FACTOR * median(gaps or [0]), STALL_FLOOR_NS)
    return [gap for gap in silences if gap > limit]


def last_silence_ns(record: StreamRecord) -> int | None:
    """From the last token to the end of a stream whose content had not ended; None for any other stream.

    No token came behind it, so it is not a gap: without this, a stream that stalls for ever would have no stall. A
    stream that was cut after a single token may be a slow one: its pace is not known.
    """
    ended = record.outcome in _CONTENT_ENDED or record.finish_reason is not None
    if (
        ended
        or (record.outcome in CUT and len(record.token_reads) < 2)
        or not record.token_reads
        or record.closed_ns is None
    ):
        return None
    return record.closed_ns - record.reads.at_ns[record.token_reads[-1]]


def _was_waiting(record: StreamRecord) -> bool:
    """Whether the stream was still waiting when it ended; one that this client could not even ask for was not."""
    return record.outcome in _WAITING or (record.outcome is Outcome.CLIENT_LIMIT and record.sent_ns is not None)


def coalesced(record: StreamRecord) -> int:
    """Token events that shared a read with the one before: their gap of 0 says nothing about the server."""
    return len(record.token_reads) - len(set(record.token_reads))
