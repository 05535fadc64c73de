"""What `capacity` prints: a line for each point as it comes, and at the end the table of loads and the answer."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from streamgauge.capacity.answer import Answer, Ending, sentences
from streamgauge.capacity.figure import Figure
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.fleet import fleet_sentences
from streamgauge.capacity.point import Point, Verdict
from streamgauge.capacity.run import Asking, SearchEvent
from streamgauge.cli.console import err, facts, out, safe
from streamgauge.loadgen.progress import LoadEvent
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.metric import Unit
from streamgauge.metrics.slo import parse_slo
from streamgauge.units import show_ms

_COLOURS: Final = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}


def show_event(event: SearchEvent) -> None:
    """One line to standard error."""
    if isinstance(event, Asking):
        probe = event.probe
        warm = f" after {probe.warmup_s:g} s of warm-up" if probe.warmup_s else " at once"
        err.print(f"{event.number:>3}  {probe.shown}, {probe.purpose.value}: {probe.seconds:g} s{warm} ...")
        return
    point = event.point
    colour = _COLOURS[point.verdict]
    resumed = (
        f"{event.number:>3}  {point.probe.shown}, {point.probe.purpose.value}, from the history"
        if event.resumed
        else "    "
    )
    nearest = "".join(f" ({margin.slo}: margin {margin.share:.0%})" for margin in point.margins[:1])
    err.print(f"{resumed} [{colour}]{point.verdict.value}[/{colour}]  {safe(point.reason + nearest)}")


def silent_load(_: LoadEvent) -> None:
    """Nothing within a point: a search has a line for each."""


def print_capacity(found: CapacityFile) -> None:
    """The loads and the answer to standard output."""
    out.print(load_table(found))
    out.print()
    lines = [*sentences(found.answer), *fleet_sentences(found.fleet)]
    out.print(facts([(label, safe(text)) for label, text in lines]))
    if found.answer.ending is Ending.CLIENT_LIMITED:
        for line in client_advice(found):
            err.print(f"[yellow]client:[/yellow] {safe(line)}")


def load_table(found: CapacityFile) -> Table:
    """A row for each load: its trials, and the figures of the longest one. The binding objective has its interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("load", "trials", "streams", "streams/s", "tokens/s"):
        table.add_column(column, justify="left" if column in ("load", "trials") else "right")
    for objective in found.objectives:
        table.add_column(safe(objective), justify="right")
    for trials in by_load(found.points):
        longest = max(trials, key=lambda point: (point.verdict is not Verdict.UNDECIDED, point.observation.seconds))
        seen = longest.observation
        figures = {figure.slo: figure for figure in seen.figures}
        table.add_row(
            longest.probe.shown,
            verdicts_text(trials),
            f"{seen.ok + seen.refused + seen.broken:,}",
            "-" if seen.streams_per_s is None else f"{seen.streams_per_s:,.2f}",
            "-" if seen.tokens_per_s is None else f"{seen.tokens_per_s:,.0f}",
            *(safe(figure_text(figures.get(slo), interval=slo == found.answer.binding)) for slo in found.objectives),
        )
    return table


def by_load(points: Sequence[Point]) -> list[list[Point]]:
    """The points that decide the interval, by load."""
    loads: dict[float, list[Point]] = {}
    for point in points:
        if point.probe.purpose.is_bound:
            loads.setdefault(point.load, []).append(point)
    return [loads[load] for load in sorted(loads)]


def verdicts_text(trials: Sequence[Point]) -> str:
    """How many trials passed, failed and were undecided."""
    counts = [(verdict, sum(point.verdict is verdict for point in trials)) for verdict in Verdict]
    parts = [
        f"[{_COLOURS[verdict]}]{count} {verdict.value}[/{_COLOURS[verdict]}]" for verdict, count in counts if count
    ]
    return ", ".join(parts)


def figure_text(figure: Figure | None, *, interval: bool) -> str:
    """A figure in the unit of its limit, with its interval where asked for; `-` without data."""
    if figure is None or figure.value is None:
        return "-"
    slo = parse_slo(figure.slo)
    text = short(slo, figure.value)
    if not interval or figure.low is None:
        return text
    return f"{text} ({short(slo, figure.low)}..{'' if figure.high is None else short(slo, figure.high)})"


def short(slo: Condition, value: float) -> str:
    """A figure with three digits: ms of a latency, percent of a share."""
    return show_ms(value) if slo.unit is Unit.DURATION else f"{value:.1%}"


def client_advice(found: CapacityFile) -> list[str]:
    """The calibrated ceiling of this client, and what to do when it was the limit."""
    floor, processes = found.calibration, int(found.settings.get("processes", 1))
    lines = []
    if floor is not None:
        rate = "" if floor.tokens_per_s is None else f" and {floor.tokens_per_s:,.0f} tokens/s"
        lines.append(
            f"it was calibrated at {floor.users:,} users{rate} ({floor.processes} processes): {floor.validity.verdict}"
        )
    else:
        lines.append(
            "its own ceiling is not known: `streamgauge calibrate --users N --out DIR`, then --calibration DIR"
        )
    cpus = found.machine.cpus or 1
    if processes < cpus:
        lines.append(f"this machine has {cpus} CPUs: run it again with --processes {min(2 * processes, cpus)}")
    else:
        lines.append("every CPU of this machine is in use: run it on a larger machine, away from the endpoint")
    return lines


def at_least_line(found: Answer, at_least: float) -> str:
    """Whether the endpoint holds the load that was asked for."""
    asked = found.axis.show(at_least)
    match found.met(at_least):
        case True:
            return f"[green]met:[/green] it holds {asked}"
        case False:
            return f"[red]not met:[/red] it does not hold {asked}"
    return f"[yellow]undecided:[/yellow] whether it holds {asked} is not known"
