"""Sample streams, one lane each: headers, first token, tokens, end. Outcomes are written out, colour only helps."""

from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from streamgauge.metrics.facts import CUT
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.figures.canvas import BLUE, FAINT, GREY, INK, ORANGE, PLAIN, RED, WHOLE, Drawing, marks, svg
from streamgauge.reports.load import Run
from streamgauge.reports.streams import Lane
from streamgauge.reports.text import label, ms
from streamgauge.units import plural

_COLOURS = {Outcome.OK: BLUE, Outcome.STALLED: ORANGE} | dict.fromkeys(CUT, GREY)


def draw(run: Run) -> list[Drawing]:
    lanes = run.streams.lanes if run.streams else []
    if not lanes:
        return []
    longest = max(_last(lane) for lane in lanes)
    usual = median(_last(lane) for lane in lanes)
    # One timeout of a minute must not press the rest into the first second.
    limit = min(longest, 4 * usual) if usual > 0 else longest
    limit = max(limit, 1.0)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, lane in enumerate(lanes):
            _paint_lane(axes, row, lane, limit)
        axes.set_ylim(len(lanes) - 0.4, -0.8)
        axes.set_xlim(-0.004 * limit, limit * 1.02)
        axes.set_yticks(
            range(len(lanes)), [label(f"{lane.why} · {lane.outcome}" if lane.why else lane.outcome) for lane in lanes]
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(PLAIN)
        axes.set_xlabel("ms since the stream began")
        keys = [
            Line2D([], [], color=FAINT, linewidth=1, label="waiting"),
            Line2D([], [], color=FAINT, marker="|", markersize=9, linestyle="", label="response head"),
            Line2D([], [], color=BLUE, marker="o", markersize=5, linestyle="", label="first token"),
            Line2D([], [], color=BLUE, marker="|", markersize=9, linestyle="", label="token"),
            Line2D([], [], color=INK, marker="s", markersize=5, linestyle="", label="end, ok"),
            Line2D([], [], color=RED, marker="x", markersize=6, linestyle="", label="end, not ok"),
        ]
        axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, handletextpad=0.3, borderpad=0)

    counts = {outcome: sum(lane.outcome == outcome for lane in lanes) for outcome in {lane.outcome for lane in lanes}}
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return [
        Drawing(
            "timeline",
            "Sample streams",
            "Chosen, not random: failures first, then the longest stalls, the slowest, a usual and the fastest first "
            "token, and an even pick of the rest. A stream that goes past the right edge shows its time there.",
            f"Timeline of {plural(len(lanes), 'stream')}: {outcomes}; the longest took {ms(round(longest, 3))}.",
            svg("timeline", WHOLE, 110 + 20 * len(lanes), paint),
            WHOLE,
        )
    ]


def colour_of(outcome: Outcome) -> str:
    """Red is for failures of the endpoint."""
    return _COLOURS.get(outcome, RED)


def _last(lane: Lane) -> float:
    return max([lane.end or 0.0, lane.headers or 0.0, *lane.tokens[-1:]])


def _paint_lane(axes: Axes, row: int, lane: Lane, limit: float) -> None:
    colour = colour_of(Outcome(lane.outcome))
    last = _last(lane)
    axes.plot([0, min(last, limit * 1.02)], [row, row], color=FAINT, linewidth=1, solid_capstyle="butt")
    marks(axes, [(at, row - 0.3, row + 0.3) for at in lane.tokens[1:] if at <= limit], colour)
    if lane.headers is not None and lane.headers <= limit:
        marks(axes, [(lane.headers, row - 0.36, row + 0.36)], FAINT)
    if lane.tokens and lane.tokens[0] <= limit:
        axes.plot([lane.tokens[0]], [row], "o", color=colour, markersize=5)
    if last > limit:
        axes.annotate(
            f"{ms(round(last, 3))} →", (limit, row - 0.12), ha="right", va="bottom", color=INK
        )  # fmt: skip
    elif lane.outcome == Outcome.OK:
        axes.plot([last], [row], "s", color=INK, markersize=4.5)
    else:
        axes.plot([last], [row], "x", color=colour, markersize=6.5, markeredgewidth=2)
