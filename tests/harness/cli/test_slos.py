"""Objectives decide the exit code: missed is 1, undecided is 3, and one that is missed beside it is still 1."""

import pytest
import typer

from streamgauge.cli.slos import judge_slos
from streamgauge.errors import CannotMeasure
from streamgauge.metrics.slo import SloResult, SloVerdict

MET = SloResult("ttft p95 < 500ms", "201ms", SloVerdict.MET)
MISSED = SloResult("itl p99 < 80ms", "90ms", SloVerdict.MISSED)
UNKNOWN = SloResult("tpot < 1s", None, SloVerdict.UNDECIDED, "no data")


def test_all_met_goes_on() -> None:
    judge_slos([])
    judge_slos([MET, MET])


@pytest.mark.parametrize("results", [[MISSED], [MET, MISSED], [UNKNOWN, MISSED]])
def test_a_missed_objective_fails_and_the_measured_value_is_printed(
    results: list[SloResult], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught:
        judge_slos(results)
    assert caught.value.exit_code == 1
    assert "SLO missed: itl p99 < 80ms (measured 90ms)" in capsys.readouterr().err


def test_an_undecided_objective_is_not_a_pass() -> None:
    with pytest.raises(CannotMeasure, match=r"undecided: the SLO tpot < 1s \(no data\)"):
        judge_slos([MET, UNKNOWN])
