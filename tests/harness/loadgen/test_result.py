"""What a finished load is worth: one rule for the exit code of `load` and for `LoadResult.passed`."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.errors import ExitCode
from streamgauge.loadgen.result import Ended, LoadResult
from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.slo import SloResult, SloVerdict
from streamgauge.metrics.summary import Totals
from streamgauge.metrics.validity import Validity
from streamgauge.protocol.outcome import Outcome
from tests.reports.report_builders import manifest, stream

MET = SloResult("ttft p95 < 500ms", "201ms", SloVerdict.MET)
MISSED = SloResult("itl p99 < 80ms", "90ms", SloVerdict.MISSED)
UNKNOWN = SloResult("tpot < 1s", None, SloVerdict.UNDECIDED, "no data")
OK, FAILED, UNDECIDED, INTERRUPTED = (
    ExitCode.OK, ExitCode.FAILED, ExitCode.CANNOT_MEASURE, ExitCode.INTERRUPTED
)  # fmt: skip
NOTHING_SHARED = Comparison(
    streams=0,
    direct=True,
    ttft_ms=None,
    true_ttft_ms=None,
    ttft_error_ms=None,
    ttft_added_ms=None,
    itl_ms=None,
    true_itl_ms=None,
)

WHOLE = Ended()


def result(
    verdict: str = "VALID",
    slos: list[SloResult] | None = None,
    *,
    tokens: int = 4,
    ended: Ended = WHOLE,
    **given: Any,
) -> LoadResult:
    totals = Totals()
    totals.add(stream(0, tokens=tokens, outcome=Outcome.OK if tokens else Outcome.TIMEOUT))
    judged = Validity(verdict, "the rule", ["this client was late"])
    summary = msgspec.structs.replace(totals.summary(), validity=judged, slo_results=slos or [])
    return LoadResult(Path("runs/x"), manifest(summary, **given), totals, ended)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (result(), OK),
        (result("SUSPECT"), OK),
        (result("SUSPECT", [MET]), OK),
        (result("INVALID"), UNDECIDED),
        (result("INVALID", [MET]), UNDECIDED),
        (result("INVALID", [MET, MISSED]), FAILED),
        (result("VALID", [MET, MISSED, UNKNOWN]), FAILED),
        (result("VALID", [MET, UNKNOWN]), UNDECIDED),
        (result("NO DATA"), UNDECIDED),
        (result(tokens=0), UNDECIDED),
        (result(tokens=0, slos=[MISSED]), FAILED),
        (result(faults=["Locust was killed"]), UNDECIDED),
        (result(faults=["Locust was killed"], slos=[MISSED]), UNDECIDED),
        (result(ended=Ended(died="Locust ended")), UNDECIDED),
        (result(ended=Ended(stopped="max errors")), FAILED),
        (result("INVALID", ended=Ended(stopped="max errors")), FAILED),
        (result("INVALID", ended=Ended(stopped="disk full", faults=["disk full"])), UNDECIDED),
        (result(truth=NOTHING_SHARED), UNDECIDED),
        (result(ended=Ended(interrupted=True)), INTERRUPTED),
        (result("INVALID", ended=Ended(interrupted=True)), INTERRUPTED),
    ],
)  # fmt: skip
def test_a_run_is_green_only_when_it_is_whole_valid_and_meets_its_objectives(found: LoadResult, code: ExitCode) -> None:
    assert found.conclusion.code is code
    assert found.passed is (code is OK)


def test_the_reasons_are_named_with_what_to_do() -> None:
    invalid, missed = result("INVALID", [MET]).conclusion, result("INVALID", [MISSED, MISSED]).conclusion

    assert invalid.reasons == ["the figures are INVALID: this client was late"]
    assert "calibrate" in (invalid.hint or "")
    assert (missed.label, missed.reasons) == ("SLO missed", ["itl p99 < 80ms (measured 90ms)"] * 2)
    assert result("VALID", [MET, UNKNOWN]).conclusion.reasons == ["undecided: the SLO tpot < 1s (no data)"]
