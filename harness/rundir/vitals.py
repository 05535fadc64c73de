"""What falsifies the times of a process: it was stopped, or its clock was set."""

from typing import Final, NamedTuple

from streamgauge.steady import LEAST_STEP_NS
from streamgauge.units import MS, SECOND

STOPPED_NS: Final = 3 * SECOND
"""A longer pause is a stop (SIGSTOP, a frozen machine): on a busy machine a thread does not wait so long for a core."""
_STEP_NS: Final = MS
"""Both clocks are slewed alike, so their difference changes only when one of them is set, or the machine was asleep."""


class Vitals(NamedTuple):
    """How long a process was stopped (as by SIGSTOP), and how far its clock was set forward or back; both in ns."""

    stopped_ns: int = 0
    stepped_ns: int = 0

    def faults(self, who: str, host: str) -> list[str]:
        """A sentence for each; `who` names the process."""
        told = []
        if self.stopped_ns:
            told.append(f"{who} stood still for {self.stopped_ns / SECOND:.1f} s (stopped, or without a CPU)")
        if abs(self.stepped_ns) >= LEAST_STEP_NS:
            told.append(f"the clock of {host} was set by {self.stepped_ns / SECOND:+.3f} s during the run")
        return told


class Watch:
    """Follows the clocks. Each beat gets the monotonic clock, the epoch clock and the monotonic clock again."""

    def __init__(self) -> None:
        self.vitals = Vitals()
        self._beat_ns: int | None = None
        self._offset_ns: tuple[int, int] | None = None  # epoch − monotonic lies in between

    def beat(self, before_ns: int, epoch_ns: int, after_ns: int) -> bool:
        """Whether `vitals` has changed."""
        known = self.vitals
        if self._beat_ns is not None and before_ns - self._beat_ns > STOPPED_NS:
            self.vitals = self.vitals._replace(stopped_ns=self.vitals.stopped_ns + before_ns - self._beat_ns)
        self._beat_ns = before_ns
        # The thread may wait for a core between two clocks, so one look gives bounds. Bounds that have nothing in
        # common with the earlier ones are a step.
        low, high = epoch_ns - after_ns, epoch_ns - before_ns
        known_low, known_high = self._offset_ns or (low, high)
        if low > known_high + _STEP_NS or high < known_low - _STEP_NS:
            step_ns = (low + high - known_low - known_high) // 2
            self.vitals = self.vitals._replace(stepped_ns=self.vitals.stepped_ns + step_ns)
            self._offset_ns = low, high
        else:
            self._offset_ns = max(low, known_low), min(high, known_high)
        return self.vitals != known
