"""Several client processes, on one machine and as a master with workers: every stream recorded, or its loss named."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.rundir.accounts import Account, read_accounts
from streamgauge.rundir.runs import RecordReader
from tests.builders.ended import ended_well
from tests.e2e.conftest import CHAT, TOKEN, Start, free_port


def until(seen: Callable[[], bool]) -> None:
    for _ in range(600):
        if seen():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def accounts_of(directory: Path, busy: int = 0) -> list[Account]:
    return [account for account in read_accounts(directory) if account.recorded >= busy]


def manifest(directory: Path) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return run


def test_a_killed_process_is_named_with_what_it_lost(start: Start, paced: str, tmp_path: Path) -> None:
    load = start("load", paced + CHAT, "--users", "6", "--duration", "3s", "--processes", "2", "--out", tmp_path)
    until(lambda: len(accounts_of(tmp_path, busy=3)) == 2)
    victim = accounts_of(tmp_path)[0].worker
    os.kill(victim, signal.SIGKILL)
    out, err = load.communicate(timeout=60)

    run = manifest(tmp_path)
    dead, alive = sorted(run["workers"], key=lambda account: account["worker"] != victim)
    assert load.returncode == 3, err
    assert "this was not the load that you asked for: 1 of 2 processes did not end in order" in " ".join(err.split())
    assert run["summary"]["validity"]["verdict"] == "INVALID"
    assert "Traceback" not in out + err
    assert (dead.get("ended", False), alive["ended"]) == (False, True)
    assert alive["started"] == alive["recorded"]
    # Its three users were asking, or about to.
    assert 0 < dead["started"] - dead["recorded"] <= 3
    assert len(list(RecordReader(tmp_path))) == dead["recorded"] + alive["recorded"]
    (caveat,) = run["caveats"]
    assert caveat.startswith(f"Worker {victim} on ")
    assert f"{dead['started'] - dead['recorded']} are lost" in caveat
    assert caveat in " ".join(err.split())
    assert caveat in (tmp_path / "report.md").read_text()


def test_a_master_and_two_workers_give_one_run_with_every_record(start: Start, paced: str, tmp_path: Path) -> None:
    port = str(free_port())
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "one two three"}\n')
    load = start(
        "load", paced + CHAT, "--users", "6", "--duration", "3s", "--mock", paced, "--out", tmp_path, "--master",
        "--prompt-file", prompts, "--expect-workers", "2", "--port", port, "--api-key-env", "OUR_KEY",
        OUR_KEY="of-the-master",
    )  # fmt: skip
    join = ("load", "--worker", f"127.0.0.1:{port}", "--api-key-env", "OUR_KEY")
    workers = [start(*join, OUR_KEY=f"of-worker-{number}") for number in (1, 2)]
    _, err = load.communicate(timeout=90)
    said = [worker.communicate(timeout=30)[1] for worker in workers]

    run = manifest(tmp_path)
    records = list(RecordReader(tmp_path))
    with MockControl(paced) as mock:
        streams = mock.recent(10_000)
    assert ended_well(load.returncode, err), err
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert run["caveats"] == []
    assert [account["worker"] for account in run["workers"]] == [0, 1]
    assert (
        sum(account["started"] for account in run["workers"]) == len(records) == sum(run["summary"]["streams"].values())
    )
    assert {record.worker for record in records} == {0, 1}
    assert len({record.id for record in records}) == len(records)
    assert {record.asked_prompt_tokens for record in records} == {3}
    # One more at the mock: the master's own, which sees that there is a stream.
    assert len(streams) == len(records) + 1
    assert all(account["clock"]["error_ns"] > 0 for account in run["workers"])
    assert "master's clock − its clock" in err
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"of-the-master" not in written
    assert b"of-worker" not in written
    assert TOKEN.encode() not in written
    assert TOKEN not in err


def test_a_killed_remote_worker_is_named_with_the_gap(start: Start, paced: str, tmp_path: Path) -> None:
    port = str(free_port())
    load = start(
        "load", paced + CHAT, "--users", "6", "--duration", "4s", "--out", tmp_path, "--master", "--expect-workers",
        "2", "--port", port, "--no-report",
    )  # fmt: skip
    workers = [start("load", "--worker", f"127.0.0.1:{port}") for _ in range(2)]
    until(lambda: len(accounts_of(tmp_path, busy=3)) == 2)
    workers[0].kill()
    out, err = load.communicate(timeout=90)

    run = manifest(tmp_path)
    dead, alive = sorted(run["workers"], key=lambda account: account.get("ended", False))
    assert load.returncode == 3, err
    assert "this was not the load that you asked for: 1 of 2 processes did not end in order" in " ".join(err.split())
    assert run["summary"]["validity"]["verdict"] == "INVALID"
    assert "Traceback" not in out + err
    assert alive["ended"]
    assert alive["started"] == alive["recorded"]
    assert dead["started"] >= dead["recorded"] >= 3
    assert len(list(RecordReader(tmp_path))) == dead["recorded"] + alive["recorded"]
    (caveat,) = run["caveats"]
    assert caveat.startswith(f"Worker {dead['worker']} on ")
    assert f"had started at least {dead['started']} streams. {dead['recorded']} of them are recorded" in caveat


def test_a_worker_uses_no_key_that_it_was_not_told_of(start: Start, paced: str, tmp_path: Path) -> None:
    port = str(free_port())
    start(
        "load", paced + CHAT, "--users", "1", "--duration", "1s", "--out", tmp_path, "--master", "--port", port,
        "--api-key-env", "OUR_KEY", OUR_KEY="of-the-master",
    )  # fmt: skip
    worker = start("load", "--worker", f"127.0.0.1:{port}", OUR_KEY="of-the-worker")
    _, err = worker.communicate(timeout=60)

    assert worker.returncode == 2
    assert "start the worker with --api-key-env OUR_KEY" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--worker", "a:b"), "HOST:PORT"),
        (("--worker", "here", "http://127.0.0.1/"), "from the master"),
        (("http://127.0.0.1:9/", "--master", "--header", "X-Api-Key: 1"), "workers are sent no secrets"),
        (("http://127.0.0.1:9/?key=1", "--master"), "workers are sent no secrets"),
        (("http://127.0.0.1:9/", "--master", "--processes", "2"), "give --processes to the workers"),
        (("http://127.0.0.1:9/", "--processes", "0"), "-1"),
    ],
)
def test_what_cannot_be_is_said(
    streamgauge: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    out = () if arguments[0] == "--worker" else ("--out", tmp_path / "run")
    done = streamgauge("load", *arguments, *out)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
