"""A clock that shows epoch times and that nobody can set: the schedule of a run keeps its pace when the machine's clock
steps. Times that are measured come from the machine's clock, as the kernel's stamps do.
"""

import time
from typing import Final

OFFSET_NS: Final = time.time_ns() - time.monotonic_ns()


def now_ns() -> int:
    """Epoch ns, as the machine's clock would show them had it not been set since this process began."""
    return time.monotonic_ns() + OFFSET_NS
