"""The pytest plugin: the checks of a target as tests, and fixtures for tests of your own streams.

    pytest --streamgauge-target target.toml -m streamgauge

Every pytest run in an environment with streamgauge loads this file. So it imports the rest of streamgauge only inside
the functions that need it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from streamgauge.conformance.gate import Accepted
    from streamgauge.conformance.registry import Check
    from streamgauge.conformance.report import TargetChecks
    from streamgauge.conformance.result import CheckResult
    from streamgauge.conformance.targets import CheckedTarget
    from streamgauge.endpoint.probe import Stream
    from streamgauge.mock_provider.embedded import MockServer

MARK = "streamgauge"


class StreamgaugeWarning(UserWarning):
    """A check warned: an unmet SHOULD."""


class CheckFailed(Exception):  # noqa: N818 - pytest shows its message, not its name
    """A check failed; the message has everything that a reader needs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("streamgauge", "conformance of streaming endpoints")
    group.addoption(
        "--streamgauge-target",
        action="append",
        default=[],
        metavar="FILE",
        help="TOML file of one target, or of several; each check of each is a test. Repeatable.",
    )
    group.addoption(
        "--streamgauge-only",
        action="append",
        default=[],
        metavar="GLOB",
        help="Only checks whose id or group matches; repeatable.",
    )
    group.addoption(
        "--streamgauge-skip", action="append", default=[], metavar="GLOB", help="Leave these checks out; repeatable."
    )
    group.addoption(
        "--streamgauge-warnings",
        choices=("warn", "fail", "xfail", "ignore"),
        default="warn",
        help="How to report a check that warns: as a pytest warning (the default), a failure, an xfail, or not at all.",
    )
    group.addoption(
        "--streamgauge-baseline",
        metavar="FILE",
        help="Accepted findings, as written by `streamgauge check --update-baseline`: xfail; a stale entry fails.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: a check of a streaming endpoint, collected by --streamgauge-target")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Collect the target files besides the other tests of the session."""
    outcome: Any = yield
    if isinstance(collector, pytest.Session):
        for name in collector.config.getoption("streamgauge_target"):
            path = Path(collector.config.invocation_params.dir, name)
            outcome.get_result().result.append(TargetFile.from_parent(collector, path=path))


class TargetFile(pytest.File):
    """A target file. Of one target it collects the checks, of several a collector for each target."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        from streamgauge.conformance import profiles
        from streamgauge.conformance.baseline import read_baseline
        from streamgauge.conformance.checks import CHECKS
        from streamgauge.conformance.selection import select
        from streamgauge.conformance.targets import load_targets
        from streamgauge.endpoint.target_input import ready
        from streamgauge.errors import UsageError

        try:
            subjects = [ready(subject) for subject in load_targets(self.path)]
            option = self.config.getoption
            for subject in subjects:
                if subject.profile is not None:
                    profiles.by_name(subject.profile)
            checks = select(option("streamgauge_only"), option("streamgauge_skip"))
            baseline = option("streamgauge_baseline")
            accepted = read_baseline(Path(baseline), CHECKS) if baseline else []
        except UsageError as error:
            raise self.CollectError("\n".join(filter(None, (error.message, error.hint)))) from None
        measurements = [Measurement(subject, checks, accepted, self.config) for subject in subjects]
        if len(subjects) == 1:
            yield from measurements[0].items(self)
            return
        for measurement in measurements:
            yield TargetCollector.from_parent(self, name=measurement.subject.label, measurement=measurement)


class TargetCollector(pytest.Collector):
    """One of several targets of a file."""

    def __init__(self, *, measurement: "Measurement", **given: Any) -> None:
        super().__init__(**given)
        self._measurement = measurement

    def collect(self) -> Iterable[pytest.Item]:
        return self._measurement.items(self)


