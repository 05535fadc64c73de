"""Simulated series of streams that depend on each other, with the truth about them."""

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

from streamgauge.metrics.concurrency import Stay
from streamgauge.metrics.dependence import Events, at_quantile, of_share
from streamgauge.metrics.survival import Share, Waits, interval, interval_of_share

WARM_UP = 300
"""Streams of a simulated server that are left out, because it is empty at first."""


class Kind(NamedTuple):
    """A kind of series: `draw` makes one of `n` values, and `truth` is its quantile."""

    draw: Callable[[random.Random, int], list[float]]
    truth: Callable[[float], float]


def wandering(memory: float, own: float = 0.0) -> Kind:
    """Values whose level wanders (first-order autoregression); the correlation falls to 1/e over `memory` streams.

    `own` is the share of the variance that each stream has for itself. The logarithm of a value is normal with
    deviation 1, so that the tail is heavy.
    """
    keep, slow, fast = math.exp(-1 / memory) if memory else 0.0, math.sqrt(1 - own), math.sqrt(own)

    def draw(rng: random.Random, n: int) -> list[float]:
        level, found = rng.gauss(0, 1), []
        for _ in range(n):
            level = keep * level + math.sqrt(1 - keep * keep) * rng.gauss(0, 1)
            found.append(math.exp(slow * level + fast * rng.gauss(0, 1)))
        return found

    return Kind(draw, lambda q: math.exp(NormalDist().inv_cdf(q)))


def served(load: Callable[..., list[Stay]], length: int = 50_000, **more: float) -> Kind:
    """The TTFT of a simulated server; its truth is that of a run of `length` streams."""

    def draw(rng: random.Random, n: int) -> list[float]:
        return [float(stay.ttft_ns or 0) for stay in load(rng, streams=n + WARM_UP, **more)[WARM_UP:]]

    @cache
    def long() -> list[float]:
        return sorted(draw(random.Random(0), length))

    return Kind(draw, lambda q: long()[int(q * len(long()))])


def bursts(length: float, share: float) -> Callable[[random.Random, int], list[bool]]:
    """Streams fail in groups: a group has a geometric length, and a share of the groups fails as a whole."""

    def draw(rng: random.Random, n: int) -> list[bool]:
        fails, found = rng.random() < share, []
        for _ in range(n):
            if rng.random() < 1 / length:
                fails = rng.random() < share
            found.append(fails)
        return found

    return draw


def holds_quantile(values: Sequence[float], q: float, truth: float) -> bool:
    """Whether the interval of a quantile has the truth."""
    low, high = interval(Waits(sorted(values)), q, at_quantile(values, q))
    return (low is None or low <= truth) and (high is None or truth <= high)


def holds_share(events: Sequence[bool], truth: float) -> bool:
    """Whether the interval of a share has the truth."""
    share = sum(events) / len(events)
    low, high = interval_of_share(Share(share, share), len(events), 0, of_share(Events(events)))
    return low is not None and high is not None and low <= truth <= high


def covered(kind: Kind, n: int, quantiles: Sequence[float], runs: int) -> list[float]:
    """For each quantile, the share of runs of `n` streams whose interval has the truth."""
    series = [kind.draw(random.Random(seed), n) for seed in range(runs)]
    return [sum(holds_quantile(values, q, kind.truth(q)) for values in series) / runs for q in quantiles]
