"""The options of `check`, by group: what fails the run, what the checks may cost, and which files are written."""

from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamgauge.cli.check_files import FORMATS, Files, Format
from streamgauge.conformance.baseline import read_baseline, read_expected_failures
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.gate import Accepted, FailOn, parse_fail_on
from streamgauge.conformance.permissions import LONG_NS, MAX_STREAMS, Allowed
from streamgauge.endpoint.client import TOTAL_S
from streamgauge.endpoint.credentials import key_in
from streamgauge.errors import UsageError
from streamgauge.files import must_be_writable
from streamgauge.units import SECOND, parse_bounded

_GATE: Final = "What fails the run"
_COSTS: Final = "What it may cost"
_FILES: Final = "Files"


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """Which findings fail the run, and which are accepted."""

    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="RULE",
            help="fail: an unmet MUST (the default); warn: an unmet SHOULD too; never; or critical, high, medium, low:"
            " every finding of at least that severity. Repeatable.",
            rich_help_panel=_GATE,
        ),
    ] = None
    strict: Annotated[
        bool,
        typer.Option("--strict", help="The same as --fail-on warn.", rich_help_panel=_GATE, show_default=False),
    ] = False
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Accepted findings, by target and check. If an accepted check passes again, its entry fails the run.",
            rich_help_panel=_GATE,
        ),
    ] = None
    update_baseline: Annotated[
        bool,
        typer.Option(
            "--update-baseline",
            help="Add the checks that fail now to --baseline, and remove those that pass.",
            rich_help_panel=_GATE,
            show_default=False,
        ),
    ] = False
    expected_failures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A simpler baseline: check ids, one a line, accepted for every target.",
            rich_help_panel=_GATE,
        ),
    ] = None

    def rule(self) -> FailOn:
        """The rule of --fail-on. Raises UsageError on an unknown rule, and on --update-baseline without --baseline."""
        if self.update_baseline and self.baseline is None:
            raise UsageError("--update-baseline needs --baseline", "name the file to write with --baseline FILE")
        return parse_fail_on([*(self.fail_on or ()), *(["warn"] if self.strict else [])])

    def accepted(self) -> list[Accepted]:
        """The entries of both kinds of file; a baseline that will be written need not exist yet."""
        accepted = [] if self.expected_failures is None else read_expected_failures(self.expected_failures, CHECKS)
        if self.baseline is not None and not (self.update_baseline and not self.baseline.exists()):
            accepted += read_baseline(self.baseline, CHECKS)
        if self.update_baseline and self.baseline is not None:
            must_be_writable(self.baseline)
        return accepted


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """The permissions for checks that wait long, send many requests, or need a second key."""

    long: Annotated[
        bool,
        typer.Option(
            "--long",
            help="Allow checks that wait: through a minute of silence for heartbeats, and until the endpoint gives up a"
            " dead upstream. They are a handful of requests that run side by side, for up to --max-duration.",
            rich_help_panel=_COSTS,
            show_default=False,
        ),
    ] = False
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration",
            metavar="DURATION",
            help=f"With --long: the longest single wait. Default: {LONG_NS // SECOND}s.",
            rich_help_panel=_COSTS,
        ),
    ] = None
    allow_load: Annotated[
        bool,
        typer.Option(
            "--allow-load",
            help="Allow checks that open many streams at once, to find the limits: about five requests for each of"
            " --max-streams. With --mock they take 10 seconds; without it a real model answers them, and costs money.",
            rich_help_panel=_COSTS,
            show_default=False,
        ),
    ] = False
    max_streams: Annotated[
        int | None,
        typer.Option(
            "--max-streams",
            metavar="N",
            min=2,
            max=1000,
            help=f"With --allow-load: how many streams to open at once. Default: {MAX_STREAMS}.",
            rich_help_panel=_COSTS,
        ),
    ] = None
    big_prompts: Annotated[
        bool,
        typer.Option(
            "--allow-big-prompts",
            help="Allow prompts of 100,000 and 1,000,000 characters, to find the limit of the input: two requests, sent"
            " last and alone. With --mock they are free and need no permission; a real model reads them for minutes.",
            rich_help_panel=_COSTS,
            show_default=False,
        ),
    ] = False
    max_tokens_spent: Annotated[
        int | None,
        typer.Option(
            "--max-tokens-spent",
            metavar="N",
            min=1,
            help="Stop before a real model has read and written more than about N tokens in all; the checks that are"
            " left out are named. Tokens of the mock are free.",
            rich_help_panel=_COSTS,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what the run would cost at most, by kind of request, and exit without a request.",
            rich_help_panel=_COSTS,
            show_default=False,
        ),
    ] = False
    second_key: Annotated[
        str | None,
        typer.Option(
            "--second-key",
            metavar="VAR",
            help="Environment variable that holds a second user's key, to check what one user may not do to another."
            " Three more requests; the key is sent in the same header as the first and is never written down.",
            rich_help_panel=_COSTS,
        ),
    ] = None

    max_time: Annotated[
        str | None,
        typer.Option(
            "--max-time",
            metavar="DURATION",
            help=f"The time for all requests to one target; a check whose requests were not made by then is"
            f" inconclusive. Default: {TOTAL_S / 60:.0f}m, with --long four times --max-duration more.",
            rich_help_panel=_COSTS,
        ),
    ] = None

    def total_s(self) -> float:
        """The time for all requests to one target. Raises UsageError on a malformed duration."""
        if self.max_time is not None:
            total_ns = parse_bounded(self.max_time, "--max-time")
            if total_ns <= 0:
                raise UsageError("--max-time must be more than 0", "write for example 15m")
            return total_ns / SECOND
        return TOTAL_S + _LONG_WAITS * (self.allowed().long_ns or 0) / SECOND

    def allowed(self) -> Allowed:
        """The permissions. Raises UsageError on an option without effect, and on a variable that is not set."""
        if self.max_duration is not None and not self.long:
            raise UsageError("--max-duration needs --long, whose waits it limits", "add --long")
        if self.max_streams is not None and not self.allow_load:
            raise UsageError("--max-streams needs --allow-load, whose streams it limits", "add --allow-load")
        long_ns = LONG_NS if self.max_duration is None else parse_bounded(self.max_duration, "--max-duration")
        if long_ns <= 0:
            raise UsageError("--max-duration must be more than 0", "write for example 90s")
        return Allowed(
            long_ns=long_ns if self.long else None,
            streams=(self.max_streams or MAX_STREAMS) if self.allow_load else None,
            big_prompts=self.big_prompts,
            second_key=None if self.second_key is None else key_in(self.second_key, "--second-key"),
        )


_LONG_WAITS: Final = 4  # so many of the longest waits may come one after another


def _file_option(form: Format) -> Any:
    return Annotated[
        Path | None, typer.Option(f"--{form.name}", metavar="FILE", help=form.help, rich_help_panel=_FILES)
    ]


_ReportOptions: Any = make_dataclass(
    "_ReportOptions", [(form.name, _file_option(form), None) for form in FORMATS], frozen=True, kw_only=True
)


@dataclass(frozen=True, kw_only=True)
class FileOptions(_ReportOptions):  # type: ignore[misc] # its fields follow from FORMATS
    """The files to write."""

    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write checks.json into a run directory, for `report`; several targets each get a directory in it.",
            rich_help_panel=_FILES,
        ),
    ] = None

    def files(self) -> Files:
        paths = {form: getattr(self, form.name) for form in FORMATS}
        return Files({form: path for form, path in paths.items() if path is not None}, self.out_dir)
