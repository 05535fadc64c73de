"""A running load, its processes, and how it ended: for tests/e2e/test_faults.py and for `make faults`."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import psutil

from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.load import load as read_run
from streamgauge.reports.render import render
from streamgauge.rundir.accounts import Account, read_accounts
from streamgauge.rundir.runs import RecordReader
from tests.e2e.conftest import TOKEN, command, free_port

T = TypeVar("T")

CHAT: Final = "/v1/chat/completions"
TRIALS: Final = 1
"""Streams that `load` asks for before the run, to see that the endpoint streams: they have no record."""
UNASKED: Final = (Outcome.CONNECT_ERROR, Outcome.CLIENT_LIMIT)
"""Outcomes of streams that never reached the server, if they have no status."""
SURVIVE_S: Final = 5.0
"""So long after the end of the command, or of its killing, no process of it may be left."""


class Shape(StrEnum):
    """The processes of a load."""

    ONE = "one process"
    TWO = "--processes 2"
    WORKERS = "--master, 2 workers"


class End(NamedTuple):
    """How a load ended."""

    exit_code: int
    output: str
    verdict: str
    status: str
    started: int  # as the server counts, without the trials
    recorded: int
    lost: int
    at_least: bool  # whether the loss is a lower bound
    span_s: float  # from the first stream to the last, as the server counts
    survivors: list[str]
    run: dict[str, Any]
    kept_by_workers: int
    """Records that only a worker has, in a file of its own that it names, because its master was gone."""

    @property
    def unnamed(self) -> int:
        """Streams that the server has seen, and that are neither recorded nor named as lost or kept."""
        return self.started - self.recorded - (self.kept_by_workers or self.lost)


@dataclass
class Load:
    """A running load against a mock of its own."""

    mock: MockServer
    directory: Path
    shape: Shape
    master: "subprocess.Popen[str]"
    workers: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def locust(self) -> psutil.Process:
        """The Locust process that the command has started; with --processes it leads the others."""
        return until(lambda: next(iter(psutil.Process(self.master.pid).children()), None))

    @property
    def streaming(self) -> list[psutil.Process]:
        """The processes that make streams."""
        if self.shape is Shape.WORKERS:
            return [psutil.Process(worker.pid) for worker in self.workers]
        return [psutil.Process(account.worker) for account in self.accounts()]

    def accounts(self) -> list[Account]:
        return read_accounts(self.directory)

    def until_busy(self, recorded: int = 3) -> Self:
        """Wait until every process that makes streams has recorded some."""
        count = 1 if self.shape is Shape.ONE else 2
        until(lambda: sum(account.recorded >= recorded for account in self.accounts()) == count)
        return self

    def processes(self) -> list[psutil.Process]:
        """Every living process of the load. Each has the session of the command, of a worker, or of its Locust."""
        sessions = {process.pid for process in (self.master, *self.workers)}
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and (
                    os.getsid(process.pid) in sessions | self._sessions or str(self.directory) in process.cmdline()
                ):
                    found.append(process)
        return found

    _sessions: set[int] = field(default_factory=set)

    arrivals: list[int] = field(default_factory=list)  # at endpoints that have died

    def endpoint_dies(self, seconds: float) -> None:
        """The endpoint ends, with all of its connections, and comes back after `seconds`."""
        self.arrivals += _arrivals(self.mock)
        self.mock.stop()
        time.sleep(seconds)
        self.mock = MockServer(_config(int(self.mock.url.rpartition(":")[2])))
        self.mock.start()

    def remember(self) -> None:
        """Note the session of Locust, while its parent lives."""
        self._sessions.add(self.locust.pid)

    def end(self, timeout_s: float = 60) -> End:
        """Wait for the end of the command and measure it."""
        output, errors = self.master.communicate(timeout=timeout_s)
        deadline_s = time.monotonic() + SURVIVE_S
        while (left := self.processes()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        for worker in self.workers:
            with suppress(subprocess.TimeoutExpired):
                errors += worker.communicate(timeout=1)[1]
        if self.directory.exists() and self.master.returncode != -signal.SIGKILL:
            render(self.directory)  # in this process, which has imported what reports need
        arrivals = sorted(self.arrivals + _arrivals(self.mock))[TRIALS:]
        run = {}
        with suppress(OSError, ValueError):
            run = json.loads((self.directory / "run.json").read_text())
        accounts = self.accounts()
        text = output + errors
        return End(
            exit_code=self.master.returncode,
            output=text,
            verdict=_verdict(run, self.directory, output),
            status=run.get("status", "none"),
            started=len(arrivals),
            span_s=(arrivals[-1] - arrivals[0]) / 1e9 if arrivals else 0.0,
            recorded=_recorded(self.directory, output),
            lost=sum(account.lost for account in accounts),
            at_least=any(account.remote and not account.ended for account in accounts),
            survivors=[" ".join(process.cmdline()) for process in left],
            run=run,
            kept_by_workers=len(_kept(text) - _ids(self.directory)),
        )


def _verdict(run: dict[str, Any], directory: Path, output: str) -> str:
    """The verdict on the figures; of a command that was killed, the one that `report` finds."""
    if summary := run.get("summary"):
        return str(summary["validity"]["verdict"])
    if printed := re.search(r"^validity +(\w+)", output, re.MULTILINE):
        return printed[1]
    found = read_run(directory).summary
    return "none" if found is None else found.validity.verdict


def _recorded(directory: Path, output: str) -> int:
    """The records of streams that were asked for; without a directory, the streams of the figures."""
    if directory.exists():
        return sum(record.outcome not in UNASKED or record.status is not None for record in RecordReader(directory))
    line = re.search(r"^streams +(.*)$", output, re.MULTILINE)
    return sum(map(int, re.findall(r"\d+", line[1]))) if line else 0


def _ids(directory: Path) -> set[str]:
    """The ids of the records in the run directory."""
    return {record.id for record in RecordReader(directory)} if directory.exists() else set()


def _kept(output: str) -> set[str]:
    """The ids of the records in the files that workers name. The master may have some of them: it took them, and was
    killed before its confirmation came.
    """
    files = re.findall(r"not confirmed [\d,]+ records: all are in (\S+)", output)
    return {str(json.loads(line)["id"]) for name in files for line in Path(name).read_bytes().splitlines()}


def until(look: Callable[[], T | None], timeout_s: float = 30) -> T:
    """What `look` finds, as soon as it is true."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        with suppress(psutil.Error):
            if found := look():
                return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come within {timeout_s} s")


