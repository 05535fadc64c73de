"""Time to first token over the run. A growing queue shows as a rise, a cold start as a first peak."""

import numpy as np
from matplotlib.figure import Figure

from streamgauge.metrics.distributions import distribution
from streamgauge.reports.figures.canvas import (
    BLUE,
    GREY,
    HALF,
    HEIGHT,
    INK,
    ORANGE,
    PLAIN,
    Drawing,
    left_out,
    log_axis,
    svg,
)
from streamgauge.reports.figures.steady_part import steadiness, steady_part
from streamgauge.reports.load import Run
from streamgauge.reports.text import ms
from streamgauge.units import MS

_BINS = 40
_DOTS = 600


def draw(run: Run) -> list[Drawing]:
    if run.streams is None:
        return []
    window_s = run.streams.window_s
    table = run.streams.table.dropna(subset=["ttft_ms"])
    if len(table) < 20:
        return []
    last = max(float(table["start_s"].max()), 1e-3)
    bins = int(np.clip(len(table) // 40, 1, _BINS))
    binned = table.assign(bin=np.minimum(table["start_s"] / last * bins, bins - 1).astype(int))
    lines = [
        ((int(str(key)) + 0.5) * last / bins, dist.p50, dist.p95)
        for key, group in binned.groupby("bin")
        if (dist := distribution(value * MS for value in group["ttft_ms"])) is not None
    ]
    lined = f"; lines: p50 (solid) and p95 (dashed) of each {last / bins:.2g} s" if len(lines) > 1 else ""
    dots = table.iloc[:: max(len(table) // _DOTS, 1)]
    sample = "" if len(dots) == len(table) else f" ({len(dots):,} of {len(table):,} shown)"

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(
            dots["start_s"], dots["ttft_ms"], ".", color=GREY, markersize=2.5 if len(dots) > 150 else 6, alpha=0.55
        )
        at = [line[0] for line in lines]
        if len(at) > 1:
            axes.plot(at, [line[1] for line in lines], color=BLUE)
            axes.plot(at, [line[2] for line in lines], color=ORANGE, linestyle=(0, (5, 2)))
            _, p50, p95 = lines[-1]
            together = p95 < 1.15 * p50
            for value, name in ((p50, "p50, p95"),) if together else ((p50, "p50"), (p95, "p95")):
                axes.annotate(
                    name, (at[-1], value), xytext=(6, 9 if together else 0), textcoords="offset points",
                    ha="right" if together else "left", va="center", color=INK,
                )  # fmt: skip
        low, high = float(table["ttft_ms"].min()), float(table["ttft_ms"].max())
        if high > 10 * low > 0:
            axes.set_yscale("log")
            log_axis(axes.yaxis, low, high)
        else:
            axes.set_ylim(0, high * 1.08)
            axes.yaxis.set_major_formatter(PLAIN)
        axes.set_xlim(0, last)
        left_out(axes, window_s)
        steady_part(axes, run)
        axes.set_xlim(0, last * 1.06)
        axes.set_xlabel("stream begun, seconds since the first")
        axes.set_ylabel("time to first token, ms")

    return [
        Drawing(
            "ttft-over-time",
            "Time to first token over the run",
            f"Each dot is a stream{sample}{lined}.{steadiness(run)}",
            "Time to first token by start of the stream: p50 "
            f"{ms(round(lines[0][1], 3))} at the beginning, {ms(round(lines[-1][1], 3))} at the end of the run."
            f"{steadiness(run)}",
            svg("ttft-over-time", HALF, HEIGHT, paint),
            HALF,
        )
    ]
