"""Inter-token gaps on a log axis. Gaps inside one read stand apart: they say nothing about the server."""

import numpy as np
from matplotlib.figure import Figure

from streamgauge.metrics.histogram import RELATIVE_ERROR
from streamgauge.reports.figures.canvas import (
    BLUE,
    GREY,
    HALF,
    HEIGHT,
    INK,
    ORANGE,
    SHARES,
    Drawing,
    at_line,
    log_axis,
    svg,
)
from streamgauge.reports.load import Run
from streamgauge.reports.text import ms, percent
from streamgauge.units import MS, plural

_BARS = 56


def draw(run: Run) -> list[Drawing]:
    streams, summary = run.streams, run.summary
    if streams is None or summary is None or summary.itl_ms is None or not streams.totals.pools["itl"].count:
        return []
    pool, dist = streams.totals.pools["itl"].whole, summary.itl_ms
    rows = [(np.sqrt(lower * upper) / MS, count) for lower, upper, count in pool.rows() if upper > 0]
    zero_share = pool.zeros / pool.count
    note = (
        f"{percent(zero_share)} arrived in the same read as the token before (hatched): coalesced, not fast."
        if pool.zeros
        else "No token shared its read with the one before."
    )

    def paint(figure: Figure) -> None:
        zero, axes = figure.subplots(1, 2, width_ratios=[1, 11], sharey=True)
        if rows:
            at, counts = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
            low, high = at.min() / 1.3, at.max() * 1.3
            # No bar is narrower than the histogram's buckets: narrower bars would leave gaps.
            ratio = max((high / low) ** (1 / _BARS), (1 + 4 * RELATIVE_ERROR))
            edges = low * ratio ** np.arange(np.ceil(np.log(high / low) / np.log(ratio)) + 1)
            shares = np.histogram(at, bins=edges, weights=counts)[0] / pool.count
            # A lone stall among a million gaps still shows: no bar is lower than a hairline.
            tallest = max(shares.max(), zero_share)
            heights = np.where(shares > 0, np.maximum(shares, tallest * 0.008), 0)
            axes.stairs(heights, edges, fill=True, color=BLUE)
            axes.set_xscale("log")
            axes.set_xlim(edges[0], edges[-1])
            axes.set_ylim(0, tallest * 1.3)  # room for the words above every bar
            log_axis(axes.xaxis, low, high)

            def place(value: float) -> float:
                return float(np.log(max(value, low) / low) / np.log(high / low))

            aside, at_edge = place(dist.p50) > 0.27, place(dist.p99) > 0.7
            if dist.p50 > 0:
                at_line(axes, dist.p50, f"p50 {ms(dist.p50)}", INK, 0.96, left=aside)
            if dist.p99 > 0:
                # Words on the same side of both lines could overlap.
                at_line(axes, dist.p99, f"p99 {ms(dist.p99)}", ORANGE, 0.87 if aside is at_edge else 0.96, left=at_edge)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("gap between token events, ms (log scale)")
        zero.bar([0], [zero_share], width=0.8, color=GREY, hatch="///", edgecolor=INK, linewidth=0.6)
        zero.set_xticks([0], ["0"])
        zero.set_xlim(-0.8, 0.8)
        zero.grid(axis="x", visible=False)
        zero.set_xlabel("same read")
        zero.yaxis.set_major_formatter(SHARES)
        zero.set_ylabel("share of gaps")

    return [
        Drawing(
            "itl-histogram",
            "Inter-token latency",
            f"{plural(pool.count, 'gap')}, pooled over streams. " + note,
            f"Histogram of gaps between token events: p50 {ms(dist.p50)}, p99 {ms(dist.p99)}, longest {ms(dist.max)}; "
            f"{percent(zero_share)} of the gaps are coalesced.",
            svg("itl-histogram", HALF, HEIGHT, paint),
            HALF,
        )
    ]