class Measurement:
    """A target's results: measured once, when the first check needs them."""

    def __init__(
        self, subject: "CheckedTarget", checks: "list[Check]", accepted: "list[Accepted]", config: pytest.Config
    ) -> None:
        self.subject = subject
        self._checks = checks
        self._accepted = accepted
        self._config = config
        self._row: TargetChecks | None = None

    def items(self, parent: pytest.Collector) -> "Iterator[CheckItem]":
        """A test for each check."""
        for check in self._checks:
            yield CheckItem.from_parent(parent, name=check.id, measurement=self)

    def row(self) -> "TargetChecks":
        """The results. Without results: raises CheckFailed the first time, and skips the test after that."""
        if self._row is None:
            self._row = self._measured()
            if self._row.checks is None:
                hint = f"\n{self._row.hint}" if self._row.hint else ""
                raise CheckFailed(f"not measured: {self._row.reason}{hint}")
        if self._row.checks is None:
            _skip(f"not measured: {self._row.reason}")
        return self._row

    def _measured(self) -> "TargetChecks":
        from streamgauge.conformance.batch import CheckOptions, row_of
        from streamgauge.conformance.gate import parse_fail_on

        fail_on = parse_fail_on(["warn" if self._config.getoption("streamgauge_warnings") == "fail" else "fail"])
        return row_of(self.subject, CheckOptions(self._checks, fail_on, baseline=self._accepted))


class CheckItem(pytest.Item):
    """A check of a target."""

    def __init__(self, *, measurement: Measurement, **given: Any) -> None:
        super().__init__(**given)
        self._measurement = measurement
        self.add_marker(MARK)
        # With `--dist loadgroup` one worker gets all checks of a target, and measures it once.
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(measurement.subject.label))

    def runtest(self) -> None:
        row = self._measurement.row()
        assert row.checks is not None
        result = next(one for one in row.checks.results if one.id == self.name)
        if result.id in row.stale:
            raise CheckFailed(f"the baseline accepts it but it passes now: {result.actual}")
        if result.id in row.accepted:
            pytest.xfail(f"accepted by the baseline: {result.actual}")
        if result.id in row.failing:
            # pytest's summary shows the first line.
            raise CheckFailed(f"{result.actual}\n\n{_failure_text(result)}")
        if result.verdict in ("not-applicable", "inconclusive"):
            _skip(f"{result.verdict}: {result.actual}" + (f" (needs {result.needs})" if result.needs else ""))
        if result.verdict == "warn":
            self._warn(result)
        elif result.verdict == "info":
            self.add_report_section("call", MARK, _failure_text(result))

    def _warn(self, result: "CheckResult") -> None:
        how = self.config.getoption("streamgauge_warnings")
        if how == "xfail":
            pytest.xfail(f"a warning: {result.actual}")
        if how == "warn":
            self.warn(StreamgaugeWarning(f"{result.id}: {result.actual}"))
        self.add_report_section("call", MARK, _failure_text(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show only the message of a finding: a traceback through this file would not help."""
        if isinstance(excinfo.value, CheckFailed | StreamgaugeWarning):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self._measurement.subject.line or 1
        return self.path, line - 1, f"{self._measurement.subject.label}: {self.name}"


def _skip(reason: str) -> None:
    skipped = pytest.skip.Exception(reason)
    skipped._use_item_location = True  # the summary shows the target's file, not this one
    raise skipped


def _failure_text(result: "CheckResult") -> str:
    from streamgauge.reports.finding_text import plain_text

    return plain_text(result)


@pytest.fixture
def streamgauge_stream() -> "Callable[..., Stream]":
    """Opens a stream and reads it to its end: `stream = streamgauge_stream(url, prompt="Hi")`.

    The stream has outcome, text, tokens, ttft_ns and more; a failing endpoint is an outcome, not an exception.
    """
    from streamgauge.pytest_fixtures import open_stream

    return open_stream


@pytest.fixture
def streamgauge_mock() -> "Iterator[Callable[..., MockServer]]":
    """Starts a mock provider in this process: `mock = streamgauge_mock(tokens=8, faults=["rst:3"])`; its address is
    `mock.url`. The arguments are the fields of `streamgauge.mock_provider.config.MockConfig`.
    """
    from streamgauge.mock_provider.config import MockConfig
    from streamgauge.mock_provider.embedded import MockServer

    with ExitStack() as stack:

        def start(**config: Any) -> MockServer:
            given: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
            return stack.enter_context(MockServer(MockConfig(**given)))

        yield start
