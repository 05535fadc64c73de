"""A test that was tried again is never a silent pass."""

import pytest

from tests.builders.locks import ROOT

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("budget", "code", "summary"),
    [
        ("2", pytest.ExitCode.OK, "retries: 2 of at most 2"),
        ("1", pytest.ExitCode.TESTS_FAILED, "retries: 2 of at most 1 (STREAMGAUGE_RETRY_BUDGET): the session fails"),
    ],
)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_retries_are_printed_and_fail_a_session_above_its_budget(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, budget: str, code: int, summary: str, workers: str
) -> None:
    """With and without worker processes."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("STREAMGAUGE_RETRY_BUDGET", budget)
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        """
        from tests.builders.retries import count_retry

        def test_twice():
            count_retry("the first try was late")
            count_retry("so was the second")
        """
    )

    done = pytester.runpytest_subprocess("-n", workers, "-p", "no:locust", "-p", "no:cacheprovider")

    assert done.ret == code
    done.stdout.fnmatch_lines(["tried again: *::test_twice: the first try was late", summary, "*1 passed*"])


SPOILT_ONCE = """
    import itertools
    import subprocess

    TRIES = itertools.count(1)

    def test_process():
        assert next(TRIES) == 2, "the machine was busy"
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_starts_processes_gets_one_second_try_which_is_counted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(SPOILT_ONCE)

    done = pytester.runpytest_subprocess("-n", workers, "-p", "no:locust", "-p", "no:cacheprovider")

    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["tried again: *::test_process: *the machine was busy", "retries: 1 of at most 10"])


def test_a_test_that_fails_twice_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile("import subprocess\n\ndef test_process():\n    assert False, 'wrong'\n")

    done = pytester.runpytest_subprocess("-p", "no:locust", "-p", "no:cacheprovider")

    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["retries: 1 of at most 10"])


def test_a_test_without_a_server_has_one_try(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(SPOILT_ONCE.replace("import subprocess", ""))

    done = pytester.runpytest_subprocess("-p", "no:locust", "-p", "no:cacheprovider")

    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["retries: 0 of at most 10"])
