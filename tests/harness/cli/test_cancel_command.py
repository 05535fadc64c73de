"""`cancel` over several closes of a kind: its exit code."""

import pytest

from streamgauge.cli.cancel import exit_code_of
from streamgauge.diagnosis.cancellation import CancelRow
from streamgauge.errors import ExitCode
from tests.reports.report_builders import cancel_row

GOOD = cancel_row(verdict="pass")
BAD = cancel_row(verdict="fail", missed=3, closes=3)
SOMETIMES = cancel_row(verdict="inconclusive", missed=2, closes=5)
NOTHING = cancel_row(verdict="inconclusive")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([GOOD, GOOD], ExitCode.OK),
        ([GOOD, cancel_row(verdict="warn")], ExitCode.OK),
        ([GOOD, NOTHING], ExitCode.CANNOT_MEASURE),
        ([GOOD, BAD, SOMETIMES], ExitCode.FAILED),
        ([GOOD, SOMETIMES], ExitCode.CANNOT_MEASURE),
        ([NOTHING, NOTHING], ExitCode.CANNOT_MEASURE),
    ],
)
def test_the_exit_code_of_several_kinds_of_close(rows: list[CancelRow], code: ExitCode) -> None:
    assert exit_code_of(rows) is code
