"""What `capacity` prints: a line for each point as it comes, and at the end the table of loads and the answer."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from streamgauge.capacity.budget import Budget, Price
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.point import Point, Verdict
from streamgauge.capacity.preview import Sizes, assumption, plan_lines, preview
from streamgauge.capacity.run import Asking, SearchEvent
from streamgauge.capacity.search import SearchPlan
from streamgauge.capacity.words import by_load, client_advice, conclusion, figure_text, labelled, level, trials_text
from streamgauge.cli.console import err, facts, out, safe
from streamgauge.loadgen.progress import LoadEvent

_COLOURS: Final = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}
_LEVELS: Final = {"good": "green", "warn": "yellow", "bad": "red"}


def show_event(event: SearchEvent) -> None:
    """One line to standard error."""
    if isinstance(event, Asking):
        probe = event.probe
        warm = f" after {probe.warmup_s:.1f} s of warm-up" if probe.warmup_s else " at once"
        err.print(f"{event.number:>3}  {probe.shown}, {probe.purpose.value}: {probe.seconds:g} s{warm} ...")
        return
    point = event.point
    colour = _COLOURS[point.verdict]
    resumed = (
        f"{event.number:>3}  {point.probe.shown}, {point.probe.purpose.value}, from the history:"
        if event.resumed
        else "    "
    )
    nearest = "".join(f" ({margin.slo}: {margin.words})" for margin in point.margins[:1])
    err.print(f"{resumed} [{colour}]{point.verdict.value}[/{colour}]  {safe(point.reason + nearest)}")


def show_preview(url: str, plan: SearchPlan, budget: Budget, sizes: Sizes) -> None:
    """What the search can take, to standard error, before anything is asked for."""
    err.print(facts([(label, safe(text)) for label, text in [("target", url), *plan_lines(plan, budget, sizes)]]))
    priced = budget.price != Price()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("if it holds", "points", "minutes", "requests", "tokens", *(["cost"] if priced else [])):
        table.add_column(column, justify="left" if column == "if it holds" else "right")
    table.add_column("")
    for row in preview(plan, budget, sizes):
        used, known = row.used, sizes.prompt is not None
        cost = budget.price.of(used.prompt_tokens, used.output_tokens)
        table.add_row(
            plan.axis.show(row.capacity),
            f"{row.points:,}",
            f"{used.seconds / 60:,.1f}" if used.seconds < 600 else f"{used.seconds / 60:,.0f}",
            f"{used.requests:,.0f}",
            f"{used.tokens:,.0f}" if known else "-",
            *([f"{cost:,.2f}" if known else "-"] if priced else []),
            "" if row.ended is None else safe(f"stopped before its answer: {_limit(row.ended)}"),
        )
    err.print(table)
    err.print(safe(assumption(sizes)))


def _limit(reason: str) -> str:
    """The option that ends a search, of a sentence about it."""
    return next((word for word in reason.split() if word.startswith("--")), reason)


def silent_load(_: LoadEvent) -> None:
    """Nothing within a point: a search has a line for each."""


def print_capacity(found: CapacityFile) -> None:
    """The loads, the answer and the conclusion to standard output, advice about the client to standard error."""
    out.print(load_table(found))
    out.print()
    out.print(facts([(label, safe(text)) for label, text in labelled(found)]))
    for line in client_advice(found):
        err.print(f"[yellow]client:[/yellow] {safe(line)}")
    if (held := conclusion(found)) is not None:
        colour = _LEVELS[level(found)]
        out.print(f"[{colour}]{held[0]}:[/{colour}] {safe(held[1])}")


def load_table(found: CapacityFile) -> Table:
    """A row for each load: its trials, and the figures of the longest one. The binding objective has its interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("load", "trials", "streams", "streams/s", "tokens/s"):
        table.add_column(column, justify="left" if column in ("load", "trials") else "right")
    for objective in found.objectives:
        table.add_column(safe(objective), justify="right")
    for row in by_load(found.points):
        seen = row.best.observation
        figures = {figure.slo: figure for figure in seen.figures}
        table.add_row(
            row.best.probe.shown,
            coloured(row.trials),
            f"{seen.ok + seen.refused + seen.broken:,}",
            "-" if seen.streams_per_s is None else f"{seen.streams_per_s:,.2f}",
            "-" if seen.tokens_per_s is None else f"{seen.tokens_per_s:,.0f}",
            *(
                safe(figure_text(figures.get(slo), interval=slo == found.answer.binding) or "-")
                for slo in found.objectives
            ),
        )
    return table


def coloured(trials: Sequence[Point]) -> str:
    """How many trials passed, failed and were undecided, in the colour of the last decided one."""
    decided = [point.verdict for point in trials if point.verdict is not Verdict.UNDECIDED]
    colour = _COLOURS[decided[-1] if decided else Verdict.UNDECIDED]
    return f"[{colour}]{trials_text(trials)}[/{colour}]"
