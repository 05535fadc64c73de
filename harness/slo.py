"""Service level objectives as text: `ttft p95 < 500ms`, `tpot < 80ms`, `error_rate < 1%`.

slo       = metric [ percentile ] "<" limit
metric    = ttft | ttfb | headers | ttfe | ttfat | ttst | tpot | e2e | itl | error_rate
percentile = mean | p50 | p90 | p95 | p99 | max      without one the limit applies to every stream
limit     = a duration, or a percentage for error_rate
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from harness.errors import UsageError
from harness.units import MS, parse_duration

METRIC_NAMES: Final = ("ttft", "ttfb", "headers", "ttfe", "ttfat", "ttst", "tpot", "e2e", "itl", "error_rate")
_GRAMMAR: Final = re.compile(r"\s*(\w+)\s*(mean|p50|p90|p95|p99|max)?\s*<\s*(\S+)\s*")

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Slo(NamedTuple):
    """One objective. `limit` is ns, or a fraction for error_rate."""

    metric: str
    percentile: str | None
    limit: float

    @property
    def per_stream(self) -> bool:
        """Whether one stream alone can meet it: what goodput asks."""
        return self.metric != "error_rate"

    def met_by(self, values: Mapping[str, float | None]) -> bool:
        """Whether one stream's own value is below the limit; a stream without the value misses it."""
        value = values.get(self.metric)
        return value is not None and value < self.limit

    def __str__(self) -> str:
        limit = f"{self.limit * 100:g}%" if self.metric == "error_rate" else f"{self.limit / MS:g}ms"
        return " ".join(part for part in (self.metric, self.percentile, "<", limit) if part)


def parse_slo(text: str) -> Slo:
    """The objective in `text`. Raises UsageError that quotes the grammar."""
    match = _GRAMMAR.fullmatch(text)
    hint = f'write for example "ttft p95 < 500ms" or "error_rate < 1%"; metrics: {", ".join(METRIC_NAMES)}'
    if match is None:
        raise UsageError(f"SLO {text!r} cannot be read", hint)
    metric, percentile, limit = match.groups()
    if metric not in METRIC_NAMES:
        raise UsageError(f"SLO {text!r} names an unknown metric {metric!r}", hint)
    if metric == "error_rate":
        number = limit.removesuffix("%")
        if percentile or not _NUMBER.fullmatch(number):
            raise UsageError(f"SLO {text!r}: error_rate takes a percentage", hint)
        return Slo(metric, None, float(number) / (100 if limit.endswith("%") else 1))
    return Slo(metric, percentile, float(parse_duration(limit, f"the limit of SLO {text!r}")))
