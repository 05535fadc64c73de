"""What a metric declaration holds. The declarations themselves are in metrics/definitions.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from streamgauge.metrics.facts import RunFacts, StreamFacts
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.pool import Pool
from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.validity import TIMES, Scope


class Unit(Enum):
    """What a value of a metric counts. Durations are ns in code and ms in files; shares are fractions from 0 to 1."""

    DURATION = "ms"
    SHARE = "share"
    PER_SECOND = "per second"
    COUNT = "count"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: what it means, when it is absent, and where it is shown besides summary, report and README.

    `objective`: `--slo` may name it, and `--abort-if` too when less is better. `terminal`: `load` prints it.
    `of_wire`: the metric is the same in whatever dialect the answer is read.
    """

    name: str
    definition: str
    absent: str
    unit: Unit = Unit.DURATION
    higher_is_better: bool = False
    objective: bool = False
    terminal: bool = False
    of_wire: bool = False

    @property
    def field(self) -> str:
        """Its key in the summary of run.json."""
        return f"{self.name}_ms" if self.unit is Unit.DURATION else self.name

    @property
    def scopes(self) -> frozenset[Scope]:
        """The doubts about this client that concern it, besides those about every figure. Reading late makes the next
        request of a closed loop late, and so a rate smaller; it makes no stream fail.
        """
        return TIMES if self.unit is Unit.PER_SECOND else frozenset()


@dataclass(frozen=True, kw_only=True)
class Latency(Metric):
    """A distribution of durations. `only_if_present`: a report has no row for it when there is no value.

    `of_gaps`: a value is the difference of two arrivals, so this client can make it too long or too short. Any other
    value starts with the stream, and this client can only make it too long.
    """

    only_if_present: bool = False
    of_gaps: bool = False

    @property
    def scopes(self) -> frozenset[Scope]:
        return frozenset({Scope.GAPS if self.of_gaps else Scope.STARTS})


@dataclass(frozen=True, kw_only=True)
class PerStream(Latency):
    """One value a stream. Percentiles are exact: every value is kept.

    `cut` says how long a stream without a value had waited for it when it was cut: a lower bound of the value. None for
    a metric that is not a wait.
    """

    value: Callable[[StreamFacts], float | None]
    cut: Callable[[StreamFacts], float | None] | None = None

    @property
    def column(self) -> str:
        """Its column in streams.parquet."""
        return f"{self.name}_ns"

    def of_stream(self, stream: StreamFacts) -> float | None:
        """The stream's value in ns."""
        return self.value(stream)


@dataclass(frozen=True, kw_only=True)
class Adjusted(PerStream):
    """A value a stream, infinite for a stream that failed. A percentile that falls among these is absent."""


@dataclass(frozen=True, kw_only=True)
class Pooled(Latency):
    """Many values a stream, pooled over all streams in a histogram. `zeros` counts values of 0 not in `values`."""

    values: Callable[[StreamFacts], Sequence[int]]
    zeros: Callable[[StreamFacts], int] | None = None

    @property
    def column(self) -> str:
        """Its column in streams.parquet: one stream has no pool, so the column holds its largest value."""
        return f"{self.name}_max_ns"

    def of_stream(self, stream: StreamFacts) -> float | None:
        """The stream's largest value in ns."""
        largest = max(self.values(stream), default=None)
        return 0 if largest is None and self.zeros is not None and self.zeros(stream) else largest

    def add_to(self, pool: Pool, stream: StreamFacts) -> None:
        """Count the stream's values."""
        pool.add(self.values(stream), 0 if self.zeros is None else self.zeros(stream))


@dataclass(frozen=True, kw_only=True)
class OfProcesses(Latency):
    """A distribution over the client's processes, from the rows that they write about themselves."""

    pool: Callable[[Sequence[WorkerRow]], Histogram]


@dataclass(frozen=True, kw_only=True)
class OfRun(Metric):
    """One number for the whole run. `title` is its label in the report's table of rates.

    `of_streams`: it is a share of the streams, so a class of them has one, too (metrics/stream_class.py). `counts` is
    what it is a share of.
    """

    title: str
    of_streams: bool = False
    counts: str = "stream"
    value: Callable[[RunFacts], float | None]
