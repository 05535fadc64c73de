"""How the whole distribution of a latency moved: the relative change at each quantile, and the noise of one target."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from streamgauge.comparing.change import Change, Kind, parse_change
from streamgauge.comparing.report import Shift, Versus
from streamgauge.comparing.verdict import RuleVerdict
from streamgauge.reports.figures.canvas import BLUE, FAINT, GREY, HALF, HEIGHT, INK, RED, Drawing, style, svg
from streamgauge.reports.text import ms

_LABELLED = (0.05, 0.5, 0.9, 0.99)
_TICKS = (0.05, 0.2, 0.5, 0.8, 0.95, 0.99)  # more would touch each other


def draw_shifts(versus: Versus) -> list[Drawing]:
    """A figure for each latency that has enough streams."""
    with style():
        return [_draw(shift, versus) for shift in versus.shifts]


def _draw(shift: Shift, versus: Versus) -> Drawing:
    points = shift.points
    name = f"shift-{versus.name.lower()}-{'' if versus.base == 'A' else 'first-'}{shift.metric}"
    x = np.arange(len(points))
    change, low, high, noise = (
        100 * np.array([getattr(point, field) for point in points]) for field in ("point", "low", "high", "noise")
    )
    limits = _limits(shift, versus)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.fill_between(x, -noise, noise, color=GREY, alpha=0.22, linewidth=0)
        axes.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0)
        axes.axhline(0, color=FAINT, linewidth=1)
        axes.plot(x, change, color=BLUE, marker="o", markersize=4)
        for at, limit, text in limits:
            axes.plot([at - 0.35, at + 0.35], [limit, limit], color=RED, linewidth=2)
            above = limit > change[at]  # the words stay away from the curve
            words = axes.annotate(
                text, (at, limit), xytext=(0, 4 if above else -4), textcoords="offset points", color=INK,
                ha="right" if at > len(points) - 3 else "center", va="bottom" if above else "top",
            )  # fmt: skip
            words.set_in_layout(False)
        extreme = max(np.abs(np.concatenate([change, noise, [limit for _, limit, _ in limits]])).max() * 1.3, 1.0)
        # An interval without a bound would press everything else against zero.
        bound = float(min(np.abs(np.concatenate([low, high])).max() * 1.1, 2 * extreme))
        axes.set_ylim(-max(bound, extreme), max(bound, extreme))
        axes.set_xticks(x, [f"p{100 * point.q:g}" if point.q in _TICKS else "" for point in points])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position=None: f"{value:+g} %" if value else "0"))
        axes.set_xlabel("quantile")
        axes.set_ylabel(f"{versus.name} against {versus.base}")

    told = ", ".join(
        f"p{100 * point.q:g} {100 * point.point:+.1f} % ({100 * point.low:+.1f} to {100 * point.high:+.1f})"
        for point in points
        if point.q in _LABELLED
    )
    median = next((point for point in points if point.q == 0.5), points[0])
    return Drawing(
        name,
        f"{shift.metric}: change of every quantile",
        f"Blue: {versus.name} against {versus.base} with its 95 % interval; the median moved from {ms(median.a_ms)} to "
        f"{ms(median.b_ms)}. Grey: what one target measured twice differs by."
        + (" Red: a limit of --fail-on." if limits else ""),
        f"Relative change of {shift.metric} by quantile: {told}.",
        svg(name, HALF, HEIGHT, paint),
        HALF,
    )


def _limits(shift: Shift, versus: Versus) -> list[tuple[int, float, str]]:
    """The relative limits of the rules: the place of their quantile, the limit in percent, and its words."""
    found = []
    for result in versus.rules:
        change: Change = parse_change(result.rule)
        at = next((at for at, point in enumerate(shift.points) if f"p{100 * point.q:g}" == change.statistic), None)
        if change.metric == shift.metric and change.kind is Kind.RELATIVE and at is not None:
            verdict = "" if result.verdict is RuleVerdict.NONE else f": {result.verdict.value}"
            found.append((at, 100 * change.limit, f"+{100 * change.limit:g} %{verdict}"))
    return found