@contextmanager
def running(
    directory: Path,
    shape: Shape,
    *options: str,
    seconds: float = 20,
    users: int = 6,
    host: str = "127.0.0.1",
    before: Sequence[str] = (),
    **environment: str,
) -> Iterator[Load]:
    """Start a load of `seconds`; `before` is put in front of its command line. Nothing of it is left afterwards."""
    # A port that no client is given: it must be free when an endpoint that was down comes back.
    with MockServer(_config(_low_port())) as mock:
        processes = [] if shape is not Shape.TWO else ["--processes", "2"]
        port = str(free_port())
        if shape is Shape.WORKERS:
            processes = ["--master", "--expect-workers", "2", "--port", port]
        words = command(
            "load", mock.url.replace("127.0.0.1", host) + CHAT, "--users", str(users), "--duration", f"{seconds:g}s",
            "--out", directory, "--no-report", *processes, *options,
        )  # fmt: skip
        load = Load(mock, directory, shape, _start([*before, *words], environment))
        try:
            if shape is Shape.WORKERS:
                load.workers = [
                    _start([*before, *command("load", "--worker", f"127.0.0.1:{port}")], environment) for _ in range(2)
                ]
            load.remember()
            yield load
        finally:
            load.mock.stop()
            for process in load.processes():
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            for started in (load.master, *load.workers):
                started.communicate()


def _config(port: int) -> MockConfig:
    return MockConfig(port=port, tokens=20, ttft="60ms", itl="10ms")


def _arrivals(mock: MockServer) -> list[int]:
    """When each stream came to the endpoint, epoch ns."""
    with MockControl(mock.url) as control:
        return [int(str(entry["arrival_ns"])) for entry in control.recent(10_000)]


def shim(folder: Path) -> dict[str, str]:
    """Compile shim.c and return the variables that put it in front of a load; see there for the two files."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "LD_SHIM_STEP": str(folder / "step"), "LD_SHIM_DNS": str(folder / "no-dns")}


def _low_port() -> int:
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _start(words: Sequence[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        start_new_session=True, env={**os.environ, TOKEN_ENV: TOKEN, "COLUMNS": "300", **environment},
    )  # fmt: skip
