"""Settings of the whole suite.

Property tests give the same examples on every run, and no test is judged by how long an example took. `-n auto` is
four processes a core, because three quarters of what the tests do is waiting.
"""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import pytest
from hypothesis import settings

from streamgauge.secrets import forget
from tests.builders.cold_caches import filled_once
from tests.builders.order import longest_first
from tests.builders.retries import PROPERTY, take_retries

settings.register_profile("streamgauge", deadline=None, derandomize=True)
settings.register_profile("fast", deadline=None, derandomize=True, max_examples=10)  # `make test-fast`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "streamgauge"))

# `make coverage` measures the workers of pytest. The processes that tests start run at full speed: some are timed.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)

# Each worker imports all test modules, and the tests start hundreds of processes: without .pyc files, each of these
# compiles everything again (5 s a worker).
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Collection makes a million objects that stay until the end: to look for garbage among them takes 4 s a worker.
gc.disable()

# A shell ignores SIGINT in background jobs, and every process that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fuzzing, hostile input and proofs of linear time: a quarter of the seconds of all tests that start no server.
SLOW = (
    "tests/fuzz/",
    "tests/hostile/",
    "tests/harness/test_linear_time.py",
    "tests/harness/conformance/test_checks.py::test_hostile_bytes_break_no_check",
    "tests/harness/conformance/clients/test_client_matrix.py::TestBounds",
    "tests/harness/transport/test_http2_parser.py::test_frames_that_bring_nothing_are_bounded",
)

# These start servers or processes in ways that their imports do not show.
SERVERS = ("tests/e2e/", "tests/test_docs_python.py")

# A test module that imports from one of these starts servers or processes, and `make test-fast` leaves it out.
STARTERS = {
    "streamgauge.mock_provider.embedded",
    "tests.builders.h2_server",
    "tests.builders.hostile_server",
    "tests.builders.wire_server",
    "tests.hostile.server",
}


def pytest_xdist_auto_num_workers() -> int:
    """See above."""
    return 4 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    with filled_once():
        return (yield)


@pytest.hookimpl(trylast=True)  # after others have left out tests, and put tests of one fixture together
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out, and give each worker of pytest some of the longest tests first."""
    mark(items)
    if worker := getattr(config, "workerinput", None):
        items[:] = longest_first(items, worker["workercount"], lambda item: item.nodeid)


def mark(items: list[pytest.Item]) -> None:
    """Mark slow tests, and tests that need a server.

    Those are the tests of SERVERS, and of every module that starts a server itself or by a fixture.
    """
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
        if isinstance(item, pytest.Function) and (item.nodeid.startswith(SERVERS) or needs_server(item)):
            item.add_marker("server")
            # A busy machine spoils about one try in ten thousand. RETRY_BUDGET limits these second tries.
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but not among the objects of the collection."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # the usual 700, 10, 10 takes an eighth of the CPU time of all tests
    gc.enable()


def needs_server(item: pytest.Function) -> bool:
    fixtures = (definition for found in item._fixtureinfo.name2fixturedefs.values() for definition in found)
    modules = [item.module, *(sys.modules.get(fixture.func.__module__) for fixture in fixtures)]
    return any(starts_servers(module) for module in modules if module is not None)


@cache
def starts_servers(module: ModuleType) -> bool:
    return any(value is subprocess or getattr(value, "__module__", None) in STARTERS for value in vars(module).values())


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> None:
    """A process hides every secret that it was given. A worker of pytest runs many tests, each as a new process."""
    forget()


# More second tries than this in one session mean that a test is not sound, or that the machine is too busy to judge.
RETRY_BUDGET = int(os.environ.get("STREAMGAUGE_RETRY_BUDGET", "10"))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # with xdist, the reports of all workers come together here
        config.pluginmanager.register(RetryBudget(), "retry-budget")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Put the retries of a test into its report."""
    if call.when == "call":
        item.user_properties += [(PROPERTY, reason) for reason in take_retries()]


def reason_of(report: pytest.TestReport) -> str:
    """What a failed try raised: file, line and the first line of its message."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash or report.longrepr).strip().splitlines()[0] if report.longrepr else "it failed"


class RetryBudget:
    """Prints every retry of the session, and fails the session above the budget."""

    def __init__(self) -> None:
        self.retried: list[tuple[str, str]] = []  # test and reason

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if str(report.outcome) == "rerun":  # pytest-rerunfailures: this try failed, and another one follows
            self.retried.append((report.nodeid, reason_of(report)))
        if report.when == "call":
            self.retried += [
                (report.nodeid, str(reason)) for name, reason in report.user_properties if name == PROPERTY
            ]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if len(self.retried) > RETRY_BUDGET and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test, reason in self.retried:
            terminalreporter.write_line(f"tried again: {test}: {reason}")
        over = " (STREAMGAUGE_RETRY_BUDGET): the session fails" if len(self.retried) > RETRY_BUDGET else ""
        terminalreporter.write_line(f"retries: {len(self.retried)} of at most {RETRY_BUDGET}{over}")
