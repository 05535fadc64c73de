"""What is read out of Locust's log."""

from pathlib import Path

import pytest

from streamgauge.loadgen.locust_log import task_errors, why_it_ended

STARTED = "[2026-11-21 20:00:14,121] vm/INFO/locust.main: Starting Locust 2.47.0\n"
RAISED = """[2026-11-21 20:00:14,525] vm/ERROR/locust.user.task: boom
Traceback (most recent call last):
  File "own.py", line 5, in ask
ValueError: boom

"""
TABLE = "Type     Name     50%    66%\n--------|--------|------|------\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (STARTED + RAISED * 3 + TABLE, "ValueError: boom"),
        ("Traceback (most recent call last):\n    import nothing\nModuleNotFoundError: No module named 'nothing'\n",
         "ModuleNotFoundError: No module named 'nothing'"),
        ("usage: x\n__main__.py: error: unrecognized arguments: --run-dir\nDid you mean '--run-time'?\n",
         "__main__.py: error: unrecognized arguments: --run-dir"),
        (STARTED + "one\n\ntwo\nthree\n", "one | two | three"),
        (STARTED + "Shutting down\n" + TABLE + "         Aggregated     0     0(0.00%) |      0       0\n",
         f"{STARTED.strip()} | Shutting down"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_reason_is_said_and_not_the_table_after_it(tmp_path: Path, log: str, reason: str) -> None:
    (tmp_path / "log").write_text(log)
    assert why_it_ended(tmp_path / "log") == reason


def test_errors_of_tasks_are_counted_and_those_of_locust_are_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(STARTED + TABLE + "[2026-11-21 20:00:14,525] vm/ERROR/locust.runners: Worker failed\n")
    assert task_errors(log) is None
    log.write_text(STARTED + RAISED * 3 + RAISED.replace("boom", "bang") + "\xff" * 2_000)
    said = task_errors(log) or ""
    assert "4 errors" in said
    assert ": boom (see" in said
