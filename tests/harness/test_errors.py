"""Who has to act decides the exit code."""

from streamgauge.errors import CannotMeasure, ExitCode, LimitExceeded, StreamgaugeError, UsageError


def test_a_usage_error_exits_with_2_and_everything_else_with_3() -> None:
    codes = {kind: kind("x").exit_code for kind in (StreamgaugeError, UsageError, CannotMeasure, LimitExceeded)}
    assert codes == {StreamgaugeError: 3, UsageError: 2, CannotMeasure: 3, LimitExceeded: 3}
    assert (ExitCode.OK, ExitCode.FAILED, ExitCode.INTERRUPTED) == (0, 1, 130)


def test_an_error_carries_what_happened_and_what_to_do() -> None:
    error = UsageError("expected a, got b", "write a")
    assert (str(error), error.message, error.hint) == ("expected a, got b", "expected a, got b", "write a")
