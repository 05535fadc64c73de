"""What each client process says of itself, once a second in `workers.jsonl`: the CPU it used, and how late it ran."""

from collections.abc import Iterable
from typing import Final

import msgspec

from streamgauge.metrics.histogram import Counts, Histogram

PERIOD_NS: Final = 5_000_000
"""How often a process looks at its clock. A pause shorter than this can go unseen, so no rule is finer."""


class WorkerRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One process since its start; each row replaces the one before. `waited_ns`: ready to run, but on no CPU.

    `late` is how much later than asked a timer of its event loop fired (ns): a read can have waited as long.
    """

    worker: int
    wall_ns: int
    cpu_ns: int
    waited_ns: int | None = None
    late: Counts


def latest(rows: Iterable[WorkerRow]) -> list[WorkerRow]:
    """The last row of each process."""
    return list({row.worker: row for row in rows}.values())


def lateness(rows: Iterable[WorkerRow]) -> Histogram:
    """Of all processes together."""
    pool = Histogram()
    for row in rows:
        pool.merge(Histogram.of(row.late))
    return pool


def busiest(rows: Iterable[WorkerRow]) -> float | None:
    """The largest share of its time that a process used a core or waited for one; None without rows."""
    return max((min((r.cpu_ns + (r.waited_ns or 0)) / r.wall_ns, 1.0) for r in rows if r.wall_ns > 0), default=None)


def unsampled(late_ns: int) -> list[int]:
    """The delays that one late tick stands for: those of the ticks that should have come while it waited.

    Without them a pause of a second would count as one sample (coordinated omission), not as two hundred.
    """
    return [late_ns - missed * PERIOD_NS for missed in range(min(late_ns // PERIOD_NS, 10_000) + 1)]
