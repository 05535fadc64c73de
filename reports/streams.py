"""What the figures draw, gathered from the records in two passes and bounded memory.

The first pass accumulates the totals and chooses which streams to show; the second, which knows the run's span,
fills the time bins and keeps the chosen lanes. No stream's event times outlive the record they came in.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from harness.metrics import Totals, gaps_ns, stalls_ns, ttft_ns
from harness.record import StreamRecord
from harness.runs import RecordReader
from harness.slo import Slo
from harness.stream import Outcome
from harness.units import MS, SECOND

MAX_ROWS: Final = 200_000
MAX_LANES: Final = 20
MAX_BINS: Final = 120
# What cannot be told apart on a lane is drawn once.
TICKS_PER_LANE: Final = 300
MAX_FAILURE_KINDS: Final = 200

# Not a failure of the endpoint's: we left, or the run ended.
NEUTRAL: Final = frozenset({Outcome.OK, Outcome.CANCELLED, Outcome.INCOMPLETE})


class Failure(NamedTuple):
    """One way in which streams failed."""

    outcome: str
    status: int | None
    detail: str


class Lane(NamedTuple):
    """One stream of the timeline, ms since its start. `why` says what it was chosen for."""

    id: str
    outcome: str
    why: str
    headers: float | None
    tokens: list[float]
    end: float | None


@dataclass(frozen=True, slots=True)
class Streams:
    """The records of a run, condensed. `table` has a row a stream (every `stride`-th of a large run)."""

    totals: Totals
    count: int
    torn: int
    stride: int
    table: pd.DataFrame
    failures: Counter[Failure]
    rates: pd.DataFrame
    bin_s: float
    lanes: list[Lane]
    url: str
    dialects: list[str]


class _Records:
    """The readable records of a run directory; a line that decodes but contradicts itself counts as torn."""

    def __init__(self, directory: Path) -> None:
        self._reader = RecordReader(directory)
        self._contradictory = 0

    @property
    def torn(self) -> int:
        return self._reader.torn + self._contradictory

    def __iter__(self) -> Iterator[StreamRecord]:
        for record in self._reader:
            tokens = record.token_reads
            if tokens and not 0 <= min(tokens) <= max(tokens) < len(record.reads.at_ns):
                self._contradictory += 1
            else:
                yield record


class _Choice:
    """Which streams the timeline shows: failures, the slowest first tokens, the longest stalls, and some others."""

    def __init__(self) -> None:
        self._slowest: list[tuple[int, int]] = []
        self._stalled: list[tuple[int, int]] = []
        self._failed: dict[str, list[int]] = {}
        self._seen = 0

    def see(self, index: int, record: StreamRecord) -> None:
        self._seen += 1
        if record.outcome not in NEUTRAL:
            chosen = self._failed.setdefault(record.outcome.value, [])
            if len(chosen) < 4:
                chosen.append(index)
        if (ttft := ttft_ns(record)) is not None:
            _keep_largest(self._slowest, ttft, index)
        if stalls := stalls_ns(record):
            _keep_largest(self._stalled, max(stalls), index)

    def lanes(self, others: list[int]) -> dict[int, str]:
        """Index and reason, in the order of the lanes; `others` are streams that ended well."""
        chosen: dict[int, str] = {}
        # One of each kind of failure before a second of any.
        rounds = itertools.zip_longest(*self._failed.values())
        for index in [i for one in rounds for i in one if i is not None][:8]:
            chosen[index] = ""  # its outcome says it
        for stall, index in sorted(self._stalled, reverse=True):
            chosen.setdefault(index, f"stall {stall / SECOND:.1f} s")
        if self._seen > MAX_LANES:  # else all are shown, and slowest of a few says nothing
            for _, index in sorted(self._slowest, reverse=True):
                chosen.setdefault(index, "slowest first token")
        rest = [index for index in others if index not in chosen]
        wanted = max(MAX_LANES - len(chosen), 0)
        for position in range(min(wanted, len(rest))):
            chosen[rest[position * len(rest) // min(wanted, len(rest))]] = ""
        return chosen


def _keep_largest(heap: list[tuple[int, int]], value: int, index: int, size: int = 4) -> None:
    heapq.heappush(heap, (value, index))
    if len(heap) > size:
        heapq.heappop(heap)


def collect(directory: Path, slos: Iterable[Slo]) -> Streams | None:
    """Condense `streams.jsonl`; None when it holds no line at all."""
    records = _Records(directory)
    totals, choice = Totals(slos), _Choice()
    failures: Counter[Failure] = Counter()
    dialects: Counter[str] = Counter()
    rows: list[tuple[int, int, str, str | None, float | None, float | None]] = []
    stride, count, url = 1, 0, ""
    for count, record in enumerate(records, 1):
        totals.add(record)
        choice.see(count, record)
        url = url or record.url
        if record.dialect:
            dialects[record.dialect] += 1
        if record.outcome not in NEUTRAL:
            failure = Failure(record.outcome.value, record.status, record.detail or "")
            if failure in failures or len(failures) < MAX_FAILURE_KINDS:
                failures[failure] += 1
        if count % stride == 0 and not record.warmup:
            rows.append((count, record.start_ns, record.outcome.value, record.scenario, ttft_ns(record), record.end_ns))
            if len(rows) >= MAX_ROWS:
                stride *= 2
                rows = [row for row in rows if row[0] % stride == 0]
    if not count and not records.torn:
        return None
    first = totals.first_ns or 0
    chosen = choice.lanes([row[0] for row in rows if row[2] == Outcome.OK])
    bins = _Bins(first, totals.last_ns or first)
    kept: dict[int, Lane] = {}
    for index, record in enumerate(itertools.islice(_Records(directory), count), 1):
        bins.add(record)
        if index in chosen:
            kept[index] = _lane(record, chosen[index])
    return Streams(
        totals=totals,
        count=count,
        torn=records.torn,
        stride=stride,
        table=_table(rows, first),
        failures=failures,
        rates=bins.rates(),
        bin_s=bins.width / SECOND,
        lanes=[kept[index] for index in chosen if index in kept],
        url=url,
        dialects=sorted(dialects),
    )


def _table(rows: list[tuple[int, int, str, str | None, float | None, float | None]], first: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "start_s": pd.Series([(row[1] - first) / SECOND for row in rows], dtype="float64"),
            "outcome": pd.Series([row[2] for row in rows], dtype="object"),
            "scenario": pd.Series([row[3] for row in rows], dtype="object"),
            "ttft_ms": pd.Series([None if row[4] is None else row[4] / MS for row in rows], dtype="float64"),
            "e2e_ms": pd.Series([None if row[5] is None else row[5] / MS for row in rows], dtype="float64"),
        }
    )


def _lane(record: StreamRecord, why: str) -> Lane:
    end = record.end_ns if record.end_ns is not None else record.closed_ns
    times = record.token_ns
    span = max(times[-1] - times[0], 1) if times else 1
    distinct = {(at - times[0]) * TICKS_PER_LANE // span: at for at in reversed(times)}
    longest = max(gaps_ns(record), default=0)
    return Lane(
        id=record.id,
        outcome=record.outcome.value,
        why=why if why or longest < 500 * MS else f"gap {longest / SECOND:.1f} s",
        headers=None if record.headers_ns is None else record.headers_ns / MS,
        tokens=[at / MS for at in sorted(distinct.values())],
        end=None if end is None else end / MS,
    )


class _Bins:
    """Tokens and open streams over the run, in at most MAX_BINS bins of a round width."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.first = first_ns
        self.span = float(max(last_ns - first_ns, 1))
        steps = (step * 10**power for power in range(8, 19) for step in (1, 2, 5))
        self.width = next(width for width in steps if self.span / width <= MAX_BINS)
        self.bins = int(self.span // self.width) + 1
        self.tokens = np.zeros(self.bins)
        self.open_ns = np.zeros(self.bins)
        self.steps = np.zeros(self.bins + 1)

    def add(self, record: StreamRecord) -> None:
        """A token event weighs as many tokens as the stream had for each of its events."""
        start = float(record.start_ns - self.first)
        if record.token_reads:
            at = np.asarray(record.token_ns, dtype=np.float64) + start
            where = np.clip(at // self.width, 0, self.bins - 1).astype(np.int64)
            weight = (record.output_tokens or len(at)) / len(at)
            self.tokens += np.bincount(where, minlength=self.bins) * weight
        self._open(start, 1)
        self._open(start + float(record.closed_ns or record.end_ns or 0), -1)

    def _open(self, at: float, change: int) -> None:
        """A stream counts for the part of its first and last bin that it was open in."""
        where = min(max(int(at // self.width), 0), self.bins - 1)
        self.open_ns[where] += change * ((where + 1) * self.width - at)
        self.steps[where + 1] += change

    def rates(self) -> pd.DataFrame:
        covered = np.full(self.bins, float(self.width))
        covered[-1] = self.span - (self.bins - 1) * self.width
        full = np.cumsum(self.steps[:-1])
        open_ns = self.open_ns + full * self.width
        frame = pd.DataFrame(
            {
                "at_s": np.arange(self.bins) * self.width / SECOND,
                "tokens_per_s": self.tokens / np.maximum(covered, 1) * SECOND,
                "streams": np.maximum(open_ns / np.maximum(covered, 1), 0),
            }
        )
        # A sliver of a last bin would show a rate that nobody ever saw.
        if self.bins > 1 and covered[-1] < self.width / 4:
            return frame.iloc[:-1]
        return frame
