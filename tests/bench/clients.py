"""What a streamed token costs a client, and how far its TTFT and ITL are from the truth: `make bench`.

The mock has the first core, each client in turn the second. CPU is that of all processes of a client; the truth is the
mock's ledger of the same run.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import psutil

from streamgauge.metrics.comparison import Comparison, Ledgered, compare_with_ledger
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir.runs import RecordReader
from tests.bench.mock import Subject, running

CLIENT_CORE = 1
TTFT_MS = 200
WAIT_S = 60
LADDER = (5, 10, 25, 50, 100, 200, 400, 600, 800, 1_000)
HEADING = (
    f"{'':<20}{'CPU/token':>10}{'core':>6}{'tokens/s':>10}  {'TTFT error p50':>15}{'p99':>10}{'ITL p99 error':>15}"
)
LOCUST = [sys.executable, "-m", "locust", "--headless", "--only-summary"]


class Result(NamedTuple):
    """One client at one load."""

    cpu_us: float  # per token
    share: float  # of its core
    tokens_per_s: float
    verdict: str
    path: Path  # where it left what it saw


def load(url: str, mock: str, streams: int, folder: Path, *more: str) -> list[str]:
    """How streamgauge is started."""
    code = "from streamgauge.cli import main; main()"
    options = ["--users", str(streams), "--duration", "1h", "--out", str(folder / "run"), *more]
    return [sys.executable, "-c", code, "load", f"{url}/v1/chat/completions", "--mock", mock, *options]


def command(name: str, port: int, streams: int, folder: Path) -> list[str]:
    """How a client is started."""
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    if name == "C reader":
        return [str(folder / "reader"), str(port), str(streams), str(folder / "request")]
    if name == "streamgauge":
        return load(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", streams, folder)
    if name == "locust + httpx-sse":
        users = ["--users", str(streams), "--spawn-rate", str(streams), "--host", url]
        return [*LOCUST, "-f", "tests/bench/locust_httpx_sse.py", *users]
    return [sys.executable, "-m", "tests.bench.client_rivals", name, str(port), str(streams), str(folder / "seen")]


def cpu_s(process: psutil.Process) -> float:
    """Time on a CPU of all its processes and threads, exact; what stat tells is sampled at ticks."""
    total_ns = 0
    for one in [process, *process.children(recursive=True)]:
        for path in Path(f"/proc/{one.pid}/task").glob("*/schedstat"):
            total_ns += int(path.read_text().split()[0])
    return total_ns / 1e9


@contextmanager
def playing(rate: float, tokens: int) -> Iterator[Subject]:
    """The mock on its core."""
    options = ["--port", "0", "--ttft", f"{TTFT_MS}ms", "--itl", f"{1e6 / rate:.0f}us", "--tokens", str(tokens)]
    with running("streamgauge.mock_provider", *options, "--ledger-size", "1000000", core=0) as mock:
        yield mock


def measure(name: str, mock: Subject, streams: int, seconds: float, folder: Path) -> Result:
    """Run one client until it has read for so long at full load."""
    folder.mkdir()
    port = int(mock.url.rsplit(":", 1)[1])
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "hi"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n\r\n"
    (folder / "request").write_text(head + body)
    if name == "C reader":
        subprocess.run(["cc", "-O2", "-o", str(folder / "reader"), "tests/bench/reader.c"], check=True)
    return watch(command(name, port, streams, folder), mock.url, streams, seconds, folder)


def watch(arguments: list[str], mock: str, streams: int, seconds: float, folder: Path) -> Result:
    """Start a client and look at it once all of its streams are there."""

    def totals() -> tuple[int, int]:
        found = httpx.get(f"{mock}/_mock/summary", timeout=WAIT_S).json()
        return found["active"], found["tokens_written"]

    environment = os.environ | {"SEEN": str(folder / "seen")}
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            ["taskset", "-c", str(CLIENT_CORE), *arguments],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        process = psutil.Process(child.pid)
        patience = time.monotonic() + WAIT_S
        while totals()[0] < streams * 0.9 and time.monotonic() < patience:
            time.sleep(0.2)
        time.sleep(2)
        before, (_, wrote), began = cpu_s(process), totals(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        spent, tokens = cpu_s(process) - before, totals()[1] - wrote
        locust = {"load", "locust"} & set(arguments)
        child.send_signal(signal.SIGINT if locust else signal.SIGTERM)
        try:
            child.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            for one in [*process.children(recursive=True), process]:
                one.kill()
    verdict = "-"
    run = folder / "run" / "run.json"
    if run.exists():
        verdict = (json.loads(run.read_text()).get("summary") or {}).get("validity", {}).get("verdict", "-")
    return Result(spent / max(tokens, 1) * 1e6, spent / took, tokens / took, verdict, folder)


def records(result: Result) -> list[StreamRecord]:
    """The complete streams that a client saw."""
    if (result.path / "run").exists():
        return [record for record in RecordReader(result.path / "run") if record.outcome is Outcome.OK]
    seen = result.path / "seen"
    found = []
    for line in seen.read_text().splitlines() if seen.exists() else []:
        told = json.loads(line)
        at_ns = [t_ns - told["start_ns"] for t_ns in told["token_ns"]]
        found.append(
            StreamRecord(
                schema=SCHEMA, id=told["id"], outcome=Outcome.OK, method="POST", url="", start_ns=told["start_ns"],
                reads=Reads(at_ns, [0] * len(at_ns), [0] * len(at_ns)), token_reads=list(range(len(at_ns))),
            )
        )  # fmt: skip
    return found


def ledger(mock: str) -> dict[str, Ledgered]:
    """What the mock did."""
    known = {}
    with httpx.stream("GET", f"{mock}/_mock/export", timeout=WAIT_S) as export:
        for line in export.iter_lines():
            entry = json.loads(line)
            writes = entry["writes"]
            times = [t for t, token in zip(writes["t_ns"], writes["token"], strict=True) if token is not None]
            known[entry["id"]] = Ledgered(entry["arrival_ns"], times)
    return known


def error_of(result: Result, known: dict[str, Ledgered]) -> Comparison | None:
    """Reported against true; None where a client tells nothing."""
    seen = [record for record in records(result) if record.id in known]
    return compare_with_ledger(seen, known) if seen else None


def holds(found: Comparison | None) -> bool:
    """Whether TTFT and ITL are right: the goal at 400 streams."""
    if found is None or found.ttft_error_ms is None or found.itl_ms is None or found.true_itl_ms is None:
        return False
    itl = found.itl_ms.p99 - found.true_itl_ms.p99
    return abs(found.ttft_error_ms.p50) < 0.5 and found.ttft_error_ms.p99 < 3 and abs(itl) < 3


def limit(names: list[str], rate: float, seconds: float) -> None:
    """The highest load at which each client is right."""
    print(
        f"\nThe most streams x {rate:g} tokens/s with TTFT right to 0.5 ms (p50) and 3 ms (p99), and ITL p99 to 3 ms:"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            best = "none"
            for streams in LADDER:
                with playing(rate, 100) as mock:
                    path = Path(folder, f"{name.replace(' ', '-')}-{streams}")
                    result = measure(name, mock, streams, seconds, path)
                    found = error_of(result, ledger(mock.url))
                if not holds(found):
                    break
                best = f"{streams} streams, {result.tokens_per_s:,.0f} tokens/s, {result.share:.0%} of its core"
            print(f"  {name:<20}{best}", flush=True)


def row(name: str, result: Result, found: Comparison | None) -> str:
    """A line of the table."""
    line = f"{name:<20}{result.cpu_us:>7.1f} us{result.share:>6.0%}{result.tokens_per_s:>10,.0f}  "
    if found is None:
        return f"{line}{'-':>15}{'-':>10}{'-':>15}"
    ttft, itl, true_itl = found.ttft_error_ms, found.itl_ms, found.true_itl_ms
    assert ttft is not None
    error = f"{itl.p99 - true_itl.p99:>+12.2f} ms" if itl is not None and true_itl is not None else f"{'-':>15}"
    return f"{line}{ttft.p50:>+12.2f} ms{ttft.p99:>+7.2f} ms{error}  {result.verdict}"


def table(names: list[str], streams: int, rate: float, tokens: int, seconds: float) -> dict[str, Result]:
    """Measure and print each client at one load."""
    print(
        f"\n{streams} streams x {rate:g} tokens/s of {tokens} tokens, true TTFT {TTFT_MS} ms, one core for the client"
    )
    print(HEADING)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            # A mock of its own for each: a late close of one client must not disturb the next.
            with playing(rate, tokens) as mock:
                result = results[name] = measure(name, mock, streams, seconds, Path(folder, name.replace(" ", "-")))
                found = error_of(result, ledger(mock.url))
            print(row(name, result, found), flush=True)
    return results


def main() -> None:
    """Cost at 100 streams, accuracy at 400, and how far each client gets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["cost", "accuracy", "limit"])
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--streams", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", nargs="*")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {0})
    everyone = ["streamgauge", "locust + httpx-sse", "aiohttp", "httpx", "openai"]
    if shutil.which("cc") is not None:
        everyone.insert(0, "C reader")
    else:
        print("there is no cc: without the C reader")
    names = arguments.clients or everyone
    if "cost" in arguments.parts:
        rounds = [
            table(names, arguments.streams or 100, arguments.rate, 100, arguments.seconds)
            for _ in range(arguments.rounds)
        ]
        if "streamgauge" in names:
            print("\nstreamgauge / this, by CPU per token:")
            for name in names:
                ratio = median(one["streamgauge"].cpu_us / one[name].cpu_us for one in rounds)
                print(f"  {name:<20}{ratio:>6.2f}")
            print("  goals: C reader <= 2.50, locust + httpx-sse <= 0.20, aiohttp <= 0.33")
    if "accuracy" in arguments.parts:
        table([n for n in names if n != "C reader"], arguments.streams or 400, arguments.rate, 100, arguments.seconds)
    if "limit" in arguments.parts:
        limit([n for n in names if n != "C reader"], arguments.rate, arguments.seconds)


if __name__ == "__main__":
    main()
