"""How streams failed, side by side: of each kind the share of streams on both sides."""

import numpy as np
from matplotlib.figure import Figure

from streamgauge.comparing.report import SideInfo, Versus
from streamgauge.reports.figures.canvas import BLUE, GREY, HALF, INK, PLAIN, Drawing, style, svg
from streamgauge.reports.text import label, percent

_MOST = 8


def draw_failures(versus: Versus, a: SideInfo, b: SideInfo) -> list[Drawing]:
    """Bars for the most frequent kinds; nothing without a failure."""
    rows = versus.failures[:_MOST]
    if not rows or not a.streams or not b.streams:
        return []
    kinds = [_kind(row.outcome, row.status, row.detail) for row in rows]
    shares = np.array([[row.a / a.streams, row.b / b.streams] for row in rows])
    name = "failures" if versus.base == "A" else "failures-first"

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        y = np.arange(len(rows))
        for offset, column, colour, side in ((-0.16, 0, GREY, versus.base), (0.16, 1, BLUE, versus.name)):
            axes.barh(y + offset, 100 * shares[:, column], height=0.28, color=colour, label=side)
            for at, share in enumerate(shares[:, column]):
                words = axes.annotate(percent(float(share)), (100 * share, at + offset), xytext=(4, 0),
                                      textcoords="offset points", va="center", color=INK)  # fmt: skip
                words.set_in_layout(False)
        axes.set_xlim(0, max(float(shares.max()) * 145, 0.1))
        axes.set_yticks([])
        for at, kind in enumerate(kinds):  # above its bars: beside them, it would take half of the width
            axes.annotate(kind, (0, at - 0.34), xytext=(4, 0), textcoords="offset points", va="bottom", color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.85)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.set_xlabel("share of the side's streams, %")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)

    with style():
        drawn = svg(f"{name}-{versus.name.lower()}", HALF, 90 + 66 * len(rows), paint)
    return [
        Drawing(
            f"{name}-{versus.name.lower()}",
            "How streams failed",
            "Each kind of failure as a share of all streams of its side, the most frequent first.",
            "; ".join(
                f"{kind}: {percent(float(one))} in {versus.base}, {percent(float(other))} in {versus.name}"
                for kind, (one, other) in zip(kinds, shares, strict=True)
            ),
            drawn,
            HALF,
        )
    ]


def _kind(outcome: str, status: int | None, detail: str) -> str:
    """A short name: the outcome, with the status of a refusal, and the beginning of the detail."""
    name = f"{outcome} {status}" if status not in (None, 200) else outcome
    return label(f"{name}: {detail}" if detail and status in (None, 200) else name, 46)
