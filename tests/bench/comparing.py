"""How often `compare` and `overhead` are right: false alarms, shifts that are found, and the interval of a hop's cost.

The suite checks the same with fewer simulated runs; this prints the figures of docs/compare.md.
"""

import argparse
import random
from collections.abc import Callable

from streamgauge.comparing.bootstrap import estimate
from streamgauge.comparing.difference import Difference, difference
from streamgauge.comparing.overhead import costs_of
from streamgauge.comparing.verdict import Finding, Floor, find
from streamgauge.units import MS
from tests.builders.compared import column, ttfts
from tests.harness.comparing.test_paired import simulated

STREAMS = 600
MEMORIES = (1.0, 20.0, 60.0)


def compared(rng: random.Random, count: int, statistic: str, factor: float, memory: float) -> Difference:
    sides = (column(ttfts(rng, count, factor=by, memory=memory)) for by in (1.0, factor))
    return difference(*(estimate([side], statistic, rng, 300) for side in sides))


def is_worse(found: Difference) -> bool:
    return find(found, Floor(), higher_is_better=False) is Finding.WORSE


def share(times: int, hit: Callable[[random.Random], bool]) -> str:
    hits = sum(hit(random.Random(seed)) for seed in range(times))
    return f"{hits:,} of {times:,} ({hits / times:.1%})"


def shows_shift(rng: random.Random, statistic: str, memory: float) -> bool:
    needed = compared(rng, STREAMS, statistic, 1.0, memory).needed(STREAMS, 0.05)
    return needed is not None and is_worse(compared(rng, needed, statistic, 1.05, memory))


def holds_3_ms(rng: random.Random, pairs: int) -> bool:
    _, measured = costs_of(simulated(rng, pairs, 3.0))
    return measured["ttft"].low <= 3 * MS <= measured["ttft"].high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="simulated comparisons of each kind")
    times = parser.parse_args().times
    for statistic in ("p50", "p95"):
        for memory in MEMORIES:
            alarms = share(times, lambda rng: is_worse(compared(rng, STREAMS, statistic, 1.0, memory)))  # noqa: B023
            print(f"{statistic}, correlation over {memory:g} streams: false alarms {alarms}", flush=True)  # noqa: T201
        for memory in MEMORIES[:2]:
            found = share(times // 2, lambda rng: shows_shift(rng, statistic, memory))  # noqa: B023
            print(f"{statistic}, correlation over {memory:g} streams: 5 % found in {found}", flush=True)  # noqa: T201
    for pairs in (20, 60, 200):
        print(f"{pairs} pairs: 3 ms inside of {share(5 * times, lambda rng: holds_3_ms(rng, pairs))}")  # noqa: B023, T201


if __name__ == "__main__":
    main()
