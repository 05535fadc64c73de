"""The times in which nobody could connect to the endpoint: an endpoint that goes down and comes back.

A stream counts at its start, and one that found no connection also at its end, by when it had given up.
"""

from typing import Final

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND, plural

LEAST_NS: Final = 500 * MS
"""Two tries of one user, who waits half a second in between. Less is taken for single failures: goodput shows them."""
_STEP_NS: Final = 100 * MS


class Outages:
    """Collects the moments at which a connection was found or not, in steps of 100 ms: memory grows with time only."""

    def __init__(self) -> None:
        self._reached: set[int] = set()
        self._missed: set[int] = set()
        self.streams = 0

    def add(self, record: StreamRecord) -> None:
        """Count one stream."""
        if record.outcome is Outcome.CONNECT_ERROR:
            self.streams += 1
            self._missed.update((record.start_ns // _STEP_NS, (record.start_ns + (record.closed_ns or 0)) // _STEP_NS))
        elif record.sent_ns is not None:
            self._reached.add(record.start_ns // _STEP_NS)

    @property
    def total_ns(self) -> int:
        """How long the endpoint was out of reach, in outages of LEAST_NS and longer."""
        total = 0
        begin: int | None = None
        last = 0
        for step in [*sorted(self._missed | self._reached), None]:
            if step is not None and step not in self._reached:
                begin, last = step if begin is None else begin, step
            elif begin is not None:
                length_ns = (last - begin + 1) * _STEP_NS
                total += length_ns if length_ns >= LEAST_NS else 0
                begin = None
        return total

    def __str__(self) -> str:
        """A sentence about them; empty when there was none."""
        if not (total_ns := self.total_ns):
            return ""
        return (
            f"nothing could connect to the endpoint for {total_ns / SECOND:.1f} s in all "
            f"({plural(self.streams, 'stream')} found no connection): the load was smaller meanwhile"
        )
