"""What a run of `check` will cost: one line before each run, a table with --dry-run."""

from collections.abc import Sequence

from rich.table import Table

from streamgauge.cli.console import err, out, safe
from streamgauge.conformance.batch import CheckOptions
from streamgauge.conformance.bill import bill, bill_in_words
from streamgauge.conformance.scenarios.cost import Line, total
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.units import plural


def lines_of(subjects: Sequence[CheckedTarget], options: CheckOptions) -> list[Line]:
    """The bills of all targets together."""
    paths = 1 if options.via is None else 2
    return [line for subject in subjects for line in bill(subject, options.selected, options.allowed, paths=paths)]


def announce(subjects: Sequence[CheckedTarget], options: CheckOptions) -> None:
    """Print the cost of the run in one line, before its first request."""
    of = "" if len(subjects) == 1 else f" for {plural(len(subjects), 'target')}"
    limit = options.budget.limit if options.budget is not None else None
    bound = "" if limit is None else f"; it stops before {limit:,} tokens"
    err.print(f"[dim]cost{of}: {bill_in_words(lines_of(subjects, options))}{bound}[/dim]", highlight=False)


def print_bill(subjects: Sequence[CheckedTarget], options: CheckOptions) -> None:
    """Print the cost of each kind of request, and the sum."""
    for subject in subjects:
        lines = bill(subject, options.selected, options.allowed, paths=1 if options.via is None else 2)
        table = Table(box=None, pad_edge=False, header_style="bold", title=safe(subject.label), title_justify="left")
        table.add_column("request")
        table.add_column("what it is", overflow="fold")
        for column in ("requests", "prompt tokens", "output tokens", "longest wait"):
            table.add_column(column, justify="right")
        for line in (*lines, total(lines)):
            output = "unlimited" if line.output_tokens is None else f"{line.output_tokens:,}"
            wait = f"{line.longest_s:,.0f} s"
            table.add_row(line.name, line.summary, str(line.requests), f"{line.prompt_tokens:,}", output, wait)
        out.print(table)
    out.print(f"\n{bill_in_words(lines_of(subjects, options))}")
