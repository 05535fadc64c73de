"""The data of the figures, gathered from the records in bounded memory.

A first pass reads only the outline of each stream, to know the run's span. One full pass then accumulates the totals,
fills the time bins and keeps the lanes of the timeline. The event times of a stream are dropped with its record.
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

from streamgauge.metrics.condition import Condition
from streamgauge.metrics.facts import NEUTRAL, StreamFacts
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RecordReader, outlines
from streamgauge.units import MS, SECOND

MAX_ROWS: Final = 200_000
MAX_LANES: Final = 20
MAX_BINS: Final = 120
# A lane has about as many pixels; closer ticks would be drawn over each other.
TICKS_PER_LANE: Final = 300
_BATCH: Final = 50_000


class Lane(NamedTuple):
    """One stream of the timeline, ms since its start. `why` is the reason for its choice."""

    id: str
    outcome: str
    why: str
    headers: float | None
    tokens: list[float]
    end: float | None


@dataclass(frozen=True, slots=True)
class Streams:
    """The records of a run, condensed. `table` has a row for each stream (for every `stride`-th of a large run).

    `first_ns` is when the first stream began (epoch). `window_s`: the measured window begins and ends so many seconds
    later.
    """

    totals: Totals
    count: int
    first_ns: int
    torn: int
    stride: int
    table: pd.DataFrame
    rates: pd.DataFrame
    bin_s: float
    window_s: tuple[float, float] | None
    lanes: list[Lane]
    url: str
    dialects: list[str]


class _Choice:
    """Chooses the streams of the timeline: failures, the longest stalls, the slowest, a usual and the fastest first
    token, and some others.

    Each candidate is condensed at once, so that no record is read twice; `count` is the number of streams to come.
    """

    def __init__(self, count: int) -> None:
        self._all = count <= MAX_LANES  # all are shown, so "the slowest" would say nothing
        self._every = max(count // (4 * MAX_LANES), 1)
        self._slowest: list[tuple[int, int, Lane]] = []
        self._fastest: tuple[int, int, Lane] | None = None
        self._stalled: list[tuple[int, int, Lane]] = []
        self._failed: dict[str, list[tuple[int, Lane]]] = {}
        self._others: list[tuple[int, Lane]] = []

    def consider(self, index: int, stream: StreamFacts) -> None:
        record = stream.record
        if record.outcome not in NEUTRAL:
            chosen = self._failed.setdefault(record.outcome.value, [])
            if len(chosen) < 4:
                chosen.append((index, _lane(stream)))
        elif record.outcome is Outcome.OK and (self._all or index % self._every == 0):
            self._others.append((index, _lane(stream)))
        if stream.ttft_ns is not None:
            _keep_largest(self._slowest, stream.ttft_ns, index, stream)
            if record.outcome is Outcome.OK and (self._fastest is None or stream.ttft_ns < self._fastest[0]):
                self._fastest = stream.ttft_ns, index, _lane(stream)
        if stream.stalls_ns:
            _keep_largest(self._stalled, max(stream.stalls_ns), index, stream)

    def lanes(self) -> list[Lane]:
        """In the order in which they are shown."""
        chosen: dict[int, Lane] = {}
        # One stream of each kind of failure before a second of any kind.
        rounds = itertools.zip_longest(*self._failed.values())
        for index, lane in [found for row in rounds for found in row if found is not None][:8]:
            chosen[index] = lane  # its outcome is the reason
        for stall, index, lane in sorted(self._stalled, reverse=True):
            chosen.setdefault(index, lane._replace(why=f"stall {stall / SECOND:.1f} s"))
        if not self._all:
            for _, index, lane in sorted(self._slowest, reverse=True):
                chosen.setdefault(index, lane._replace(why="slowest first token"))
            for index, lane in self._usual_and_best():
                chosen.setdefault(index, lane)
        rest = [found for found in self._others if found[0] not in chosen]
        wanted = min(max(MAX_LANES - len(chosen), 0), len(rest))
        for position in range(wanted):
            index, lane = rest[position * len(rest) // wanted]
            chosen[index] = lane
        return list(chosen.values())

    def _usual_and_best(self) -> Iterator[tuple[int, Lane]]:
        """The stream in the middle of the even pick, and the one with the earliest first token of all."""
        ordered = sorted((found for found in self._others if found[1].tokens), key=lambda found: found[1].tokens[0])
        if ordered:
            index, lane = ordered[len(ordered) // 2]
            yield index, lane._replace(why="usual first token")
        if self._fastest is not None:
            _, index, lane = self._fastest
            yield index, lane._replace(why="fastest first token")


def _keep_largest(
    heap: list[tuple[int, int, Lane]], value: int, index: int, stream: StreamFacts, size: int = 4
) -> None:
    if len(heap) < size:
        heapq.heappush(heap, (value, index, _lane(stream)))
    elif (value, index) > heap[0][:2]:
        heapq.heapreplace(heap, (value, index, _lane(stream)))


def collect(
    directory: Path, slos: Iterable[Condition], reading_doubt: str | None = None, changes: str | None = None
) -> Streams | None:
    """Condense `streams.jsonl`; None when it holds no line at all. `reading_doubt` and `changes`: see `Totals`."""
    expected, first, last = 0, None, 0
    for outline in outlines(directory):
        expected += 1
        first = outline.start_ns if first is None else min(first, outline.start_ns)
        last = max(last, outline.left_ns)
    first = first or 0
    window = runs.window(directory)
    records, totals = RecordReader(directory), Totals(slos, window, reading_doubt=reading_doubt, changes=changes)
    choice, bins = _Choice(expected), _Bins(first, last)
    dialects: Counter[str] = Counter()
    rows: list[tuple[int, int, str, str | None, float | None, float | None]] = []
    stride, count, url = 1, 0, ""
    for count, record in enumerate(records, 1):
        stream = totals.add(record)
        choice.consider(count, stream)
        bins.add(record, stream.token_ns)
        url = url or record.url
        if record.dialect:
            dialects[record.dialect] += 1
        if count % stride == 0 and not record.warmup:
            rows.append((count, record.start_ns, record.outcome.value, record.scenario, stream.ttft_ns, record.end_ns))
            if len(rows) >= MAX_ROWS:
                stride *= 2
                rows = [row for row in rows if row[0] % stride == 0]
    if not count and not records.torn:
        return None
    return Streams(
        totals=totals,
        count=count,
        first_ns=first,
        torn=records.torn,
        stride=stride,
        table=_table(rows, first),
        rates=bins.rates(),
        bin_s=bins.width / SECOND,
        window_s=((window.begin_ns - first) / SECOND, (window.end_ns - first) / SECOND) if window else None,
        lanes=choice.lanes(),
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


def _lane(stream: StreamFacts) -> Lane:
    record = stream.record
    end = record.end_ns if record.end_ns is not None else record.closed_ns
    times = stream.token_ns
    span = max(times[-1] - times[0], 1) if times else 1
    distinct = {(at - times[0]) * TICKS_PER_LANE // span: at for at in reversed(times)}
    longest = max(stream.gaps_ns, default=0)
    return Lane(
        id=record.id,
        outcome=record.outcome.value,
        why="" if longest < 500 * MS else f"gap {longest / SECOND:.1f} s",
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
        self._at: list[float] = []  # counted in batches: numpy takes as long for 50 values as for 50,000
        self._weights: list[float] = []
        self.open_ns = np.zeros(self.bins)
        self.steps = np.zeros(self.bins + 1)

    def add(self, record: StreamRecord, tokens: list[int]) -> None:
        """Each token event weighs the stream's output tokens / its token events."""
        start = record.start_ns - self.first
        if tokens:
            self._at += [start + at for at in tokens]
            self._weights += [(record.output_tokens or len(tokens)) / len(tokens)] * len(tokens)
            if len(self._at) >= _BATCH:
                self._count()
        self._open(float(start), 1)
        self._open(float(start + (record.closed_ns or record.end_ns or 0)), -1)

    def _count(self) -> None:
        where = np.clip(np.asarray(self._at, dtype=np.float64) // self.width, 0, self.bins - 1).astype(np.int64)
        self.tokens += np.bincount(where, weights=self._weights, minlength=self.bins)
        self._at, self._weights = [], []

    def _open(self, at: float, change: int) -> None:
        """In its first and last bin, a stream counts for the part of the bin in which it was open."""
        where = min(max(int(at // self.width), 0), self.bins - 1)
        self.open_ns[where] += change * ((where + 1) * self.width - at)
        self.steps[where + 1] += change

    def rates(self) -> pd.DataFrame:
        self._count()
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
        # A last bin of less than a quarter would show an extreme rate that never lasted a whole bin.
        if self.bins > 1 and covered[-1] < self.width / 4:
            return frame.iloc[:-1]
        return frame
