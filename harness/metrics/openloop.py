"""Whether an open loop stayed open: how many arrivals were planned, started, late and dropped."""

import msgspec

from streamgauge.metrics.facts import LATE_NS
from streamgauge.metrics.summary import Totals
from streamgauge.units import SECOND, ns_to_ms


class OpenLoop(msgspec.Struct, frozen=True, kw_only=True):
    """`open_loop` of run.json. `planned` counts the arrivals due before the run ended, `dropped` those never started.

    `late` started more than `late_limit_ms` after their time; `held_back` of them because as many streams as
    --max-streams allows were open. `most_open` is the largest number of streams that were open at once. Rates are over
    the whole schedule, warm-up included.
    """

    model: str
    planned: int
    started: int
    late: int
    dropped: int
    late_limit_ms: float
    planned_per_s: float | None
    achieved_per_s: float | None
    max_streams: int | None = None
    most_open: int = 0
    held_back: int = 0

    @property
    def closed(self) -> bool:
        """Whether the cap on open streams, and not the schedule, decided when streams started."""
        reached = self.max_streams is not None and self.most_open >= self.max_streams
        return self.held_back > 0 or (reached and self.dropped > 0)

    @property
    def caveat(self) -> str | None:
        """The warning that belongs to the rate; None when every arrival started in time."""
        if not self.late and not self.dropped:
            return None
        counts = (
            f"{self.late:,} of {self.planned:,} arrivals started more than {self.late_limit_ms:g} ms late and "
            f"{self.dropped:,} never started"
        )
        if self.closed:
            return (
                f"The open loop became a closed loop: {self.most_open:,} streams were open, as many as --max-streams "
                f"allows, and {counts}. Latencies from the actual start leave out that wait; ttft_intended and "
                f"e2e_intended include it.{self._dropped}"
            )
        return (
            f"The client did not keep its schedule: {counts}, with {self.most_open:,} streams open at most. "
            f"ttft_intended and e2e_intended include that delay; latencies from the actual start leave it out."
            f"{self._dropped}"
        )

    @property
    def _dropped(self) -> str:
        return " Arrivals that never started are in no latency." if self.dropped else ""


def judge_open_loop(
    totals: Totals, planned: int, length_ns: int, *, model: str, max_streams: int | None, processes: int = 1
) -> OpenLoop:
    """Compare the records of a run with the arrivals that were due in its `length_ns`.

    `max_streams` is shared out among the processes, so each of them allows at least `max_streams // processes`. When a
    run was cut short, arrivals that started in its last moment count as planned, too.
    """
    planned = max(planned, totals.started)
    seconds = length_ns / SECOND

    def rate(count: int) -> float | None:
        return round(count / seconds, 3) if seconds > 0 else None

    return OpenLoop(
        model=model,
        planned=planned,
        started=totals.started,
        late=totals.late,
        dropped=planned - totals.started,
        late_limit_ms=ns_to_ms(LATE_NS),
        planned_per_s=rate(planned),
        achieved_per_s=rate(totals.started),
        max_streams=max_streams,
        most_open=totals.intervals.most_open,
        held_back=0 if max_streams is None else totals.intervals.held_back(LATE_NS, max_streams // processes),
    )
