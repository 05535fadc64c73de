"""Time to first token: which share of the streams had it by when."""

import numpy as np
from matplotlib.figure import Figure

from streamgauge.reports.figures.canvas import BLUE, HALF, INK, ORANGE, PLAIN, SHARES, Drawing, at_line, log_axis, svg
from streamgauge.reports.load import Run
from streamgauge.reports.text import ms
from streamgauge.units import plural

_STEPS = 400


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
    # A few very slow streams would press everyone else against the axis.
    low, high = min(at[0], dist.p50), max(at[-1], dist.p95)
    wide = low > 0 and high > 10 * dist.p50

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.step(np.concatenate([at[:1], at]), np.concatenate([[0], shares]), where="post", color=BLUE)
        span = max(high - low, high * 0.02, 0.1)
        if wide:
            axes.set_xscale("log")
            axes.set_xlim(low / 1.1, high * 1.15)
            log_axis(axes.xaxis, low, high)
        else:
            axes.set_xlim(low - 0.06 * span, high + 0.06 * span)
            axes.xaxis.set_major_formatter(PLAIN)

        def place(value: float) -> float:
            left, right = axes.get_xlim()
            return float(np.log(value / left) / np.log(right / left) if wide else (value - left) / (right - left))

        # Left of the median the curve is below one half, right of it above: there the words are in nobody's way.
        left = place(dist.p50) > 0.22
        at_line(axes, dist.p50, f"p50 {ms(dist.p50)}", INK, 0.62 if left else 0.42, left=left)
        at_line(axes, dist.p95, f"p95 {ms(dist.p95)}", ORANGE, 0.3, left=place(dist.p95) > 0.8)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(SHARES)
        axes.set_xlabel("time to first token, ms" + (" (log scale)" if wide else ""))
        axes.set_ylabel("share of streams")

    cut = f" {plural(dist.cut, 'stream')} without a token when cut not drawn." if dist.cut else ""
    thinned = f" Drawn from every {streams.stride}th stream." if streams.stride > 1 else ""
    return [
        Drawing(
            "ttft-cdf",
            "Time to first token",
            f"Share of {plural(dist.count, 'stream')} with a first token by then.{cut}{thinned}",
            f"Cumulative distribution of time to first token: p50 {dist.sign('p50')}{ms(dist.p50)}, "
            f"p95 {dist.sign('p95')}{ms(dist.p95)}, p99 {dist.sign('p99')}{ms(dist.p99)}, "
            f"slowest {dist.sign('max')}{ms(dist.max)}.",
            svg("ttft-cdf", HALF, 300, paint),
            HALF,
        )
    ]
