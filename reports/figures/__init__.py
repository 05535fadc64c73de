"""The figures by section of the report. A new one is a file with `draw(run) -> list[Drawing]` and a line here."""

from collections.abc import Callable
from typing import Final

from streamgauge.reports.figures import (
    cancellation,
    delivery,
    itl_histogram,
    server_lane,
    throughput,
    timeline,
    ttft_cdf,
    ttft_over_time,
)
from streamgauge.reports.figures.canvas import Drawing, style
from streamgauge.reports.load import Run

FIGURES: Final[tuple[tuple[str, Callable[[Run], list[Drawing]]], ...]] = (
    ("load", ttft_cdf.draw),
    ("load", itl_histogram.draw),
    ("load", throughput.draw),
    ("load", ttft_over_time.draw),
    ("load", server_lane.draw),
    ("load", timeline.draw),
    ("cancellation", cancellation.draw),
    ("diagnosis", delivery.draw),
)


def draw_all(run: Run) -> dict[str, list[Drawing]]:
    """Every figure that the run has data for, by section."""
    drawn: dict[str, list[Drawing]] = {section: [] for section, _ in FIGURES}
    with style():
        for section, draw in FIGURES:
            drawn[section] += draw(run)
    return drawn
