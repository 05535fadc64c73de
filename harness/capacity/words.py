"""The words and rows of a finished search: the terminal, the Markdown and the page say the same."""

from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

from streamgauge.capacity.answer import Ending, sentences
from streamgauge.capacity.axis import Axis
from streamgauge.capacity.client import Trouble, advice
from streamgauge.capacity.figure import Figure
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.fleet import fleet_sentences
from streamgauge.capacity.point import Point, Verdict
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.metric import Unit
from streamgauge.metrics.slo import parse_slo
from streamgauge.units import plural, show_ms


class LoadRow(NamedTuple):
    """A load: its trials, and the point that says most about it."""

    load: float
    trials: Sequence[Point]
    best: Point


def by_load(points: Sequence[Point]) -> list[LoadRow]:
    """The points that decide the interval, by load. The longest decided trial of each says most."""
    loads: dict[float, list[Point]] = {}
    for point in points:
        if point.probe.purpose.is_bound:
            loads.setdefault(point.load, []).append(point)
    return [LoadRow(load, loads[load], max(loads[load], key=_weight)) for load in sorted(loads)]


def _weight(point: Point) -> tuple[bool, float]:
    return point.verdict is not Verdict.UNDECIDED, point.observation.seconds


def trials_text(trials: Sequence[Point]) -> str:
    """How many trials passed, failed and were undecided."""
    counts = [(verdict, sum(point.verdict is verdict for point in trials)) for verdict in Verdict]
    return ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count)


def figure_text(figure: Figure | None, *, interval: bool) -> str:
    """A figure in the unit of its limit, with its interval where asked for; empty without data."""
    if figure is None or figure.value is None:
        return ""
    slo = parse_slo(figure.slo)
    text = short(slo, figure.value)
    if not interval or figure.low is None:
        return text
    low = short(slo, figure.low)
    if figure.high is None:
        return f"{text} (≥ {low})"
    high = short(slo, figure.high)
    if low.split()[-1] == high.split()[-1] == text.split()[-1]:
        low, high = low.split()[0], high.split()[0]  # one unit is enough
    return f"{text} ({low}–{high})"


def short(slo: Condition, value: float) -> str:
    """A figure with three digits: ms of a latency, percent of a share."""
    return show_ms(value) if slo.unit is Unit.DURATION else f"{value:.1%}"


def labelled(found: CapacityFile) -> list[tuple[str, str]]:
    """The answer, the models and the plan in labelled lines."""
    return [*sentences(found.answer), *fleet_sentences(found.fleet, found.answer.axis)]


def conclusion(found: CapacityFile) -> tuple[str, str] | None:
    """Whether the endpoint holds the load that was asked for: met, not met or undecided, and a sentence."""
    if found.at_least is None:
        return None
    asked = found.answer.axis.show(found.at_least)
    match found.answer.met(found.at_least):
        case True:
            return "met", f"it holds {asked}"
        case False:
            return "not met", f"it does not hold {asked}"
    return "undecided", f"whether it holds {asked} is not known; {found.answer.because or found.answer.headline}"


def level(found: CapacityFile) -> str:
    """good, warn or bad: how the headline is shown."""
    if (held := conclusion(found)) is not None:
        return {"met": "good", "not met": "bad", "undecided": "warn"}[held[0]]
    if found.answer.ending is Ending.NOTHING_PASSED:
        return "bad"
    return "good" if found.answer.ending in (Ending.BRACKETED, Ending.AT_LEAST) else "warn"


def client_advice(found: CapacityFile) -> list[str]:
    """The calibrated ceiling of this client, and what to do; nothing unless something on its side ended the search."""
    last = _held_up(found)
    if last is None:
        return []
    seen, processes = last.observation, int(found.settings.get("processes", 1))
    what_helps = advice(
        seen.troubles,
        used=seen.core_used,
        awaited=seen.core_awaited,
        processes=processes,
        cpus=found.machine.cpus or 1,
    )
    if found.answer.ending is not Ending.CLIENT_LIMITED:
        return what_helps
    several = [_from_several_machines(found, last)] if _is_used_up(found, last) else []
    return [_ceiling(found.calibration), *what_helps, *several]


def _is_used_up(found: CapacityFile, last: Point) -> bool:
    """Whether only more machines would help, for users and rates: the command for several machines has no sessions."""
    processes = int(found.settings.get("processes", 1))
    is_full = Trouble.CPU in last.observation.troubles and processes >= (found.machine.cpus or 1)
    return is_full and found.answer.axis is not Axis.SESSIONS


def _from_several_machines(found: CapacityFile, last: Point) -> str:
    """The command that offers the last load from several machines: a search itself runs on one."""
    load = f"--users {last.load:.0f}" if found.answer.axis.is_whole else f"--rate {last.load:g}/s"
    slos = " ".join(f"--slo {quote(objective)}" for objective in found.objectives)
    return (
        "a search runs on one machine; one load can come from several, whose workers the command names: "
        f"`streamgauge load {quote(found.target)} {load} {slos} --master --expect-workers 2 --bind 0.0.0.0`"
    )


def _held_up(found: CapacityFile) -> Point | None:
    """The point at which something on the client's side ended the search; None when nothing did."""
    if found.answer.ending is Ending.CLIENT_LIMITED:
        return next((point for point in reversed(found.points) if point.load == found.answer.wall), None)
    last = found.points[-1] if found.points else None
    return last if last is not None and last.observation.unusable is not None else None


def _ceiling(floor: Calibration | None) -> str:
    if floor is None:
        return "its own ceiling is not known: `streamgauge calibrate --users N --out DIR`, then --calibration DIR"
    rate = "" if floor.tokens_per_s is None else f" and {floor.tokens_per_s:,.0f} tokens/s"
    processes = plural(floor.processes, "process", "processes")
    return f"it was calibrated at {floor.users:,} users{rate} ({processes}): {floor.validity.verdict}"
