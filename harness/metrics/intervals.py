"""Confidence intervals of percentiles and shares, and what they decide. Nothing here assumes a distribution.

A percentile lies between two order statistics with a probability that only the binomial distribution gives: the number
of values below the true quantile `q` is binomial with parameters `n` and `q` (Conover, Practical Nonparametric
Statistics, section 3.2). A share has the interval of Wilson (1927). Values must be independent of each other; the gaps
of one stream are not, so they need one value a stream.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95
_FAR: Final = 12  # standard deviations from the mean of a binomial: the rest is below 1e-15 and rounding


class Interval(NamedTuple):
    """The true figure lies between `low` and `high` with the asked confidence; None where the values set no bound."""

    low: float | None
    high: float | None


class Decision(StrEnum):
    """What a sample says about a claim: it holds, it does not, or the sample is too small to tell."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


def wilson(good: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """The share of which `good` of `total` independent trials are a sample; (0, 1) without a trial."""
    if not total:
        return Interval(0.0, 1.0)
    z = normal(confidence)
    share, weight = good / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    return Interval(0.0 if good == 0 else middle - half, 1.0 if good == total else middle + half)


def percentile(ordered: Sequence[float], q: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of quantile `q` (0 to 1, exclusive) from sorted independent values: two of these values.

    It is the narrowest in ranks. With too few values for both ends, the end that they can bound has all the confidence.
    """
    low, high = ranks(len(ordered), q, confidence)
    return Interval(None if low is None else ordered[low - 1], None if high is None else ordered[high - 1])


@lru_cache(1024)
def ranks(n: int, q: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """The ranks (from 1) of the two values between which quantile `q` of `n` values lies; None without a bound."""
    below = _Binomial(n, q)
    spare = 1 - confidence
    best: tuple[int, int] | None = None
    high = n + 1
    for low in range(below.first + 1, n + 1):
        left = spare - below.at_most(low - 1)
        if left < 0:
            break
        # The first rank grows, so less is left for the other end, and its rank never falls.
        high = below.smallest_upper(left, start=below.first if best is None else best[1])
        if high <= n and (best is None or high - low <= best[1] - best[0]):
            best = low, high
    if best is not None:
        return best
    return lower_rank(n, q, confidence), upper_rank(n, q, confidence)


@lru_cache(1024)
def lower_rank(n: int, q: float, confidence: float = CONFIDENCE) -> int | None:
    """The largest rank whose value is at most quantile `q`, with this confidence; None when no value is."""
    below = _Binomial(n, q)
    rank = below.first
    while rank < n and below.at_most(rank) <= 1 - confidence:
        rank += 1
    return rank or None


@lru_cache(1024)
def upper_rank(n: int, q: float, confidence: float = CONFIDENCE) -> int | None:
    """The smallest rank whose value is at least quantile `q`, with this confidence; None when no value is."""
    rank = _Binomial(n, q).smallest_upper(1 - confidence, start=0)
    return rank if rank <= n else None


def decide(misses: int, total: int, allowed: float, confidence: float = CONFIDENCE) -> Decision:
    """Whether at most the share `allowed` of all streams misses an objective, from a sample: `misses` of `total`.

    "p95 below a limit" is the same as: at most 5 % are above it. The error of either answer is at most 1 - confidence.
    """
    if not 0 < allowed < 1:
        return _decide_absolute(misses, allowed)
    missing = _Binomial(total, allowed)
    if missing.at_most(misses) <= 1 - confidence:
        return Decision.PASS
    return Decision.FAIL if missing.at_least(misses) <= 1 - confidence else Decision.UNDECIDED


def _decide_absolute(misses: int, allowed: float) -> Decision:
    """All streams, or none: one miss refutes "none misses", and no sample proves it."""
    if allowed >= 1:
        return Decision.PASS
    return Decision.FAIL if misses else Decision.UNDECIDED


def needed(q: float, misses: int = 0, confidence: float = CONFIDENCE) -> int:
    """How many independent values can show that quantile `q` is below a limit when `misses` of them are above it.

    For p95 at 95 % these are 59 without a miss; for p99 at 99 % 459, and 662 with one.
    """
    low, high = misses + 1, 2 * (misses + 1)
    while _Binomial(high, 1 - q).at_most(misses) > 1 - confidence:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _Binomial(middle, 1 - q).at_most(misses) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


def normal(confidence: float) -> float:
    """The two-sided quantile of the normal distribution."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@lru_cache(256)
def student(confidence: float, degrees: float) -> float:
    """The two-sided quantile of Student's distribution (Abramowitz and Stegun 26.7.5).

    Within 1 % from 3 degrees of freedom on, and within 0.1 % from 9 on.
    """
    z, v = normal(confidence), degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def error_of_share(parts: Sequence[int], sizes: Sequence[int]) -> float:
    """The standard error of sum(parts) / sum(sizes) over at least two clusters of different sizes, such as streams with
    their gaps (Cochran, Sampling Techniques, section 2.11). Each cluster is one observation.
    """
    n, total = len(sizes), sum(sizes)
    share = sum(parts) / total
    squares = math.fsum((part - share * size) ** 2 for part, size in zip(parts, sizes, strict=True))
    return math.sqrt(squares * n / (n - 1)) / total


class _Binomial:
    """The distribution of the number of successes in `n` trials of probability `p`, as exact sums around its mean."""

    def __init__(self, n: int, p: float) -> None:
        self._n = n
        mean, deviation = n * p, math.sqrt(n * p * (1 - p))
        self.first = max(int(mean - _FAR * deviation - _FAR), 0)
        self._last = min(int(mean + _FAR * deviation + _FAR) + 1, n)
        odds, log_odds = math.log1p(-p), math.log(p) - math.log1p(-p)
        logs = (
            math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_odds + n * odds
            for k in range(self.first, self._last + 1)
        )
        masses = [math.exp(log) for log in logs]
        self._up_to: list[float] = []
        total = 0.0
        for mass in masses:
            total += mass
            self._up_to.append(total)
        self._from: list[float] = []
        total = 0.0
        for mass in reversed(masses):
            total += mass
            self._from.append(total)
        self._from.reverse()

    def at_most(self, k: int) -> float:
        """P(X <= k)."""
        if k < self.first:
            return 0.0
        return 1.0 if k >= self._last else self._up_to[k - self.first]

    def at_least(self, k: int) -> float:
        """P(X >= k)."""
        if k > self._last:
            return 0.0
        return 1.0 if k <= self.first else self._from[k - self.first]

    def smallest_upper(self, spare: float, start: int) -> int:
        """The smallest k from `start` on with P(X >= k) <= spare; n + 1 when only that is certain."""
        k = max(start, self.first)
        while k <= self._n and self.at_least(k) > spare:
            k += 1
        return k
