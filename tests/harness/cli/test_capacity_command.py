"""`capacity`: options, exit codes and output, with searches that are already done."""

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from streamgauge.capacity.answer import Ending, answer
from streamgauge.capacity.budget import Spent
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.fleet import FleetRequest, fleet_of
from streamgauge.cli import app
from streamgauge.cli.capacity import exit_code
from streamgauge.cli.capacity_output import client_advice, print_capacity
from streamgauge.errors import ExitCode
from streamgauge.rundir.runs import Machine
from tests.builders.command import streamgauge
from tests.harness.capacity.points import SLO, holds, run

URL = "http://127.0.0.1:2/v1/chat/completions"


def found(search: Any, **given: Any) -> CapacityFile:
    return CapacityFile(
        target=URL, started="now", settings={"processes": 1}, objectives=[SLO], confidence=0.95,
        machine=Machine("Linux", "3.11", 4), answer=answer(search), spent=Spent(),
        fleet=fleet_of(search, FleetRequest()), points=search.points, **given,
    )  # fmt: skip


def of(ending: Ending, low: float | None, high: float | None, **given: Any) -> CapacityFile:
    done = found(run(holds(2)), **given)
    return msgspec.structs.replace(done, answer=msgspec.structs.replace(done.answer, ending=ending, low=low, high=high))


@pytest.mark.parametrize(
    ("ending", "low", "high", "at_least", "code"),
    [
        (Ending.BRACKETED, 10, 12, None, ExitCode.OK),
        (Ending.BRACKETED, 10, 12, 10, ExitCode.OK),
        (Ending.BRACKETED, 10, 12, 11, ExitCode.CANNOT_MEASURE),
        (Ending.BRACKETED, 10, 12, 12, ExitCode.FAILED),
        (Ending.AT_LEAST, 10, None, None, ExitCode.OK),
        (Ending.NOTHING_PASSED, None, 1, None, ExitCode.FAILED),
        (Ending.UNDECIDED, 10, None, None, ExitCode.CANNOT_MEASURE),
        (Ending.UNDECIDED, 10, None, 10, ExitCode.OK),
        (Ending.CLIENT_LIMITED, 10, None, None, ExitCode.CLIENT_LIMITED),
        (Ending.CLIENT_LIMITED, 10, None, 10, ExitCode.OK),
        (Ending.CLIENT_LIMITED, 10, None, 11, ExitCode.CLIENT_LIMITED),
    ],
)
def test_the_exit_code_says_whether_the_load_is_held(
    ending: Ending, low: float | None, high: float | None, at_least: float | None, code: ExitCode
) -> None:
    assert exit_code(of(ending, low, high), at_least) is code


def test_an_interrupted_search_has_the_exit_code_of_an_interruption() -> None:
    assert exit_code(of(Ending.UNDECIDED, 10, None, interrupted=True), 10) is ExitCode.INTERRUPTED


def test_the_answer_is_printed_with_its_loads_and_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    print_capacity(found(run(holds(5))))
    text = capsys.readouterr().out

    assert "between 5 users (passed) and 6 users (failed)" in text
    assert f"{SLO}, margin 30% at 5 users, exceeded by 30% at 6 users" in text
    assert "latency: streams are too slow, and none is refused" in text
    assert "falls off a cliff" not in text
    assert "5 users passed twice and 6 users failed twice" in text


def test_a_limit_of_the_client_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    done = found(run(lambda probe: "client" if probe.load > 3 else holds(9)(probe)))
    print_capacity(done)
    shown = capsys.readouterr()

    assert "≥ 3 users (the client, not the server, ended the search)" in shown.out
    assert "run it again with --processes 2" in shown.err
    assert "calibrate --users N" in shown.err
    on_all = msgspec.structs.replace(done, settings={"processes": 4})
    assert "a larger machine" in client_advice(on_all)[1]


def test_where_every_cpu_is_used_the_load_of_several_machines_is_a_command_that_load_understands() -> None:
    done = found(run(lambda probe: "client" if probe.load > 3 else holds(9)(probe)))
    (line,) = client_advice(msgspec.structs.replace(done, settings={"processes": 4}))[2:]
    words = shlex.split(line.split("`")[1])

    assert words[:3] == ["streamgauge", "load", done.target]
    assert words[words.index("--users") + 1] == "4"
    assert words[words.index("--slo") + 1] == SLO
    parser: Any = typer.main.get_command(app())
    understood = parser.commands["load"].make_context("load", words[2:])
    assert understood.params["master"] is True
    assert understood.params["slos"] == [*done.objectives]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "no objective is given"),
        (["--slo", "ttft < 1s"], "has no percentile"),
        (["--slo", "ttft p95 < 1s", "--start", "1.5"], "whole numbers"),
        (["--slo", "ttft p95 < 1s", "--most", "200000"], "--most 200000 is not between"),
        (["--slo", "ttft p95 < 1s", "--point", "1m", "--longest", "30s"], "do not fit"),
        (["--slo", "ttft p95 < 1s", "--quick"], "--quick needs a load to decide"),
        (["--slo", "ttft p95 < 1s", "--max-cost", "3"], "--max-cost needs a price"),
        (["--slo", "ttft p95 < 1s", "--price", "a,b"], "is not two prices"),
        (["--slo", "ttft p95 < 1s", "--price", "nan,1"], "is not two prices"),
        (["--slo", "ttft p95 < 1s", "--replica-header", "X-R", "--replica-address"], "do not go together"),
        (["--slo", "ttft p95 < 1s", "--processes", "0"], "--processes 0 cannot be run"),
        (["--slo", "ttft p95 < 1s", "--axis", "sessions"], "--axis sessions needs conversations"),
        (["--slo", "ttft p95 < 1s", "--replay", "x.jsonl"], "--replay belongs to --axis sessions"),
        (["--slo", "ttft p95 < 1s", "--axis", "sessions", "--replay", "x.jsonl"], "x.jsonl"),
    ],
)
def test_a_mistake_is_one_message_before_the_endpoint_is_asked(options: list[str], says: str) -> None:
    done = streamgauge("capacity", URL, *options)

    assert done.returncode == ExitCode.USAGE
    assert says in done.stderr.replace("\n", " ")


def test_a_dry_run_prints_the_plan_and_asks_for_nothing(tmp_path: Path) -> None:
    done = streamgauge(
        "capacity",
        URL,
        "--slo",
        "ttft p95 < 1s",
        "--most",
        "64",
        "--budget",
        "10m",
        "--out",
        tmp_path / "x",
        "--dry-run",
    )

    assert done.returncode == 0, done.stderr
    assert "doubled up to 64 users" in done.stderr
    assert "at most 10 min" in done.stderr
    assert "if it holds" in done.stderr
    assert "64 users" in done.stderr
    assert "assumed: a stream of" in done.stderr
    assert not (tmp_path / "x").exists()


def test_an_endpoint_that_nobody_answers_could_not_be_measured(tmp_path: Path) -> None:
    done = streamgauge("capacity", URL, "--slo", "ttft p95 < 1s", "--out", tmp_path)

    assert done.returncode == ExitCode.CANNOT_MEASURE


def test_a_search_can_only_be_resumed_where_there_is_one(tmp_path: Path) -> None:
    done = streamgauge("capacity", URL, "--slo", "ttft p95 < 1s", "--out", tmp_path, "--resume")

    assert done.returncode == ExitCode.USAGE
    assert "--resume: " in done.stderr
