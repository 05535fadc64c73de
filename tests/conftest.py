"""Settings of the whole suite.

Property tests give the same examples on every run, and no test is judged by how long an example took. `-n auto` is two
processes a core, because half of what the tests do is waiting.
"""

import os
import signal
import subprocess
import sys
from types import ModuleType

import pytest
from hypothesis import settings

settings.register_profile("streamgauge", deadline=None, derandomize=True)
settings.register_profile("fast", deadline=None, derandomize=True, max_examples=10)  # `make test-fast`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "streamgauge"))

# `make coverage` measures the workers of pytest. The processes that tests start run at full speed: some are timed.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)

# A shell ignores SIGINT in background jobs, and every process that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fuzzing, hostile input and proofs of linear time: a quarter of the seconds of all tests that start no server.
SLOW = (
    "tests/fuzz/",
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
}


def pytest_xdist_auto_num_workers() -> int:
    """See above."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out: slow tests, and tests that need a server.

    Those are the tests of SERVERS, and of every module that starts a server itself or by a fixture.
    """
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
        if isinstance(item, pytest.Function) and (item.nodeid.startswith(SERVERS) or needs_server(item)):
            item.add_marker("server")


def needs_server(item: pytest.Function) -> bool:
    fixtures = (definition for found in item._fixtureinfo.name2fixturedefs.values() for definition in found)
    modules = [item.module, *(sys.modules.get(fixture.func.__module__) for fixture in fixtures)]
    return any(starts_servers(module) for module in modules if module is not None)


def starts_servers(module: ModuleType) -> bool:
    return any(value is subprocess or getattr(value, "__module__", None) in STARTERS for value in vars(module).values())
