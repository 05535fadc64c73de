"""Baselines in a directory: one is pinned, the others are its history.

    baselines/
      baseline.json       which run is pinned, and the figures of every run that was compared
      runs/<number>/      copies of the first run and of the pinned one: what a comparison needs of a run directory

A baseline that moves with each release loosens: twenty times 2 % slower is never a regression. So a run is compared
with the pinned baseline and with the first one, which stays for ever.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Final

import msgspec

from streamgauge.comparing.report import CompareReport
from streamgauge.errors import UsageError
from streamgauge.rundir import runs
from streamgauge.units import show_digits

FILE: Final = "baseline.json"
_RUNS: Final = "runs"
_COPIED: Final = (runs.RUN, runs.STREAMS, runs.WINDOW, runs.CHECKS, runs.CALIBRATION)
_MOST_HISTORY: Final = 1_000
_ELSEWHERE: Final = "name a directory that `compare --baseline DIR --pin` has made, or an empty one"


class PastFigure(msgspec.Struct, frozen=True):
    """A figure of a run in the history: latencies in ms, rates per second, shares as fractions."""

    metric: str
    statistic: str | None
    value: float


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was compared with the baseline, or pinned."""

    number: int
    label: str
    started: str
    streamgauge: str
    streams: int
    verdict: str | None = None
    figures: list[PastFigure] = []


class BaselineFile(msgspec.Struct, kw_only=True):
    """`baseline.json`. `pinned` and `first` are numbers of runs whose copies are kept."""

    schema: int = 1
    pinned: int
    first: int
    history: list[PastRun]


class Baseline:
    """The baselines of a directory. Raises UsageError when the directory cannot be read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = runs.read_file(directory / FILE, BaselineFile)

    @property
    def sides(self) -> list[str]:
        """The pinned run, and the first one where it is another. Raises UsageError without a baseline."""
        if self.file is None:
            raise UsageError(f"{self.directory} has no baseline yet", "pin one: compare --baseline DIR --pin RUN")
        return [str(self._copy(number)) for number in dict.fromkeys((self.file.pinned, self.file.first))]

    @property
    def last(self) -> PastRun:
        """The newest entry of the history. Raises UsageError without a baseline."""
        assert self.sides
        assert self.file is not None
        return self.file.history[-1]

    def remember(self, run: str, report: CompareReport | None) -> PastRun:
        """Add a run to the history, with the figures and the verdict of its comparison, and return its entry.

        Raises UsageError when the directory cannot be written.
        """
        entry = self._entry(run, report)
        if self.file is not None:
            self.file.history = [*self.file.history, entry][-_MOST_HISTORY:]
            self._write()
        return entry

    def pin(self, run: str, entry: PastRun) -> None:
        """Make a run the baseline. Raises UsageError when it cannot be copied."""
        self._copy_run(Path(run), entry.number)
        if self.file is None:
            self.file = BaselineFile(pinned=entry.number, first=entry.number, history=[entry])
        left, self.file.pinned = self.file.pinned, entry.number
        self._write()  # before the old copy goes: whoever reads in between finds the run that the file names
        if left not in (self.file.first, self.file.pinned):
            shutil.rmtree(self._copy(left), ignore_errors=True)

    def _entry(self, run: str, report: CompareReport | None) -> PastRun:
        number = 1 + max((past.number for past in self.file.history), default=0) if self.file else 1
        manifest = runs.read_file(Path(run) / runs.RUN, runs.RunFile)
        if manifest is None:
            raise UsageError(f"{run} has no run.json", "a baseline is one run directory of `streamgauge load`")
        streams = sum(manifest.summary.streams.values()) if manifest.summary else 0
        figures, verdict = [], None
        if report is not None:
            rows = report.against[0].rows
            figures = [PastFigure(row.metric, row.statistic, row.b) for row in rows if row.b is not None]
            verdict = report.verdict.value
        return PastRun(
            number=number, label=run, started=manifest.started, streamgauge=manifest.streamgauge, streams=streams,
            verdict=verdict, figures=figures,
        )  # fmt: skip

    def _copy(self, number: int) -> Path:
        return self.directory / _RUNS / str(number)

    def _copy_run(self, run: Path, number: int) -> None:
        """Copy what a comparison needs; a reader sees the whole copy or none."""
        place = self._copy(number)
        temporary = place.with_name(f".{number}.{token_hex(6)}")
        try:
            temporary.mkdir(parents=True)
            for name in _COPIED:
                if (run / name).is_file():
                    shutil.copyfile(run / name, temporary / name)
            shutil.rmtree(place, ignore_errors=True)  # of an attempt that ended before baseline.json was written
            temporary.rename(place)
        except OSError as error:
            raise UsageError(f"cannot copy {run} to {place}: {error.strerror}", _ELSEWHERE) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self) -> None:
        assert self.file is not None
        runs.write(self.directory / FILE, self.file)


def trend(file: BaselineFile, figures: Sequence[tuple[str, str | None]], most: int = 8) -> list[str]:
    """How figures went over the last runs of the history: `ttft p95: 402, 405, 411, 418`."""
    lines = []
    for metric, statistic in figures:
        values = [
            figure.value for past in file.history for figure in past.figures
            if (figure.metric, figure.statistic) == (metric, statistic)
        ][-most:]  # fmt: skip
        if len(values) > 1:
            name = " ".join(part for part in (metric, statistic) if part)
            lines.append(f"{name}: {', '.join(show_digits(value, 4) for value in values)}")
    return lines
