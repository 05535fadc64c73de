"""Time to first token: which share of the streams had it by when, and what that says about the objectives."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Transform

from streamgauge.errors import UsageError
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.distributions import Distribution, quantile_of, show_interval
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import SloResult, SloVerdict, parse_slo
from streamgauge.metrics.summary import Summary
from streamgauge.reports.figures.canvas import (
    BLUE,
    GREEN,
    GREY,
    HALF,
    HEIGHT,
    INK,
    ORANGE,
    PLAIN,
    RED,
    SHARES,
    Drawing,
    log_axis,
    svg,
)
from streamgauge.reports.load import Run
from streamgauge.reports.text import ms, percent
from streamgauge.units import MS, plural

_STEPS: Final = 400
_MOST_OBJECTIVES: Final = 3
_WIDTH_OF_A_LETTER: Final = 0.024  # of the axes, bold
_FAR: Final = 4  # times the largest value: a limit beyond it is only named, so that the curve keeps its width
_COLOURS: Final = {SloVerdict.MET: GREEN, SloVerdict.MISSED: RED, SloVerdict.UNDECIDED: ORANGE}


class Objective(NamedTuple):
    """An objective on TTFT with its verdict."""

    slo: Condition
    result: SloResult

    @property
    def limit_ms(self) -> float:
        return self.slo.limit / MS


def draw(run: Run) -> list[Drawing]:
    streams, summary = run.streams, run.summary
    if streams is None or summary is None or summary.ttft_ms is None:
        return []
    values = np.sort(streams.table["ttft_ms"].dropna().to_numpy())
    if not len(values):
        return []
    dist = summary.ttft_ms
    shares = np.unique(np.concatenate([np.linspace(1 / len(values), 1, _STEPS), 1 - np.geomspace(0.1, 1e-4, 40)]))
    at = np.quantile(values, shares, method="inverted_cdf")
    objectives = list(_objectives(summary))[:_MOST_OBJECTIVES]
    drawn = [objective for objective in objectives if objective.limit_ms <= _FAR * at[-1]]
    # A few very slow streams would press everyone else against the axis.
    edges = [objective.limit_ms for objective in drawn]
    low, high = min(at[0], dist.p50, *edges), max(at[-1], dist.p95, *edges)
    wide = low > 0 and high > 10 * dist.p50

    error = _client_error_ms(run)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if error is not None:
            axes.fill_betweenx(
                shares, np.maximum(at - error, at[0] / 2), at + error, color=GREY, alpha=0.35, linewidth=0
            )
        axes.step(np.concatenate([at[:1], at]), np.concatenate([[0], shares]), where="post", color=BLUE)
        span = max(high - low, high * 0.02, 0.1)
        if wide:
            axes.set_xscale("log")
            axes.set_xlim(low / 1.1, high * 1.15)
            log_axis(axes.xaxis, low, high)
        else:
            axes.set_xlim(low - 0.06 * span, high + 0.06 * span)
            axes.xaxis.set_major_formatter(PLAIN)
        for number, objective in enumerate(drawn):
            reached = float(np.searchsorted(values, objective.limit_ms, side="right")) / len(values)
            _draw_objective(axes, objective, _free_height(reached) - 0.11 * number)
        for name, colour in (("p50", INK), ("p95", INK)):
            _draw_percentile(axes, dist, name, colour)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(SHARES)
        axes.set_xlabel("time to first token, ms" + (" (log scale)" if wide else ""))
        axes.set_ylabel("share of streams")

    own = "" if error is None else f" Grey: this client's own error, ± {ms(error)}."
    cut = f" {plural(dist.cut, 'stream')} without a token when cut not drawn." if dist.cut else ""
    thinned = f" Drawn from every {streams.stride}th stream." if streams.stride > 1 else ""
    return [
        Drawing(
            "ttft-cdf",
            "Time to first token",
            f"Share of {plural(dist.count, 'stream')} with a first token by then. Bars: where p50 and p95 lie with a "
            f"confidence of {CONFIDENCE:.0%}.{_sides(objectives, values)}{own}{cut}{thinned}",
            f"Cumulative distribution of time to first token: p50 {_shown(dist, 'p50')}, p95 {_shown(dist, 'p95')}, "
            f"p99 {_shown(dist, 'p99')}, slowest {dist.sign('max')}{ms(dist.max)}.{_sides(objectives, values)}",
            svg("ttft-cdf", HALF, HEIGHT, paint),
            HALF,
        )
    ]


def _client_error_ms(run: Run) -> float | None:
    """The error of this client in TTFT that 99 % of its calibrated streams stayed within, where it was calibrated."""
    found = run.manifest.calibration if run.manifest else None
    return None if found is None or found.ttft_error_ms is None else abs(found.ttft_error_ms.p99)


def _objectives(summary: Summary) -> Iterator[Objective]:
    """The objectives on TTFT, as run.json has them; a text that is not an objective is left out."""
    for result in summary.slo_results:
        try:
            slo = parse_slo(result.slo)
        except UsageError:
            continue
        if slo.metric == "ttft" and not slo.where:  # the curve is that of all streams
            yield Objective(slo, result)


def _place(axes: Axes, x: float) -> float:
    """Where a value lies between the left edge (0) and the right one (1)."""
    place: float = axes.transAxes.inverted().transform(axes.transData.transform((x, 0.5)))[0]
    return place


def _free_height(reached: float) -> float:
    """Where the words beside a limit are in nobody's way: below the curve, which is at `reached` there, or above it."""
    return min(reached - 0.08, 0.36) if reached > 0.2 else 0.85


