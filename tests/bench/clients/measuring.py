"""Runs one client in one scenario, and looks at it once all of its streams are there."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import psutil

from tests.bench.clients import processes
from tests.bench.clients.mocks import Mock, playing
from tests.bench.clients.programs import RUN, Client, Job
from tests.bench.clients.scenarios import Scenario
from tests.bench.clients.truth import Ledger, Window, compare, read_ledger

START_S: Final = 20.0  # the longest wait for the streams of a client that is slow to start
STOP_S: Final = 60.0
TRANSIT_MS: Final = 0.2  # between the mock's clock and the kernel's stamp: no part of what a client states
LOG: Final = "log"  # the output of the client
_POLL_S: Final = 0.2


class ClientEndedError(Exception):
    """The client ended before it was measured; the text is the end of its output."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One client at one load. Times are ms; None: this client does not say."""

    scenario: str
    streams: int
    client: str
    cpu_us: float  # per token, whole process tree
    core: float  # share of a core
    tokens_per_s: float
    rss_mib: float
    compared: int  # streams that both the client and the ledger know
    lost: int  # streams that the mock completed and the client did not record
    ttft_p50: float | None = None
    ttft_p99: float | None = None
    true_ttft_p50: float | None = None
    true_ttft_p99: float | None = None
    ttft_error_p50: float | None = None
    ttft_error_p99: float | None = None
    itl_error_p99: float | None = None
    verdict: str | None = None
    ttft_bound_p99: float | None = None
    reader: str | None = None
    mock_late_p99: float
    mock_core: float  # share of its core
    others: float  # share of both cores that other processes used

    @property
    def bound_holds(self) -> bool | None:
        """Whether the TTFT error is at most what the client itself states."""
        if self.ttft_bound_p99 is None or self.ttft_error_p99 is None:
            return None
        return self.ttft_error_p99 <= self.ttft_bound_p99 + TRANSIT_MS


def measure(scenario: Scenario, streams: int, client: Client, seconds: float) -> Figures:
    """Start mock, neighbours and client, wait until all streams run, and measure for so many seconds."""
    mock_cores, client_cores = (processes.CORES[:1], processes.CORES[1:]) if scenario.pinned else [processes.CORES] * 2
    beside = scenario.neighbours
    beside_cores = client_cores if beside is not None and beside.pinned else processes.CORES
    with (
        tempfile.TemporaryDirectory() as place,
        playing(scenario, mock_cores) as mock,
        processes.burners(beside.count if beside else 0, beside_cores) as burners,
    ):
        job = Job(scenario, streams, mock.control, mock.url, Path(place), seconds)
        with _running(client, job, client_cores) as pids:
            _wait_for_streams(mock.control, streams)
            time.sleep(scenario.settle_s)
            window, used = _observe(mock, pids, burners, seconds)
            _must_run(pids[-1], job.folder / LOG)
        return _figures(job, client, used, window, read_ledger(mock.control, scenario, window))


@contextmanager
def _running(client: Client, job: Job, cores: Sequence[int]) -> Iterator[list[int]]:
    """The processes of a client; afterwards they have ended in their own way, with their figures written."""
    with (job.folder / LOG).open("wb") as log:
        running = [
            processes.start(command, cores, stdout=log, stderr=log, env=job.environment)
            for command in client.commands(job)
        ]
        try:
            yield [process.pid for process in running]
            if not client.ends_by_itself:
                running[-1].terminate()
            _wait_for_end(running[-1], client, job.folder)
        finally:
            processes.end(*(process.pid for process in running))
            for process in running:
                process.wait()


def _wait_for_end(process: "subprocess.Popen[Any]", client: Client, folder: Path) -> None:
    until = time.monotonic() + STOP_S
    while process.poll() is None and not client.complete(folder):
        if time.monotonic() > until:
            print(f"  ! {client.name} did not stop within {STOP_S:g} s and was killed", flush=True)  # noqa: T201
            return
        time.sleep(_POLL_S)


def _wait_for_streams(control: str, streams: int) -> None:
    """Until nine of ten streams run. A client that never gets so far is measured all the same."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(httpx.TimeoutException):
            if httpx.get(f"{control}/_mock/summary", timeout=START_S).json()["active"] >= streams * 0.9:
                return
        time.sleep(_POLL_S)


def _must_run(pid: int, log: Path) -> None:
    if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
        raise ClientEndedError(log.read_text(errors="replace")[-2_000:])


class _Used(msgspec.Struct, frozen=True):
    """What the processes used within the window."""

    client_s: float
    mock_s: float
    others_s: float
    rss: int


def _observe(mock: Mock, pids: list[int], burners: list[int], seconds: float) -> tuple[Window, _Used]:
    """Sleep through the window; only the ledger, read when the client has ended, says what happened in it."""

    def spent() -> tuple[float, float, float]:
        client, server = processes.cpu_s(*pids), processes.cpu_s(mock.pid)
        known = client + server + processes.cpu_s(*burners) + processes.cpu_s(os.getpid())
        return client, server, processes.machine_cpu_s() - known

    begin_ns, before = time.time_ns(), spent()
    time.sleep(seconds)
    after, rss = spent(), processes.rss_bytes(*pids)
    window = Window(begin_ns, time.time_ns())
    client_s, mock_s, others_s = (late - early for late, early in zip(after, before, strict=True))
    return window, _Used(client_s, mock_s, others_s, rss)


def _figures(job: Job, client: Client, used: _Used, window: Window, ledger: Ledger) -> Figures:
    records = client.records(job.folder)
    known = {record.id for record in records}
    found = compare(records, ledger)
    error = found and found.ttft_error_ms
    reported, true = found and found.ttft_ms, found and found.true_ttft_ms
    itl, true_itl = (found.itl_ms, found.true_itl_ms) if found else (None, None)
    return Figures(
        scenario=job.scenario.name,
        streams=job.streams,
        client=client.name,
        cpu_us=used.client_s / max(ledger.tokens, 1) * 1e6,
        core=used.client_s / window.seconds,
        tokens_per_s=ledger.tokens / window.seconds,
        rss_mib=used.rss / 2**20,
        compared=found.streams if found else 0,
        lost=len(ledger.ended - known) if records else 0,
        ttft_p50=reported and reported.p50,
        ttft_p99=reported and reported.p99,
        true_ttft_p50=true and true.p50,
        true_ttft_p99=true and true.p99,
        ttft_error_p50=error and error.p50,
        ttft_error_p99=error and error.p99,
        itl_error_p99=itl.p99 - true_itl.p99 if itl and true_itl else None,
        mock_late_p99=ledger.late_p99_ms,
        mock_core=used.mock_s / window.seconds,
        others=max(used.others_s, 0) / window.seconds / len(processes.CORES),
        **_statements(job.folder / RUN / "run.json"),
    )


def _statements(path: Path) -> dict[str, Any]:
    """What Streamgauge says about itself in run.json; empty for other clients."""
    run = json.loads(path.read_text()) if path.exists() else {}
    summary = run.get("summary") or {}
    return {
        "verdict": summary.get("validity", {}).get("verdict"),
        "ttft_bound_p99": (summary.get("ttft_bound_ms") or {}).get("p99"),
        "reader": run.get("reader"),
    }
