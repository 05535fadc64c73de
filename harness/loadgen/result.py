"""A finished load as a value: the content of run.json, and where its records are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from streamgauge.errors import ExitCode, UsageError
from streamgauge.loadgen.locust_process import LOG
from streamgauge.metrics.distributions import Distribution
from streamgauge.metrics.slo import SloVerdict
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.metrics.validity import unfit
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


class Conclusion(NamedTuple):
    """What a run is worth: an exit code, the reasons for it, a word for them, and what to do."""

    code: ExitCode
    reasons: Sequence[str] = ()
    label: str = ""
    hint: str | None = None


_UNDECIDED: Final = (
    "too few streams: a longer --duration or more load; no data: see how the streams ended; cut streams: --drain lets "
    "them end; this client: calibrate shows the load that it can carry"
)
_UNFIT: Final = (
    "see the caveats; where this client was the limit, use a quieter machine or less load: calibrate shows what it can "
    "carry"
)


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
        """Whether the run is complete and valid, the endpoint was always in reach, tokens came, and every SLO is met.

        A run with faults does not pass, nor does one whose figures are INVALID: with SLOs, the figures that an SLO
        uses. An undecided SLO is not met.
        """
        return self.conclusion.code is ExitCode.OK

    @property
    def conclusion(self) -> Conclusion:
        """What this run is worth: the exit code of `load`, and why. A failure goes before what is not known."""
        return next(self._objections(), Conclusion(ExitCode.OK))

    def _objections(self) -> Iterator[Conclusion]:
        """Everything that keeps the run from passing, the gravest first."""
        failed, unknown = ExitCode.FAILED, ExitCode.CANNOT_MEASURE
        ended, verdicts = self.ended, self.summary.slo_results
        if ended.interrupted:
            yield Conclusion(ExitCode.INTERRUPTED)
        if ended.lost_directory:
            yield Conclusion(
                unknown, [ended.faults[0]], hint="the figures above are all that is left of it: run it again"
            )
        if ended.stopped:
            # A limit that the endpoint has passed is its failure; a fault of this machine is not.
            yield Conclusion(unknown if ended.stopped in ended.faults else failed, [ended.stopped], "stopped")
        if faults := self.run.faults or ([ended.died] if ended.died else []):
            why = f"this was not the load that you asked for: {'; '.join(faults)}"
            hint = f"run it again; everything that was measured is in {self.directory}"
            yield Conclusion(unknown, [why], hint=hint)
        missed = [slo for slo in verdicts if slo.verdict is SloVerdict.MISSED]
        if not self.totals.token_events and not missed:
            hint = f"see the outcomes above and {self.directory / LOG}"
            yield Conclusion(unknown, ["no token came in the whole run"], hint=hint)
        if self.run.truth is not None and not self.run.truth.streams:
            why = "the mock's ledger has none of the streams of this run, so nothing could be compared with it"
            hint = "does the endpoint answer from a cache? Drop --mock to measure it without its upstream"
            yield Conclusion(unknown, [why], hint=hint)
        if missed:
            yield Conclusion(failed, [f"{slo.slo} (measured {slo.measured})" for slo in missed], "SLO missed")
        if outages := str(self.totals.outages):
            yield Conclusion(failed, [outages], "out of reach")
        if undecided := [f"{slo.slo} ({slo.reason})" for slo in verdicts if slo.verdict is SloVerdict.UNDECIDED]:
            yield Conclusion(unknown, [f"undecided: the SLO {'; '.join(undecided)}"], hint=_UNDECIDED)
        if (why_unfit := unfit(self.summary.deciding_validity)) is not None:
            yield Conclusion(unknown, [why_unfit], hint=_UNFIT)

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
