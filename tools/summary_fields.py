"""Writes harness/metrics/summary_fields.py, the metric part of run.json's summary, from the metrics' declarations.

`make docs` runs it first; a test compares the file. It imports only the declarations, so that it also works
when the file is out of date and nothing else does.
"""

from collections.abc import Iterable
from pathlib import Path

from streamgauge.metrics.definitions import METRICS
from streamgauge.metrics.metric import Adjusted, Metric, Unit

FILE = Path(__file__).parent.parent / "harness" / "metrics" / "summary_fields.py"
_HEAD = '''\
"""Generated from metrics/definitions.py by `make docs`; do not edit.

The metrics of a run as a typed struct. Each is optional, because an older run.json does not have the newer ones.
"""

import msgspec

from streamgauge.metrics.distributions import AdjustedDistribution, Distribution


class MetricFields(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics in the summary of run.json: distributions in ms, shares from 0 to 1, rates per second, counts."""

'''


def source(metrics: Iterable[Metric] = METRICS) -> str:
    """The Python source of the struct."""
    return _HEAD + "\n".join(f"    {metric.field}: {_type(metric)}" for metric in metrics) + "\n"


def _type(metric: Metric) -> str:
    if isinstance(metric, Adjusted):
        return "AdjustedDistribution | None = None"
    match metric.unit:
        case Unit.DURATION:
            return "Distribution | None = None"
        case Unit.COUNT:
            return "int = 0"
        case _:
            return "float | None = None"


def write() -> None:
    """Replace the file."""
    FILE.write_text(source(), encoding="utf-8")


if __name__ == "__main__":
    write()