def _draw_objective(axes: Axes, objective: Objective, height: float) -> None:
    """The limit as a line that is shaded on its bad side, with the objective and its verdict beside it."""
    limit, colour = objective.limit_ms, _COLOURS[objective.result.verdict]
    _, right = axes.get_xlim()
    axes.axvspan(limit, right, color=colour, alpha=0.1, linewidth=0)
    axes.axvline(limit, color=colour, linewidth=1.8)
    blended: Transform = axes.get_xaxis_transform()
    is_right = _place(axes, limit) > 0.5
    if objective.slo.statistic not in (None, "mean", "max"):
        axes.plot([limit], [quantile_of(objective.slo.statistic or "")], "o", color=colour, markersize=6)
    text = f"{objective.slo.statistic or 'all'} {objective.slo.op} {ms(limit)}: {objective.result.verdict.value}"
    bold: dict[str, Any] = {"va": "center", "color": colour, "fontweight": "bold"}
    width, place = len(text) * _WIDTH_OF_A_LETTER, _place(axes, limit)
    if width < max(place, 1 - place):
        words: Text = axes.annotate(
            text, (limit, height), xycoords=blended, xytext=(-6 if is_right else 6, 0), textcoords="offset points",
            ha="right" if is_right else "left", **bold,
        )  # fmt: skip
    else:  # neither side has room: across the line, as near to it as the frame allows
        words = axes.text(
            min(max(place, width / 2), 1 - width / 2), height, text, transform=axes.transAxes, ha="center", **bold
        )
    words.set_in_layout(False)


def _draw_percentile(axes: Axes, dist: Distribution, name: str, colour: str) -> None:
    """A percentile as a dot on the curve, with its interval as a bar; an open end runs to the edge."""
    value, height = getattr(dist, name), quantile_of(name)
    left, right = axes.get_xlim()
    if (interval := dist.intervals.get(name)) is not None:
        ends = (left if interval.low is None else interval.low, right if interval.high is None else interval.high)
        axes.plot(ends, (height, height), color=colour, linewidth=2.4, solid_capstyle="butt")
        for end in (interval.low, interval.high):
            if end is not None:
                axes.plot((end, end), (height - 0.022, height + 0.022), color=colour, linewidth=1.4)
    axes.plot([value], [height], "o", color=colour, markersize=4.5)
    # Below the curve, to the right of a point, nothing is in the way.
    is_left = _place(axes, value) > 0.78
    words = axes.annotate(
        f"{name} {dist.sign(name)}{ms(value)}", (value, height), xytext=(-8, -26) if is_left else (8, -11),
        textcoords="offset points", ha="right" if is_left else "left", va="center", color=INK,
    )  # fmt: skip
    words.set_in_layout(False)


def _shown(dist: Distribution, name: str) -> str:
    interval = show_interval(dist.intervals.get(name))
    return f"{dist.sign(name)}{ms(getattr(dist, name))}" + (f" ({interval})" if interval else "")


def _sides(objectives: Sequence[Objective], values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
    """For each objective its verdict, and the share of streams on its good side."""
    parts = []
    for objective in objectives:
        good = sum(objective.slo.holds(float(value) * MS) for value in values) / len(values)
        parts.append(f" {objective.result.slo}: {objective.result.verdict.value}, {percent(good)} of streams hold it.")
    return "".join(parts)
