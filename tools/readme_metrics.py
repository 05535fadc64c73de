"""The README's table of metrics, from their declarations."""

from streamgauge.metrics.definitions import METRICS
from streamgauge.metrics.histogram import RELATIVE_ERROR


def table() -> str:
    """A row for each metric."""
    rows = [f"| `{metric.name}` | {metric.definition} | {metric.absent} |" for metric in METRICS]
    note = f"\nHistogram quantiles are within {RELATIVE_ERROR:.1%} of the exact value."
    return "\n".join(["| name | definition | absent when |", "|---|---|---|", *rows, note])
