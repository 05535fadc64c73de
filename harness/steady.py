"""A clock that shows epoch times and that nobody can set: the schedule of a run keeps its pace when the machine's clock
is set, and its records keep one axis of time. The times within a stream come from the machine's clock, as the kernel's
stamps do, so a stream in which the clock was set has none that could be believed.
"""

import time
from typing import Final

from streamgauge.units import MS

LEAST_STEP_NS: Final = 5 * MS
"""A smaller step of the clock is below the error that a figure may have (see metrics/validity.py)."""


def _bounds_ns() -> tuple[int, int]:
    """Epoch clock − monotonic clock: at least, and at most. The thread may wait for a core between two clocks."""
    before_ns, epoch_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
    return epoch_ns - after_ns, epoch_ns - before_ns


def _offset_ns() -> int:
    """Epoch clock − monotonic clock, by the closest of several looks."""
    low_ns, high_ns = min((_bounds_ns() for _ in range(10)), key=lambda bounds: bounds[1] - bounds[0])
    return (low_ns + high_ns) // 2


OFFSET_NS: Final = _offset_ns()


def now_ns() -> int:
    """Epoch ns, as the machine's clock would show them had it not been set since this process began."""
    return time.monotonic_ns() + OFFSET_NS


def set_by_ns() -> int:
    """How far the machine's clock was set since this process began (ns); 0 below LEAST_STEP_NS.

    Both clocks are slewed alike, so their difference changes only when one is set, or when the machine was asleep.
    """
    low_ns, high_ns = _bounds_ns()
    if low_ns - OFFSET_NS >= LEAST_STEP_NS or high_ns - OFFSET_NS <= -LEAST_STEP_NS:
        return (low_ns + high_ns) // 2 - OFFSET_NS
    return 0
