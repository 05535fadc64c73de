"""Cancellation: how long until the upstream noticed, and how many tokens were wasted; the worst of each kind."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from streamgauge.reports.figures.canvas import BLUE, INK, ORANGE, PLAIN, RED, WHOLE, Drawing, svg
from streamgauge.reports.load import Run
from streamgauge.reports.text import label, ms, number

_MAX_KINDS = 24


def draw(run: Run) -> list[Drawing]:
    if run.cancellation is None or not run.cancellation.rows:
        return []
    rows = pd.DataFrame(
        {
            # A long label is cut at its end, so the path comes last: it is mostly the same in all rows.
            "kind": [label(f"{row.phase} · {row.method} · {row.path}", 44) for row in run.cancellation.rows],
            "seen": [row.seen for row in run.cancellation.rows],
            "delay": pd.Series([row.propagation_ms for row in run.cancellation.rows], dtype="float64"),
            "wasted": pd.Series([row.wasted_tokens for row in run.cancellation.rows], dtype="float64"),
        }
    )
    worst = rows.groupby("kind", sort=False).agg({"seen": "all", "delay": "max", "wasted": "max"})
    worst = worst.iloc[:_MAX_KINDS]

    def paint(figure: Figure) -> None:
        delay, wasted = figure.subplots(1, 2, sharey=True)
        never = [not noticed for noticed in worst["seen"]]
        labels = [
            "never noticed" if gone else (ms(round(value, 3)) if pd.notna(value) else "–")
            for gone, value in zip(never, worst["delay"], strict=True)
        ]
        _bars(delay, worst["delay"], labels, BLUE, never)
        delay.set_xlabel("from client close until upstream noticed, ms")
        delay.set_yticks(range(len(worst)), list(worst.index))
        _bars(wasted, worst["wasted"], [number(v) if pd.notna(v) else "–" for v in worst["wasted"]], ORANGE, [])
        wasted.xaxis.set_major_locator(MaxNLocator(integer=True))
        wasted.set_xlabel("tokens written after the close")
        delay.set_ylim(len(worst) - 0.4, -0.6)

    shown = "" if len(worst) < _MAX_KINDS else f" The first {_MAX_KINDS} kinds are drawn."
    return [
        Drawing(
            "cancellation",
            "Cancellation",
            f"The worst of each path, phase and method.{shown}",
            "Propagation delay and wasted tokens by path, phase and method; the table beside it has the same numbers.",
            svg("cancellation", WHOLE, 96 + 24 * len(worst), paint),
            WHOLE,
        )
    ]


def _bars(axes: Axes, values: "pd.Series[float]", labels: list[str], colour: str, never: list[bool]) -> None:
    axes.barh(range(len(values)), values.fillna(0), height=0.6, color=colour)
    top = float(values.max()) if values.notna().any() else 1.0
    for row, text in enumerate(labels):
        value = values.iloc[row]
        axes.annotate(
            text, (0 if pd.isna(value) else float(value), row), xytext=(5, 0), textcoords="offset points",
            va="center", color=RED if never and never[row] else INK,
        )  # fmt: skip
    axes.set_xlim(0, (top or 1.0) * 1.22)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PLAIN)
