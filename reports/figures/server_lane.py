"""The server's own figures under the client's, on one clock: a growing queue there is a growing TTFT here."""

import pandas as pd
from matplotlib.figure import Figure

from streamgauge.reports.figures.canvas import (
    BLUE,
    GREY,
    HALF,
    HEIGHT,
    INK,
    ORANGE,
    PLAIN,
    SHARES,
    Drawing,
    left_out,
    svg,
)
from streamgauge.reports.load import Run
from streamgauge.reports.text import clean, number

_POINTS = 600


def draw(run: Run) -> list[Drawing]:
    streams, lane = run.streams, run.manifest.server if run.manifest else None
    if streams is None or lane is None or len(run.server) < 2:
        return []
    samples = run.server[:: max(len(run.server) // _POINTS, 1)]
    table = pd.DataFrame(
        {
            "at_s": [(sample.at_ns - streams.first_ns) / 1e9 for sample in samples],
            **{name: pd.Series([getattr(sample.figures, name) for sample in samples], dtype="float64")
               for name in ("running", "waiting", "kv_share")},
        }
    )  # fmt: skip
    edges = [*streams.rates["at_s"], streams.rates["at_s"].iloc[-1] + streams.bin_s]
    has_cache = bool(table["kv_share"].notna().any())

    def paint(figure: Figure) -> None:
        ratios = [3, 2] if has_cache else [1]
        lanes = list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0])
        above = lanes[0]
        above.stairs(streams.rates["streams"], edges, fill=True, color=GREY, alpha=0.25, label="open here")
        above.plot(table["at_s"], table["running"], color=BLUE, label="running there")
        if table["waiting"].notna().any():
            above.plot(table["at_s"], table["waiting"], color=ORANGE, linestyle=(0, (5, 2)), label="waiting there")
        above.set_ylabel("requests")
        above.yaxis.set_major_formatter(PLAIN)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0, labelcolor=INK)
        if has_cache:
            lanes[1].plot(table["at_s"], table["kv_share"], color=BLUE)
            lanes[1].set_ylabel("cache in use")
            lanes[1].yaxis.set_major_formatter(SHARES)
            figure.align_ylabels()
        for axes in lanes:
            axes.set_ylim(bottom=0)
            axes.set_xlim(edges[0], edges[-1])
            left_out(axes, streams.window_s, words=axes is above)
        lanes[-1].xaxis.set_major_formatter(PLAIN)
        lanes[-1].set_xlabel("seconds since the first stream began")

    running, waiting = table["running"].max(), table["waiting"].max()
    queued = "" if pd.isna(waiting) else f" and {number(round(float(waiting)))} waiting"
    return [
        Drawing(
            "server-lane",
            "The server's own view",
            f"What {clean(lane.engine)} says of itself, once a second on this client's clock. {clean(lane.trap)}",
            f"The server showed at most {number(round(float(running)))} requests running{queued}.",
            svg("server-lane", HALF, HEIGHT, paint),
            HALF,
        )
    ]
