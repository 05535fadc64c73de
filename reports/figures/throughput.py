"""Output tokens per second over the run, above the number of open streams that produced them."""

from matplotlib.figure import Figure

from streamgauge.reports.figures.canvas import BLUE, GREY, HALF, PLAIN, Drawing, left_out, svg
from streamgauge.reports.load import Run
from streamgauge.reports.text import number


def draw(run: Run) -> list[Drawing]:
    streams = run.streams
    if streams is None or len(streams.rates) < 2:
        return []
    rates = streams.rates
    edges = [*rates["at_s"], rates["at_s"].iloc[-1] + streams.bin_s]

    def paint(figure: Figure) -> None:
        tokens, active = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        tokens.stairs(rates["tokens_per_s"], edges, fill=True, color=BLUE, alpha=0.25)
        tokens.stairs(rates["tokens_per_s"], edges, baseline=None, color=BLUE, linewidth=1.8)
        tokens.set_ylabel("tokens/s")
        active.stairs(rates["streams"], edges, fill=True, color=GREY, alpha=0.25)
        active.stairs(rates["streams"], edges, baseline=None, color=GREY, linewidth=1.8)
        active.set_ylabel("open streams")
        active.set_xlabel("seconds since the first stream began")
        for axes in (tokens, active):
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(PLAIN)
        active.xaxis.set_major_formatter(PLAIN)
        active.set_xlim(edges[0], edges[-1])
        left_out(tokens, streams.window_s)
        left_out(active, streams.window_s, words=False)
        figure.align_ylabels()

    shaded = "; the rate does not include the shaded parts" if streams.window_s else ""
    peak_tokens, peak_streams = rates["tokens_per_s"].max(), rates["streams"].max()
    return [
        Drawing(
            "throughput",
            "Throughput over the run",
            f"Output tokens per second and open streams, in bins of {streams.bin_s:g} s{shaded}.",
            f"Output tokens per second over time, at most {number(round(peak_tokens))}, "
            f"with at most {number(round(peak_streams, 1))} streams open.",
            svg("throughput", HALF, 300, paint),
            HALF,
        )
    ]
