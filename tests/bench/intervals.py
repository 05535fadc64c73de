"""How often the intervals of percentiles and shares hold the truth, where streams depend on each other.

The suite checks the same with fewer simulated runs; this prints the table of docs/definitions.md.
"""

import argparse
import random

from tests.builders.dependent import Kind, bursts, covered, holds_share, served, wandering
from tests.harness.metrics.test_steady_state import closed_loop, queue

QUANTILES = (0.5, 0.9, 0.95, 0.99)
LONG = 200_000
KINDS: dict[str, tuple[Kind, tuple[int, ...]]] = {
    "independent, heavy tail": (wandering(0), (20, 60, 200, 600, 2_000)),
    "correlated over 3 streams": (wandering(3), (60, 200, 600, 2_000)),
    "correlated over 20 streams": (wandering(20), (600, 2_000)),
    "half correlated over 20 streams": (wandering(20, own=0.5), (600, 2_000)),
    "slow drift: half correlated over 100 streams": (wandering(100, own=0.5), (1_000, 2_000, 5_000)),
    "closed loop of 20 users, 8 slots": (served(closed_loop, LONG), (60, 200, 600, 2_000)),
    "queue 70 % busy, 8 slots": (served(queue, LONG), (200, 600, 2_000)),
    "queue 90 % busy, 8 slots": (served(queue, LONG, busy=0.9), (2_000, 5_000)),
}
BURSTS = (
    *((3, 0.1, 300), (3, 0.05, 600), (8, 0.1, 300), (8, 0.1, 1_000)),
    *((20, 0.2, 300), (20, 0.2, 1_000), (20, 0.05, 2_000)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1_000, help="simulated runs of each kind and length")
    times = parser.parse_args().times
    for name, (kind, lengths) in KINDS.items():
        for n in lengths:
            shares = " / ".join(f"{share:.1%}" for share in covered(kind, n, QUANTILES, times))
            print(f"{name}, {n:,} streams: p50 / p90 / p95 / p99 {shares}", flush=True)  # noqa: T201
    for length, share, n in BURSTS:
        draw = bursts(length, share)
        held = sum(holds_share(draw(random.Random(seed), n), share) for seed in range(times)) / times
        print(f"{share:.0%} fail in bursts of {length}, {n:,} streams: {held:.1%}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
