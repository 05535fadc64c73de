"""How many independent streams a series of dependent ones is worth.

The waits of two streams that queue behind the same others are nearly the same, so 100 of them say less than 100
independent ones. The share of streams beyond a limit then varies like that of n / tau independent streams, where tau
is 1 + twice the sum of the autocorrelations of being beyond it. The sum ends where the autocorrelations of two
neighbouring lags together are no longer positive: beyond, they are noise (Geyer, Practical Markov Chain Monte Carlo,
1992, initial positive sequence). Five corrections make intervals hold the truth as often as they claim, also in short
runs:

- Autocorrelations around the mean of the run itself are too small: tau is divided by 1 - (2 * lags + 1) / n.
- tau is itself an estimate, so Student's quantile takes the place of the normal one. Its degrees of freedom are
  n / (2 * lags + 1) (Priestley, Spectral Analysis and Time Series, 1981, section 6.2.4), but at most the number of
  bursts, because ten bad streams in one burst show a single event, and at least 3.
- A slow change hides below the noise of single streams. So the sum is also made of about 48 batches of streams. Where
  it gives more, the geometric mean of both counts.
- A run that happens to miss the large bursts has too few events and too small a tau, both at once. So where the counts
  of 24 batches are more skewed than those of bursts of equal size, the upper end goes up as for the mean of skewed
  values (Johnson, "Modified t tests and confidence intervals for asymmetrical populations", JASA, 1978).
- At a high percentile the few values beyond it show little. So the dependence is also taken where twice as many are.
  Below p75 it is also taken at p75, towards which the upper end lies: long waits are more alike than others. Where that
  gives more, the geometric mean of both counts.

Without clear dependence the streams count as independent: one clear sign is enough.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from operator import mul
from typing import Final, NamedTuple

from streamgauge.metrics.intervals import CONFIDENCE, normal, student

_LEAST: Final = 20
"""With fewer values, autocorrelations are noise."""
_NEIGHBOURS: Final = 1.75
"""Of 25 simulated series of independent values, one has neighbours with a correlation above 1.75 / sqrt(n)."""
_CHANCE: Final = 9.0
"""Of 20 simulated series of independent values, one has a tau above 1 + 9 / sqrt(n)."""
_CHANCE_OF_BATCHES: Final = 2.0
_BATCHES: Final = 48
_LARGE_BATCHES: Final = 24
_USUAL_SKEWNESS: Final = 0.5
"""Autoregressive series have less than this share of the skewness of bursts of equal size, queues have more."""
_LEAST_BURSTS: Final = 0.2
"""Batches much shorter than a burst have no larger skewness."""
_MOST_LAGS: Final = 500
"""The cost grows with the lags; a series that still depends on itself after 500 streams has no steady state anyway."""
_LEAST_DEGREES: Final = 3
"""With fewer, intervals would be far too wide: in simulations 3 cover the truth as often as 1."""
_LEAST_LEFT: Final = 0.2
"""The correction for the mean of the run is at most a factor of 5."""
_MIDDLE, _TAIL = 0.75, 0.9
"""Between these quantiles enough values are beyond to show how they depend on each other."""
MOST_VALUES: Final = 5_000
"""So many successive streams of a longer run show how they depend on each other."""
_STEPS: Final = 20
"""A movement of less than 5 % of a limit does not decide whether values keep it."""
_KINDS: Final = {
    **dict.fromkeys(
        ("ttft", "ttfb", "headers", "ttfe", "ttfat", "adj_ttft", "ttft_any_chunk", "ttft_intended"), "ttft"
    ),
    **dict.fromkeys(("ttst", "tpot", "adj_tpot", "itl_request_mean"), "rest"),
    **dict.fromkeys(("e2e", "adj_e2e", "e2e_intended", "tpot_incl_first"), "whole"),
    "error_rate": "failed",
    "goodput": "bad",
}


class Autocorrelation(NamedTuple):
    """For `n` successive values: `tau` of them vary like one independent value. `lags` were added up for it."""

    tau: float
    lags: int
    n: int

    def corrected(self, bursts: int) -> float:
        """tau, made larger because the mean and the autocorrelations are estimates (see above)."""
        used = 2 * self.lags + 1
        degrees = max(min(self.n / used, bursts), _LEAST_DEGREES)
        return self.tau / max(1 - used / self.n, _LEAST_LEFT) * (student(CONFIDENCE, degrees) / normal(CONFIDENCE)) ** 2


class Events:
    """For each stream, in the order of their starts, whether something happened to it."""

    def __init__(self, events: Iterable[object]) -> None:
        self._text = "".join("1" if event else "0" for event in events)
        self._bits = int(self._text or "0", 2)
        self.n = len(self._text)
        self._share = self._bits.bit_count() / max(self.n, 1)

    def products(self, lag: int) -> float:
        """The sum of the products of deviations of streams with this distance: one step for 64 streams."""
        length = self.n - lag
        earlier, later = self._bits >> lag, self._bits & ((1 << length) - 1)
        sums = earlier.bit_count() + later.bit_count()
        return (self._bits & earlier).bit_count() - self._share * (sums - self._share * length)

    @property
    def bursts(self) -> int:
        """How many times in a row of streams it begins to happen."""
        return self._text.count("01") + self._text.startswith("1")

    @property
    def share(self) -> float:
        """To what share of the streams it happened."""
        return self._share

    def batches(self, size: int) -> list[float]:
        """The deviations of the counts in batches of so many streams."""
        counts = [self._text.count("1", at, at + size) for at in range(0, self.n - size + 1, size)]
        mean = sum(counts) / len(counts)
        return [count - mean for count in counts]


def of_share(events: Events, bursts: int | None = None, *, skewed: bool = True) -> float:
    """How many of these streams are worth one independent stream for the share of events; between 1 and n.

    `bursts` takes the place of the number of bursts where other events show the dependence, too. Without `skewed`,
    nothing allows for large bursts that may be missing.
    """
    variance = events.products(0)
    if events.n < _LEAST or variance <= 0:
        return 1.0
    single = autocorrelation(events.products, events.n)
    neighbours = events.products(1) / variance
    if neighbours <= _NEIGHBOURS / sqrt(events.n) and single.tau <= 1 + _CHANCE / sqrt(events.n):
        return 1.0
    found = single.corrected(events.bursts if bursts is None else bursts)
    if (slow := _of_batches(events, variance)) > found:
        found = sqrt(found * slow)  # both are noisy, so the larger alone would be too large
    if skewed:
        found *= _of_skewness(events, found)
    return min(max(found, 1.0), float(events.n))


def autocorrelation(products: Callable[[int], float], n: int) -> Autocorrelation:
    """tau from the sums of products of deviations at a distance, of `n` values that are not all equal."""
    variance, tau, lags = products(0), 1.0, 0
    for lag in range(1, min(n // 3, _MOST_LAGS), 2):
        pair = (products(lag) + products(lag + 1)) / variance
        if pair <= 0:
            break
        tau, lags = tau + 2 * pair, lag + 1
    return Autocorrelation(tau, lags, n)


def _of_batches(events: Events, variance: float) -> float:
    """The dependence that batches show, from how their counts vary and depend on each other; 0 if they do not."""
    size = events.n // _BATCHES
    deviations = events.batches(size) if size > 1 else []
    squares = sum(value * value for value in deviations)
    if not squares:
        return 0.0
    count = len(deviations)
    found = autocorrelation(_products_of(deviations), count)
    if found.tau <= 1 + _CHANCE_OF_BATCHES / sqrt(count):
        return 0.0
    return found.corrected(events.bursts) * (squares / count) / (size * variance / events.n)


def _of_skewness(events: Events, tau: float) -> float:
    """By which factor tau grows because large bursts may be missing: 1 where the counts of batches are not skewed."""
    size = max(events.n // _LARGE_BATCHES, 1)
    deviations = events.batches(size)
    count, squares = len(deviations), sum(value**2 for value in deviations)
    if not squares:
        return 1.0
    skewness = sum(value**3 for value in deviations) * sqrt(count / squares) / squares
    bursts = max(size / tau, _LEAST_BURSTS)
    usual = (1 - 2 * events.share) / sqrt(bursts * events.share * (1 - events.share))
    z, excess = normal(CONFIDENCE), max(skewness - _USUAL_SKEWNESS * usual, 0.0)
    return (1 + excess * (2 * z * z + 1) / (6 * z * sqrt(count))) ** 2


def at_quantile(series: Sequence[float], q: float) -> float:
    """How many values of a series, in the order of their starts, are worth one independent value for quantile `q`."""
    if len(series) < _LEAST:
        return 1.0
    ordered = sorted(series)
    found = of_share(_beyond(series, ordered, q))
    other = max(min(2 * q - 1, _TAIL), _MIDDLE)
    if other == q or (also := of_share(_beyond(series, ordered, other))) <= found:
        return found
    return also if other < q else sqrt(found * also)


def at_limit(values: Sequence[float], limit: float) -> float:
    """How many values of successive streams are worth one independent value for the share of them beyond `limit`.

    Where less than a tenth of the values is beyond, these are too few to show that: the dependence is at least that of
    the slowest tenth. Differences of less than 5 % of the limit do not count. Skewness counts only where a tenth is
    beyond: few values far from a limit are always skewed, and an objective that they clearly meet would stay undecided.
    """
    if len(values) < _LEAST:
        return 1.0
    step = limit / _STEPS or 1.0
    steps = [round(min(value, 2 * limit) / step) for value in values]
    slowest = sorted(steps)[min(int(_TAIL * len(steps)), len(steps) - 1)]
    beyond = Events(value >= limit for value in values)
    if slowest >= _STEPS:
        return of_share(beyond)
    tenth = Events(value >= slowest for value in steps)
    return max(of_share(beyond, bursts=beyond.n, skewed=False), of_share(tenth, skewed=False))


def _beyond(series: Sequence[float], ordered: Sequence[float], q: float) -> Events:
    """Which values are beyond quantile `q`. Equal values are all beyond it or all not, whichever is nearer to `q`."""
    n = len(ordered)
    limit = ordered[min(int(q * n), n - 1)]
    below, up_to = bisect_left(ordered, limit), bisect_right(ordered, limit)
    if up_to - q * n < q * n - below:
        return Events(value > limit for value in series)
    return Events(value >= limit for value in series)


class Wait(NamedTuple):
    """What one stream shows of its dependence on others: times in ns, and shares as 0 or 1; None where it has none."""

    start_ns: int
    ttft: float | None = None
    rest: float | None = None  # from the first token to the end
    whole: float | None = None
    failed: float | None = None
    bad: float | None = None  # it misses an objective


class Dependence:
    """How the streams of a run depend on each other, from the newest 5,000 of them.

    One series stands for all metrics of its kind, such as the TTFT for all waits that end at the first token.
    """

    def __init__(self) -> None:
        self._newest: deque[Wait] = deque(maxlen=MOST_VALUES)
        self._known: dict[tuple[str, float | None], float] = {}

    def add(self, wait: Wait) -> None:
        """Take in a stream."""
        self._newest.append(wait)
        self._known.clear()

    def of(self, metric: str, q: float | None = None) -> float:
        """How many streams are worth one independent stream for quantile `q` of a metric, or for a share of streams."""
        kind = _KINDS.get(metric)
        if kind is None:
            return 1.0
        if (kind, q) not in self._known:
            series = [value for wait in sorted(self._newest, key=_start) if (value := getattr(wait, kind)) is not None]
            self._known[kind, q] = of_share(Events(series)) if q is None else at_quantile(series, q)
        return self._known[kind, q]


def _start(wait: Wait) -> int:
    return wait.start_ns


def _products_of(deviations: Sequence[float]) -> Callable[[int], float]:
    """The sums of products of deviations, by their distance."""
    return lambda lag: float(sum(map(mul, deviations[lag:], deviations)))
