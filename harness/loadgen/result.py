"""A finished load as a value: the content of run.json, and where its records are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamgauge.errors import UsageError
from streamgauge.metrics.distributions import Distribution
from streamgauge.metrics.slo import SloVerdict
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.rundir.accounts import Account
from streamgauge.rundir.runs import RecordReader, RunFile
from streamgauge.units import plural


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended before its time: by Ctrl-C, at a limit (`stopped`), or because its processes `died`, and when
    (epoch ns). `faults` are those that this command has noticed, `accounts` those of the processes at the end.
    """

    interrupted: bool = False
    stopped: str | None = None
    died: str | None = None
    at_ns: int | None = None
    faults: Sequence[str] = ()
    accounts: Sequence[Account] = ()
    lost_directory: bool = False

    @property
    def status(self) -> str:
        if self.interrupted:
            return "interrupted"
        if self.stopped:
            return f"stopped: {self.stopped}"
        return f"failed: {self.died}" if self.died else "complete"


@dataclass(frozen=True, slots=True, repr=False)
class LoadResult:
    """A finished load. `run` is the content of run.json, `totals` the counts that its figures come from.

    `unwritten` is the error that kept run.json from being written, such as a full disk: the figures are here only.
    """

    directory: Path
    run: RunFile
    totals: Totals
    ended: Ended = field(default_factory=Ended)
    unwritten: UsageError | None = None

    @property
    def summary(self) -> Summary:
        """The figures: `summary.ttft_ms.p95`, `summary.output_tokens_per_s`, `summary.slo_results`, ..."""
        assert self.run.summary is not None, "a finished run has a summary"
        return self.run.summary

    def records(self) -> RecordReader:
        """The records, one for each stream; iterate over them. They are read from the directory's streams.jsonl."""
        return RecordReader(self.directory)

    @property
    def passed(self) -> bool:
        """Whether the run is complete, the endpoint was always in reach, tokens came, and every SLO is met.

        An undecided SLO is not met. A run with faults does not pass.
        """
        met = all(result.verdict is SloVerdict.MET for result in self.summary.slo_results)
        whole = self.ended.status == "complete" and not self.run.faults and not self.totals.outages.total_ns
        return whole and bool(self.totals.token_events) and met

    def __repr__(self) -> str:
        summary = self.summary
        streams = sum(summary.streams.values())
        rate = "no tokens" if summary.output_tokens_per_s is None else f"{summary.output_tokens_per_s:,.0f} tokens/s"
        missed = sum(result.verdict is not SloVerdict.MET for result in summary.slo_results)
        slos = f", {missed} of {plural(len(summary.slo_results), 'SLO')} not met" if summary.slo_results else ""
        return (
            f"<LoadResult {self.run.status}: {plural(streams, 'stream')} ({summary.streams.get('ok', 0):,} ok), "
            f"TTFT {_spread(summary.ttft_ms)}, ITL {_spread(summary.itl_ms)}, {rate}, "
            f"{summary.validity.verdict}{slos}, in {self.directory}>"
        )


def _spread(values: Distribution | None) -> str:
    if values is None:
        return "-"
    return f"p50 {values.sign('p50')}{values.p50:.1f} ms p95 {values.sign('p95')}{values.p95:.1f} ms"
