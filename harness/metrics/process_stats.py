"""The CPU use and the lateness of each client process, which writes them once a second to a file of its own."""

from collections.abc import Iterable
from typing import Final

import msgspec

from streamgauge.metrics.histogram import Counts, Histogram
from streamgauge.protocol.numbers import Count, Ns

PERIOD_NS: Final = 5_000_000
"""How often a process compares its clock, where its event loop reads: a shorter pause can go unnoticed, so no rule uses
a smaller limit.
"""
SLOW_PERIOD_NS: Final = 50_000_000
"""The same where a thread of its own reads: a late loop then only makes the next stream start late. Every comparison
wakes an idle core, which at a small load was a tenth of the cost; the smallest limit of lateness is 100 ms.
"""


class WorkerRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One process since the end of the warm-up (before it: since its start); each row replaces the row before.

    `waited_ns`: ready to run, but not on a CPU. `late` is how late a timer of its event loop fired (ns): where that
    loop reads, a read may have waited as long.
    `behind` is how long finished streams waited for being recorded (ns). `held` counts how often a user had to wait
    because too many of them did.
    """

    worker: Count
    wall_ns: Ns
    cpu_ns: Ns
    waited_ns: Ns | None = None
    late: Counts
    behind: Counts = Counts({})
    held: Count = 0


def lateness(rows: Iterable[WorkerRow]) -> Histogram:
    """The lateness of all processes together."""
    return _together(row.late for row in rows)


def recording_delays(rows: Iterable[WorkerRow]) -> Histogram:
    """How long the finished streams of all processes waited for being recorded."""
    return _together(row.behind for row in rows)


def _together(counts: Iterable[Counts]) -> Histogram:
    pool = Histogram()
    for one in counts:
        pool.merge(Histogram.of(one))
    return pool


def busiest(rows: Iterable[WorkerRow]) -> float | None:
    """The largest share of its time that any process used a CPU core or waited for one; None without rows."""
    return max((min((r.cpu_ns + (r.waited_ns or 0)) / r.wall_ns, 1.0) for r in rows if r.wall_ns > 0), default=None)


def unsampled(late_ns: int, period_ns: int = PERIOD_NS) -> list[int]:
    """The delays for which one late tick stands: its own, and those of the ticks that should have come meanwhile.

    Without them a pause of one second would count as one sample instead of 200 (coordinated omission).
    """
    return [late_ns - missed * period_ns for missed in range(min(late_ns // period_ns, 10_000) + 1)]
