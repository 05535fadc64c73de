"""Objectives that a search can decide: each says which share of the streams may miss a limit.

"ttft p95 < 500ms" is the same as: at most 5 % of the streams have a TTFT of 500 ms or more. So a point is decided by a
count of misses and the binomial distribution, without an assumption about how latencies are distributed.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.intervals import needed
from streamgauge.metrics.metric import PerStream, Pooled
from streamgauge.metrics.slo import parse_slo

ERRORS: Final = "error_rate"
GOODPUT: Final = "goodput"
DEFAULT_ERRORS: Final = "error_rate < 5%"
"""Added when no objective limits failures: without it, a server that refuses most streams would be fast enough. It can
be decided with as many streams as a p95.
"""


class Objective(msgspec.Struct, frozen=True):
    """An objective as a search decides it: at most the share `allowed` of the measurements misses it."""

    condition: Condition
    allowed: float

    def __str__(self) -> str:
        return str(self.condition)

    @property
    def metric(self) -> str:
        return self.condition.metric

    @property
    def is_latency(self) -> bool:
        """Whether it limits a time, and not a share of the streams."""
        return self.metric not in (ERRORS, GOODPUT)

    @property
    def is_pooled(self) -> bool:
        """Whether a stream has many measurements, such as its gaps."""
        return isinstance(BY_NAME[self.metric], Pooled)

    def needed(self, confidence: float, misses: int = 0) -> int:
        """How many streams can show that it is met, when `misses` of them miss it."""
        return _needed(1 - self.allowed, misses, confidence)


_needed = lru_cache(256)(needed)  # each point asks for the same few numbers


def objectives(texts: Sequence[str]) -> list[Objective]:
    """The objectives of a search, with one that limits failures. Raises UsageError on any that cannot be decided."""
    found = [_objective(parse_slo(text)) for text in texts]
    if not any(objective.is_latency or objective.metric == GOODPUT for objective in found):
        raise UsageError(
            "no objective that limits a latency or asks for a goodput", "give for example --slo 'ttft p95 < 500ms'"
        )
    if all(objective.is_latency for objective in found):
        found.append(_objective(parse_slo(DEFAULT_ERRORS)))
    return found


def _objective(slo: Condition) -> Objective:
    metric = BY_NAME[slo.metric]
    if slo.metric == ERRORS:
        return _bounded(slo, slo.limit)
    if slo.metric == GOODPUT:
        return _bounded(slo, 1 - slo.limit)
    if not isinstance(metric, PerStream | Pooled):
        raise UsageError(
            f"the SLO {str(slo)!r} cannot end a search for the capacity: {slo.metric} is no property of single streams",
            "limit a latency such as 'ttft p95 < 500ms', 'error_rate < 1%' or 'goodput > 95%'",
        )
    if slo.statistic is None or not slo.statistic.startswith("p"):
        raise UsageError(
            f"the SLO {str(slo)!r} has no percentile: no number of streams can prove that none will be slower",
            f"write for example '{slo.metric} p99 {slo.op} {slo.show(slo.limit)}'",
        )
    return _bounded(slo, 1 - float(slo.statistic[1:]) / 100)


def _bounded(slo: Condition, allowed: float) -> Objective:
    if not 0 < allowed < 1:
        raise UsageError(
            f"the SLO {str(slo)!r} allows no miss at all, and no number of streams can prove that",
            "allow a small share: 'error_rate < 0.1%', 'goodput > 99%'",
        )
    return Objective(slo, round(allowed, 9))
