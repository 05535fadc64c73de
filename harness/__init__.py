"""Streamgauge: measures and checks streaming LLM endpoints.

Data flows one way: socket, reads, events, deltas, record, judgement, report.

The functions to call are `probe`, `check`, `load`, `cancel`, `diagnose` and `overhead`, for a URL or a `Target`,
and `compare`, for run directories. Each returns a value. docs/python.md has examples.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamgauge.version import __version__

# Each name is imported at its first use: `import streamgauge` stays cheap, and a function loads only its own modules.
if TYPE_CHECKING:
    from streamgauge.comparing.compare import compare
    from streamgauge.comparing.overhead import OverheadReport, overhead
    from streamgauge.comparing.report import CompareReport
    from streamgauge.conformance.check import check
    from streamgauge.conformance.permissions import Allowed
    from streamgauge.conformance.result import CheckResult, ChecksFile, Verdict
    from streamgauge.diagnosis.cancel import cancel
    from streamgauge.diagnosis.cancellation import CancellationFile, CancelRow
    from streamgauge.diagnosis.diagnose import diagnose
    from streamgauge.diagnosis.patterns import DiagnosisFile, Pattern
    from streamgauge.endpoint.probe import Stream, probe
    from streamgauge.endpoint.target import Target
    from streamgauge.errors import CannotMeasure, LimitExceeded, StreamgaugeError, UsageError
    from streamgauge.loadgen.load import load
    from streamgauge.loadgen.progress import Expected, Running, Stopping, Waiting
    from streamgauge.loadgen.result import LoadResult
    from streamgauge.metrics.distributions import Distribution
    from streamgauge.metrics.slo import SloResult, SloVerdict
    from streamgauge.metrics.summary import Summary
    from streamgauge.protocol.outcome import Outcome
    from streamgauge.protocol.record import StreamRecord

_ROOMS = {
    "Allowed": "conformance.permissions",
    "CancelRow": "diagnosis.cancellation",
    "CancellationFile": "diagnosis.cancellation",
    "CannotMeasure": "errors",
    "CheckResult": "conformance.result",
    "ChecksFile": "conformance.result",
    "DiagnosisFile": "diagnosis.patterns",
    "CompareReport": "comparing.report",
    "Distribution": "metrics.distributions",
    "LimitExceeded": "errors",
    "LoadResult": "loadgen.result",
    "Outcome": "protocol.outcome",
    "OverheadReport": "comparing.overhead",
    "Pattern": "diagnosis.patterns",
    "Expected": "loadgen.progress",
    "Running": "loadgen.progress",
    "SloResult": "metrics.slo",
    "SloVerdict": "metrics.slo",
    "Stopping": "loadgen.progress",
    "Stream": "endpoint.probe",
    "StreamRecord": "protocol.record",
    "StreamgaugeError": "errors",
    "Summary": "metrics.summary",
    "Target": "endpoint.target",
    "UsageError": "errors",
    "Verdict": "conformance.result",
    "Waiting": "loadgen.progress",
    "cancel": "diagnosis.cancel",
    "check": "conformance.check",
    "compare": "comparing.compare",
    "diagnose": "diagnosis.diagnose",
    "load": "loadgen.load",
    "overhead": "comparing.overhead",
    "probe": "endpoint.probe",
}

__all__ = [
    "Allowed",
    "CancelRow",
    "CancellationFile",
    "CannotMeasure",
    "CheckResult",
    "ChecksFile",
    "CompareReport",
    "DiagnosisFile",
    "Distribution",
    "Expected",
    "LimitExceeded",
    "LoadResult",
    "Outcome",
    "OverheadReport",
    "Pattern",
    "Running",
    "SloResult",
    "SloVerdict",
    "Stopping",
    "Stream",
    "StreamRecord",
    "StreamgaugeError",
    "Summary",
    "Target",
    "UsageError",
    "Verdict",
    "Waiting",
    "__version__",
    "cancel",
    "check",
    "compare",
    "diagnose",
    "load",
    "overhead",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
