"""How many streams were open at once, and whether the endpoint serves one at a time: from the records' intervals.

A server that answers one request after the other (a synchronous worker, a blocking generator in an event loop) looks
fast alone and streams evenly. Only under load a stream waits for all the streams in front of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from io import RawIOBase
from statistics import fmean, median
from typing import Final, NamedTuple

import msgspec

from streamgauge.metrics.facts import StreamFacts, ttft_ns
from streamgauge.metrics.rows import Rows
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND, ns_to_ms, show_ms

LEAST_STREAMS: Final = 5  # fewer waiting streams could be in a row by chance
SAME_TIME_NS: Final = 5 * MS  # overlap that two clocks or two reads can make
OVERLAPPING: Final = 0.05  # share of the streams behind others that may overlap nevertheless
EXPECTED_OVERLAPS: Final = 5  # so many would overlap by chance if the server served more than one
LEAST_SPAN: Final = 0.25  # least part of its service in which a stream has tokens: bursts hardly overlap anywhere
OWN_TIME: Final = 0.7  # least part of the fastest TTFT that a stream needs when those in front are served
BUSY: Final = 0.6  # least share of the time in which the server must have been serving: else it waited for something
OWN_TIMES: Final = 3  # a stream in service needs at most so many times the TTFT alone; the rest was spent otherwise
_NEVER: Final = -1  # in a column of whole numbers: no token came
GROWTH: Final = 1.5  # a TTFT behind others at least this many times the TTFT alone


class Interval(NamedTuple):
    """One stream that brought tokens: when it was asked for, and its first and last token; ns on one clock."""

    start_ns: float
    first_ns: float
    last_ns: float


class Stay(NamedTuple):
    """When a stream was open (epoch ns), and its TTFT (ns); None without a token."""

    start_ns: int
    closed_ns: int
    ttft_ns: int | None


class _Span(NamedTuple):
    """A stream of a load, ns on one clock: start and end, its intended start, first and last token, and its process."""

    start: int
    closed: int
    wanted: int
    first: int
    last: int
    worker: int


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """`alone` of run.json: the one stream that was read before the load began."""

    ttft_ms: float | None
    e2e_ms: float | None

    @property
    def ttft_ns(self) -> float | None:
        return None if self.ttft_ms is None else self.ttft_ms * MS


def alone(record: StreamRecord) -> Alone:
    """The figures of the stream before the load."""
    first, end = ttft_ns(record), StreamFacts(record).end_ns
    return Alone(ttft_ms=None if first is None else ns_to_ms(first), e2e_ms=None if end is None else ns_to_ms(end))


class OneAtATime(msgspec.Struct, frozen=True, kw_only=True):
    """The finding that an endpoint serves one stream at a time.

    `behind` streams came while another was served or waited; `overlapping` of them had tokens before that one's last.
    `in_front` is the mean number of streams in front of such a stream, `ttft_ms` its median TTFT. `alone_ttft_ms` is
    the TTFT of the stream before the load; absent where that one was no faster, because it met a cold server.
    """

    behind: int
    overlapping: int
    in_front: float
    alone_ttft_ms: float | None
    fastest_ttft_ms: float
    ttft_ms: float

    @property
    def says(self) -> str:
        """The finding in a sentence."""
        fastest = self.fastest_ttft_ms if self.alone_ttft_ms is None else self.alone_ttft_ms
        when = "at best" if self.alone_ttft_ms is None else "alone"
        return (
            f"the endpoint serves one stream at a time: of {self.behind:,} streams that came behind others, "
            f"{self.overlapping:,} had a token before the last token of the stream in front. A first token took "
            f"{show_ms(round(fastest * MS))} {when} and {show_ms(round(self.ttft_ms * MS))} (p50) behind "
            f"{self.in_front:.1f} others"
        )


def one_at_a_time(intervals: Iterable[Interval], alone_ttft_ns: float | None = None) -> OneAtATime | None:
    """The finding; None where streams overlap, where there is too little to tell, or where something else delayed them.

    Two streams served side by side in exact alternation need not overlap either. But then less than half of a TTFT lies
    between the last token of one and the first of the next: a server that takes one at a time needs a whole TTFT there.

    `alone_ttft_ns` is the TTFT of one stream before the load. The first request to a cold server is slow: if it was no
    faster than streams behind others, the fastest stream of the load takes its place.
    """
    served = sorted(intervals, key=lambda one: (one.first_ns, one.last_ns))
    if len(served) < LEAST_STREAMS:
        return None
    ends = [served[0].last_ns]  # when the streams so far were all served
    waited: list[float] = []
    own_ns: list[float] = []  # from there to the first token
    in_front: list[int] = []
    for one in served[1:]:
        if one.start_ns < ends[-1]:
            waited.append(one.first_ns - one.start_ns)
            own_ns.append(one.first_ns - ends[-1])
            in_front.append(len(ends) - bisect_right(ends, one.start_ns))
        ends.append(max(ends[-1], one.last_ns))
    if len(waited) < LEAST_STREAMS:
        return None
    fastest_ns = min(one.first_ns - one.start_ns for one in served)
    is_cold = alone_ttft_ns is None or median(waited) < GROWTH * alone_ttft_ns
    alone_ns = fastest_ns if is_cold or alone_ttft_ns is None else alone_ttft_ns
    spans = [one.last_ns - one.first_ns for one in served]
    overlapping = sum(own < -SAME_TIME_NS for own in own_ns)
    span = max(median(spans) - SAME_TIME_NS, 0) / max(median(spans) + median(own_ns), 1)
    serving = sum(spans) + sum(min(max(own, 0), OWN_TIMES * alone_ns) for own in own_ns)
    if (
        overlapping > OVERLAPPING * len(waited)
        or span < LEAST_SPAN
        or span * len(waited) < EXPECTED_OVERLAPS
        or median(own_ns) < OWN_TIME * fastest_ns - SAME_TIME_NS
        or serving < BUSY * (ends[-1] - served[0].start_ns)
        or median(waited) < GROWTH * alone_ns
    ):
        return None
    return OneAtATime(
        behind=len(waited),
        overlapping=overlapping,
        in_front=round(fmean(in_front), 1),
        alone_ttft_ms=None if is_cold else ns_to_ms(alone_ns),
        fastest_ttft_ms=ns_to_ms(fastest_ns),
        ttft_ms=ns_to_ms(median(waited)),
    )


class Intervals:
    """When streams were open and when their tokens came; `add` takes in one record after the other.

    Streams of the warm-up belong to it: the server was as busy with them. `spool` is that of metrics/rows.py.
    """

    def __init__(self, spool: RawIOBase | None = None) -> None:
        self._spans = Rows(len(_Span._fields), spool)

    def add(self, record: StreamRecord) -> None:
        """Take in one stream."""
        start, tokens, at = record.start_ns, record.token_reads, record.reads.at_ns
        self._spans.add(
            _Span(
                start=start,
                closed=start + (record.closed_ns or record.end_ns or 0),
                wanted=start if record.intended_ns is None else record.intended_ns,
                first=start + at[tokens[0]] if tokens else _NEVER,
                last=start + at[tokens[-1]] if tokens else _NEVER,
                worker=record.worker or 0,
            )
        )

    def _each(self) -> Iterator[_Span]:
        return map(_Span._make, self._spans)

    def one_at_a_time(self, alone_ttft_ns: float | None = None) -> OneAtATime | None:
        """See the function of this name."""
        served = (Interval(span.start, span.first, span.last) for span in self._each() if span.first != _NEVER)
        return one_at_a_time(served, alone_ttft_ns)

    def stays(self) -> Iterator[Stay]:
        """When each stream was open, and its TTFT."""
        for span in self._each():
            yield Stay(span.start, span.closed, None if span.first == _NEVER else span.first - span.start)

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def most_open(self) -> int:
        """The largest number of streams that were open at the same time."""
        return most_open((span.start, span.closed) for span in self._each())

    def mean_open(self, begin_ns: int, end_ns: int) -> float | None:
        """How many streams were open on average in this time (epoch ns); None for no time."""
        if end_ns <= begin_ns:
            return None
        open_ns = sum(max(min(span.closed, end_ns) - max(span.start, begin_ns), 0) for span in self._each())
        return open_ns / (end_ns - begin_ns)

    def first_tokens_per_s(self, begin_ns: int, end_ns: int) -> float | None:
        """First tokens per second between two moments (epoch ns); None when no time lies between them."""
        if end_ns <= begin_ns:
            return None
        return sum(begin_ns <= span.first < end_ns for span in self._each()) * SECOND / (end_ns - begin_ns)

    def held_back(self, late_ns: int, cap: int) -> int:
        """How many streams started more than `late_ns` late while their process had at least `cap` others open."""
        started: defaultdict[int, list[int]] = defaultdict(list)
        ended: defaultdict[int, list[int]] = defaultdict(list)
        for span in self._each():
            started[span.worker].append(span.start)
            ended[span.worker].append(span.closed)
        for times in (*started.values(), *ended.values()):
            times.sort()
        return sum(
            bisect_right(started[span.worker], span.wanted) - bisect_right(ended[span.worker], span.wanted) >= cap
            for span in self._each()
            if span.start - span.wanted > late_ns
        )


def most_open(spans: Iterable[tuple[int, int]]) -> int:
    """The largest number of spans (begin, end) that contain the same moment; a span does not contain its end."""
    changes = sorted(change for begin, end in spans for change in ((begin, 1), (max(end, begin + 1), -1)))
    most = there = 0
    for _, change in changes:
        there += change
        most = max(most, there)
    return most
