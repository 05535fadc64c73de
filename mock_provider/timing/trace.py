"""Replay of recorded streams: the n-th stream with a trace gets the n-th row; after the last row the first follows.

A file is either CSV, with one stream a line as `ttft,gap,gap,...` in milliseconds and an optional header line, or the
`streams.jsonl` of a run. Of that only the fields `sent_ns`, `reads.at_ns` and `token_reads` are used.

The header `ttft_s`, `ttft_ms`, `ttft_us` or `ttft_ns` says the unit of a CSV file.
"""

import csv
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from streamgauge.mock_provider.timing.base import bounded_ns
from streamgauge.mock_provider.user_files import lines, open_text

FEWEST_GAPS = 3  # fewer say nothing about the unit
MOST_ROWS = 100_000
MOST_GAPS = 4_000_000  # 32 MB in memory
NS_PER_MS = 1_000_000
UNITS_NS = {"s": 1_000_000_000, "ms": NS_PER_MS, "us": 1_000, "ns": 1}
FASTEST_GAP_NS = NS_PER_MS // 5
"""5,000 tokens/s: gaps below it are seconds that were read as milliseconds, unless the header says the unit."""


class Row(NamedTuple):
    """The times of one recorded stream in nanoseconds; there is one gap less than token events."""

    ttft_ns: int
    gaps_ns: Sequence[int]


@dataclass(slots=True)
class Replayed:
    """The gaps of a row in order, repeated if the stream is longer than the recorded one."""

    gaps: Iterator[int]

    def draw_ns(self, random: Random) -> int:  # noqa: ARG002 (the protocol's signature)
        """The next gap."""
        return next(self.gaps, 0)


def replay(row: Row) -> Replayed:
    """The delays between the tokens of one stream."""
    return Replayed(cycle(row.gaps_ns))


class Trace:
    """The rows of one file, handed out in order."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = cycle(rows)

    def take(self) -> Row:
        """The next stream's row."""
        return next(self._rows)


def load(path: Path) -> Trace:
    """Reads a trace; ValueError says what is wrong with the file."""
    try:
        with open_text(path) as file:
            start = file.read(1)
            file.seek(0)
            text = lines(file, path)
            rows = _bounded(_records(text) if start == "{" else _csv(text), path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is neither CSV nor JSON lines: {error}") from None
    if not rows:
        raise ValueError(f"{path} has no stream with a token")
    return Trace(rows)


def _bounded(rows: Iterable[Row], path: Path) -> list[Row]:
    kept: list[Row] = []
    gaps = 0
    for row in rows:
        kept.append(row)
        gaps += len(row.gaps_ns)
        if len(kept) > MOST_ROWS or gaps > MOST_GAPS:
            raise ValueError(f"{path} has more than {MOST_ROWS} streams or {MOST_GAPS} gaps")
    return kept


def _csv(text: Iterable[str]) -> Iterator[Row]:
    unit_ns, certain = NS_PER_MS, False
    for number, cells in enumerate(csv.reader(text), 1):
        if not cells:
            continue
        if number == 1 and cells[0].strip().startswith("ttft"):
            unit_ns, certain = _unit(cells[0].strip())
            continue
        try:
            times = [float(cell) * unit_ns for cell in cells if cell.strip()]
            if not times or not all(0 <= time < float("inf") for time in times):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"line {number}: expected milliseconds of 0 or more, got {','.join(cells)[:80]!r}"
            ) from None
        if not certain and _too_fast(times[1:]):
            raise ValueError(
                f"line {number}: most gaps are below 0.2 ms, which no model reaches; if they are seconds, make "
                "ttft_s the first line, and if they are milliseconds, ttft_ms"
            )
        yield Row(bounded_ns(times[0]), array("q", map(bounded_ns, times[1:])))


def _unit(header: str) -> tuple[int, bool]:
    """The unit of a header, and whether the header says it."""
    if header == "ttft":
        return NS_PER_MS, False
    unit = header.removeprefix("ttft_")
    if unit not in UNITS_NS:
        raise ValueError(f"line 1: {header[:40]!r} has no known unit; write ttft_s, ttft_ms, ttft_us or ttft_ns")
    return UNITS_NS[unit], True


def _too_fast(gaps: Sequence[float]) -> bool:
    """Whether the middle one of the gaps above 0 is shorter than any model's. Gaps of 0 are tokens of one read."""
    positive = sorted(gap for gap in gaps if gap > 0)
    return len(positive) >= FEWEST_GAPS and positive[len(positive) // 2] < FASTEST_GAP_NS


def _records(text: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            at_ns = record.get("reads", {}).get("at_ns", [])
            times = [at_ns[read] for read in record.get("token_reads", [])]
            first = times[0] - record.get("sent_ns", 0) if times else 0
            gaps = [later - earlier for earlier, later in pairwise(times)]
            row = Row(bounded_ns(first), array("q", map(bounded_ns, gaps)))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise ValueError(f"line {number} is not a record of a stream: {error}") from None
        if times:  # a stream that failed before its first token has nothing to replay
            yield row
