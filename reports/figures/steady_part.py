"""The part of a run that has a steady state, for every figure with a time axis."""

from matplotlib.axes import Axes
from matplotlib.transforms import Transform

from streamgauge.metrics.steady_state import Steadiness, SteadyState
from streamgauge.reports.figures.canvas import GREEN, INK, RED, at_line
from streamgauge.reports.load import Run
from streamgauge.reports.text import clean


def steady_part(axes: Axes, run: Run, *, words: bool = True) -> None:
    """Shade the steady part, or mark where the TTFT left its level. To be called when the axis has its limits.

    The axis is in seconds since the first stream began.
    """
    found = _found(run)
    if found is None or run.streams is None:
        return
    low, high = axes.get_xlim()
    begin, end = run.streams.window_s or (low, high)
    if found.shift_s is not None:
        at_line(axes, begin + found.shift_s, "level shift" if words else "", RED, 0.9, left=True)
    if found.begin_s is None:
        return
    first, last = max(begin + found.begin_s, low), min(end, high)
    axes.axvspan(first, last, color=GREEN, alpha=0.12, linewidth=0)
    if words:
        blended: Transform = axes.get_xaxis_transform()
        label = axes.text((first + last) / 2, 0.97, "steady", transform=blended, ha="center", va="top", color=INK)
        label.set_in_layout(False)


def steadiness(run: Run) -> str:
    """A sentence about the steady state, with a space before it; empty where it was not judged."""
    found = _found(run)
    if found is None or found.verdict is Steadiness.NOT_JUDGED:
        return ""
    return " The green part is steady." if found.verdict is Steadiness.STEADY else f" {clean(found.sentence)}"


def _found(run: Run) -> SteadyState | None:
    return run.summary.steady_state if run.summary else None
