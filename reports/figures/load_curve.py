"""Throughput and the figure of each objective over the load of a search, with the interval of the capacity."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.point import Point, Verdict
from streamgauge.capacity.words import by_load, short
from streamgauge.metrics.metric import Unit
from streamgauge.metrics.slo import parse_slo
from streamgauge.reports.figures.canvas import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    HALF,
    HEIGHT,
    INK,
    ORANGE,
    PLAIN,
    RED,
    Drawing,
    log_axis,
    style,
    svg,
)  # fmt: skip
from streamgauge.reports.text import number
from streamgauge.units import MS

_LOG: Final = 20  # a larger ratio of the largest value to the smallest needs a logarithmic axis
_ABOVE: Final[dict[str, Any]] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 3, "borderaxespad": 0}
_ROOM: Final = 0.3  # of the axis, for the words of a wall
_MOST_OBJECTIVES: Final = 4
_APART: Final = 0.012  # of the largest load
_MARKS: Final = {
    Verdict.PASS: ("o", GREEN, GREEN),
    Verdict.FAIL: ("X", RED, RED),
    Verdict.UNDECIDED: ("s", ORANGE, "none"),
}


def draw_capacity(found: CapacityFile) -> list[Drawing]:
    """The throughput, each latency, and the share of failures where it ends the capacity."""
    points = [point for point in found.points if point.probe.purpose.is_bound and point.load > 0]
    with style():
        drawn = _throughput(found, points)
        for slo in found.objectives:
            if len(drawn) <= _MOST_OBJECTIVES:
                drawn += _objective(found, points, slo)
    return drawn


def _unit(found: CapacityFile) -> str:
    return found.answer.axis.value if found.answer.axis.is_whole else "streams per second offered"


def _throughput(found: CapacityFile, points: Sequence[Point]) -> list[Drawing]:
    rates = {
        row.load: sum(known) / len(known)
        for row in by_load(points)
        if (known := [rate for point in row.trials if (rate := point.observation.streams_per_s) is not None])
    }
    if len(rates) < 2:
        return []
    loads, law = sorted(rates), found.fleet.law
    most, top = loads[-1], max(rates.values())
    fitted = law.refused is None and found.answer.axis.is_whole

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        ideal = rates[loads[0]] / loads[0]
        axes.plot([0, most * 1.1], [0, ideal * most * 1.1], color=FAINT, linestyle=(0, (2, 3)), linewidth=1.4,
                  label="ideal")  # fmt: skip
        if fitted:
            xs = [1 + (most * 1.1 - 1) * step / 100 for step in range(101)]
            axes.plot(xs, [law.at(x) for x in xs], color=BLUE, linewidth=1.6, label="scalability law")
        axes.plot(loads, [rates[load] for load in loads], "o", color=INK, markersize=5, label="measured")
        axes.set_xlim(0, most * 1.1)
        axes.set_ylim(0, top * 1.35)
        axes.set_xlabel(_unit(found))
        axes.set_ylabel("streams per second")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_major_formatter(PLAIN)
        _answer(axes, found)
        axes.legend(**_ABOVE)

    listed = ", ".join(f"{number(rates[load])} at {load:,.10g}" for load in loads)
    fit = f" The law misses the points by {law.error:.1%}." if fitted and law.error is not None else ""
    refused = f" No law is drawn: {law.refused}." if law.refused is not None and not fitted else ""
    return [
        Drawing(
            "throughput",
            "Throughput over the load",
            f"Streams per second that ended.{fit}{refused}{_shaded(found)}",
            f"Streams per second by {_unit(found)}: {listed}.",
            svg("throughput", HALF, HEIGHT, paint),
            HALF,
        )
    ]


def _objective(found: CapacityFile, points: Sequence[Point], text: str) -> list[Drawing]:
    slo = parse_slo(text)
    share = slo.unit is Unit.SHARE
    scale = 0.01 if share else MS
    measured = [
        (point, figure)
        for point in points
        for figure in point.observation.figures
        if figure.slo == text and figure.value is not None and figure.value >= 0
    ]
    values = [(figure.value or 0) / scale for _, figure in measured]
    if len(measured) < 2 or (share and found.answer.binding != text):
        return []
    limit = slo.limit / scale
    logarithmic = min(values) > 0 and max(*values, limit) > _LOG * min(*values, limit)
    most = max(point.load for point, _ in measured)
    name = f"curve-{slo.metric}-{slo.statistic or 'share'}".replace(".", "-")
    title = " ".join(part for part in (slo.metric, slo.statistic) if part)
    if slo.where:
        name += f"-{found.objectives.index(text)}"
        title += f" where {' and '.join(map(str, slo.where))}"

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if logarithmic:
            axes.set_yscale("log")
            log_axis(axes.yaxis, min(*values, limit), max(*values, limit))
            axes.set_ylim(min(*values, limit) / 1.6, max(*values, limit) * 2.5)
        else:
            axes.set_ylim(0, max(*values, limit) * 1.3)
        axes.yaxis.set_major_formatter(PLAIN)
        trials = Counter[float]()
        for point, result in measured:
            marker, colour, face = _MARKS[point.verdict]
            x = point.load + most * _APART * trials[point.load]  # trials of one load side by side
            trials[point.load] += 1
            value = (result.value or 0) / scale
            low = value if result.low is None else result.low / scale
            high = value if result.high is None else result.high / scale
            axes.plot([x, x], [low, high], color=colour, linewidth=1.4)
            axes.plot([x], [value], marker, color=colour, markerfacecolor=face, markersize=7)
        axes.axhline(limit, color=RED, linestyle=(0, (4, 3)), linewidth=1.4)
        axes.annotate(
            f"limit {short(slo, slo.limit)}", (0, limit), xytext=(6, 5), textcoords="offset points", color=INK
        ).set_in_layout(False)
        axes.set_xlim(0, most * 1.1)
        axes.set_xlabel(_unit(found))
        axes.set_ylabel(f"{title}, {'%' if share else 'ms'}")
        axes.xaxis.set_major_formatter(PLAIN)
        _answer(axes, found)
        shown = [verdict for verdict in _MARKS if any(point.verdict is verdict for point, _ in measured)]
        axes.legend(handles=list(map(_handle, shown)), **_ABOVE)

    listed = ", ".join(
        f"{short(slo, figure.value or 0)} at {point.load:,.10g} ({point.verdict.value})" for point, figure in measured
    )
    binding = " This objective ends the capacity." if found.answer.binding == text else ""
    return [
        Drawing(
            name,
            f"{title} over the load",
            f"Each mark is a point with its {found.confidence:.0%} interval; it says what the point decided over all "
            f"objectives.{binding}",
            f"{text}, measured: {listed}.",
            svg(name, HALF, HEIGHT, paint),
            HALF,
        )
    ]


def _handle(verdict: Verdict) -> Line2D:
    marker, colour, face = _MARKS[verdict]
    return Line2D(
        [], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face, markersize=7, label=verdict.value
    )


def _shaded(found: CapacityFile) -> str:
    """What the shaded part of a figure is, where there is one."""
    answer = found.answer
    shades = []
    if answer.low is not None and answer.high is not None:
        shades.append("the interval of the capacity")
    if answer.wall is not None:
        shades.append("loads at which this client was the limit")
    return f" Shaded: {', and '.join(shades)}." if shades else ""


def _answer(axes: Axes, found: CapacityFile) -> None:
    """The interval of the capacity as a band, and the limit of this client as a wall."""
    answer = found.answer
    left, right = axes.get_xlim()
    blended = axes.get_xaxis_transform()
    if answer.low is not None and answer.high is not None:
        axes.axvspan(answer.low, answer.high, color=BLUE, alpha=0.18, linewidth=0)
        middle = (answer.low + answer.high) / 2
        words = axes.text(middle, 0.97, f"{answer.low:,.10g} to {answer.high:,.10g}", transform=blended, va="top",
                          ha="right" if middle > 0.7 * right else "left" if middle < 0.3 * right else "center",
                          color=INK)  # fmt: skip
        words.set_in_layout(False)
    elif answer.low is not None:
        axes.axvline(answer.low, color=BLUE, linewidth=1.4)
        words = axes.text(
            answer.low, 0.97, f"≥ {answer.low:,.10g} ", transform=blended, va="top", ha="right", color=INK
        )
        words.set_in_layout(False)
    if answer.wall is not None:
        axes.axvspan(answer.wall, right, color=GREY, alpha=0.3, linewidth=0)
        axes.axvline(answer.wall, color=GREY, linewidth=3)
        roomy = right - answer.wall > _ROOM * right
        words = axes.text(answer.wall, 0.9, " limit of this client ", transform=blended, va="top",
                          ha="left" if roomy else "right", color=INK)  # fmt: skip
        words.set_in_layout(False)
    axes.set_xlim(left, right)
