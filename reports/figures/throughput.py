"""Output tokens per second over the run, above the number of streams in flight that produced them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from streamgauge.reports.figures.canvas import BLUE, GREY, HALF, HEIGHT, INK, PLAIN, Drawing, left_out, svg
from streamgauge.reports.figures.steady_part import steady_part
from streamgauge.reports.load import Run
from streamgauge.reports.text import number


def draw(run: Run) -> list[Drawing]:
    streams = run.streams
    if streams is None or len(streams.rates) < 2:
        return []
    rates = streams.rates
    in_flight = run.summary.in_flight if run.summary else None
    edges = [*rates["at_s"], rates["at_s"].iloc[-1] + streams.bin_s]

    def paint(figure: Figure) -> None:
        tokens, active = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        tokens.stairs(rates["tokens_per_s"], edges, fill=True, color=BLUE, alpha=0.25)
        tokens.stairs(rates["tokens_per_s"], edges, baseline=None, color=BLUE, linewidth=1.8)
        tokens.set_ylabel("tokens/s")
        active.stairs(rates["streams"], edges, fill=True, color=GREY, alpha=0.25)
        active.stairs(rates["streams"], edges, baseline=None, color=GREY, linewidth=1.8)
        active.set_ylabel("in flight")
        active.set_xlabel("seconds since the first stream began")
        for axes in (tokens, active):
            axes.set_ylim(0, max(axes.get_ylim()[1] * 1.12, 1))  # also where nothing came
            axes.yaxis.set_major_formatter(PLAIN)
        if in_flight is not None:
            _mean(active, in_flight.mean, streams.window_s or (edges[0], edges[-1]))
        active.xaxis.set_major_formatter(PLAIN)
        active.set_xlim(edges[0], edges[-1])
        left_out(tokens, streams.window_s)
        left_out(active, streams.window_s, words=False)
        steady_part(tokens, run)
        steady_part(active, run, words=False)
        figure.align_ylabels()

    shaded = "; the rate does not include the shaded parts" if streams.window_s else ""
    peak_tokens, peak_streams = rates["tokens_per_s"].max(), rates["streams"].max()
    return [
        Drawing(
            "throughput",
            "Throughput and streams in flight over the run",
            f"Output tokens per second and streams in flight, in bins of {streams.bin_s:g} s{shaded}."
            + (
                ""
                if in_flight is None
                else f" In flight: {in_flight.mean:,.1f} on average, {in_flight.most:,} at most."
            ),
            f"Output tokens per second over time, at most {number(round(peak_tokens))}, "
            f"with at most {number(round(peak_streams, 1))} streams in flight.",
            svg("throughput", HALF, HEIGHT, paint),
            HALF,
        )
    ]


def _mean(axes: Axes, mean: float, window_s: tuple[float, float]) -> None:
    """A dashed line over the measured window, with its value at the right end."""
    axes.plot(window_s, (mean, mean), color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    is_low = mean < 0.35 * axes.get_ylim()[1]  # below the line, the words would lie over the ticks
    words = axes.annotate(
        f"mean {mean:,.1f}", (window_s[1], mean), xytext=(-4, 4 if is_low else -4), textcoords="offset points",
        ha="right", va="bottom" if is_low else "top", color=INK,
    )  # fmt: skip
    words.set_in_layout(False)
