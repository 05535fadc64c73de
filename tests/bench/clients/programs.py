"""The clients of the bench, as declared values: how each is started and stopped, and where its figures are."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from streamgauge.loadgen.peer_token import TOKEN_ENV, new_token
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir.runs import RecordReader
from tests.bench.clients import aiperf
from tests.bench.clients.scenarios import FLOOR, OURS, RULER, Scenario
from tests.bench.clients.scenarios import Path as Protocol

HERE: Final = Path(__file__).parent
SEEN: Final = "seen"
RUN: Final = "run"
_TOKEN: Final = new_token()
SPAWN_S: Final = 1.0  # for Locust to create the users, who all start before the measurement begins


class Job(NamedTuple):
    """What a client has to do. `control` is the mock in clear text, `url` the mock over the scenario's protocol."""

    scenario: Scenario
    streams: int
    control: str
    url: str
    folder: Path
    seconds: float

    @property
    def environment(self) -> dict[str, str]:
        """For the locustfiles of the bench, and for masters and workers."""
        return os.environ | {
            TOKEN_ENV: _TOKEN,
            "BENCH_STREAMS": str(self.streams),
            "BENCH_SPREAD_S": str(self.scenario.spread_s),
            "BENCH_SEEN": str(self.folder / SEEN),
        }


Command = list[str]


class Client(NamedTuple):
    """A program that reads streams. `commands` are started together; SIGTERM to the last one stops them.

    No signal is sent to a program that `ends_by_itself`. `complete` says that its figures are on disk, so that it may
    be killed. `missing` gives the reason why it cannot run on this machine. Above `most_streams` it is left out: it
    could not read so many on one core.
    """

    name: str
    about: str
    commands: Callable[[Job], list[Command]]
    records: Callable[[Path], list[StreamRecord]]
    ends_by_itself: bool = False
    most_streams: int | None = None
    missing: Callable[[], str | None] = lambda: None
    complete: Callable[[Path], bool] = lambda _: False


def _floor(*, stamped: bool) -> Callable[[Job], list[Command]]:
    def commands(job: Job) -> list[Command]:
        program, request = job.folder / "floor", job.folder / "request"
        content = "[[mock id=000000000000]]" if stamped else "hi"
        body = json.dumps({"stream": True, "messages": [{"role": "user", "content": content}]})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n\r\n"
        request.write_text(head + body)
        subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / "floor.c")], check=True)
        port, spread_us = job.control.rsplit(":", 1)[1], round(job.scenario.spread_s * 1e6)
        command = [str(program), port, str(job.streams), str(request), str(spread_us)]
        return [[*command, str(job.folder / SEEN)] if stamped else command]

    return commands


def _no_compiler() -> str | None:
    return None if shutil.which("cc") else "there is no C compiler (cc)"


def _start_s(job: Job) -> float:
    """How long the users take to start: the measurement begins about then (see `Scenario`)."""
    return SPAWN_S + job.scenario.spread_s + job.scenario.settle_s


def _streamgauge(job: Job) -> list[Command]:
    program = [sys.executable, "-m", "streamgauge"]
    load = [
        *program, "load", f"{job.url}/v1/chat/completions", "--mock", job.control,
        "--users", str(job.streams), "--warmup", f"{_start_s(job):g}s", "--duration", "1h",
        "--out", str(job.folder / RUN),
    ]  # fmt: skip
    load += ["--insecure"] * (job.scenario.path is Protocol.TLS) + ["--http2", "--connections", "4"] * (
        job.scenario.path is Protocol.HTTP2
    )
    if not job.scenario.workers:
        return [[*load, "--scenario", str(HERE / "locust_streamgauge.py")]]
    workers = [[*program, "load", "--worker", "127.0.0.1"] for _ in range(job.scenario.workers)]
    return [*workers, [*load, "--master", "--expect-workers", str(len(workers))]]


def _asyncio(name: str) -> Callable[[Job], list[Command]]:
    def commands(job: Job) -> list[Command]:
        which = f"{name}-http2" if job.scenario.path is Protocol.HTTP2 else name
        arguments = [which, job.url, str(job.streams), str(job.scenario.spread_s), str(job.folder / SEEN)]
        return [[sys.executable, "-m", "tests.bench.clients.asyncio_clients", *arguments]]

    return commands


def _locust(file: str) -> Callable[[Job], list[Command]]:
    def commands(job: Job) -> list[Command]:
        users = ["--users", str(job.streams), "--spawn-rate", str(job.streams), "--host", job.url]
        return [[sys.executable, "-m", "locust", "--headless", "--only-summary", "-f", str(HERE / file), *users]]

    return commands


def _aiperf(job: Job) -> list[Command]:
    seconds = job.scenario.settle_s + job.seconds + 2
    return [aiperf.command(job.url, job.streams, seconds, job.folder)]


def _nothing(_: Path) -> list[StreamRecord]:
    return []


def _our_run_ended(folder: Path) -> bool:
    """Before its reports, which take some seconds more."""
    path = folder / RUN / "run.json"
    return path.exists() and json.loads(path.read_text()).get("summary") is not None


def _our_records(folder: Path) -> list[StreamRecord]:
    """Also of streams that were cut at the end: to leave those out would leave out the slowest ones."""
    return [record for record in RecordReader(folder / RUN) if record.token_reads]


def _seen(folder: Path) -> list[StreamRecord]:
    path = folder / SEEN
    lines = path.read_text().splitlines() if path.exists() else []
    return [_record(seen["id"], seen["start_ns"], seen["token_ns"]) for seen in map(json.loads, lines)]


def _aiperf_records(folder: Path) -> list[StreamRecord]:
    return [_record(*stream) for stream in aiperf.streams(folder)]


def _record(stream_id: str, start_ns: int, token_ns: list[int]) -> StreamRecord:
    """Times of tokens (epoch ns) in the form in which Streamgauge's own figures are computed."""
    at_ns, zeros = [t_ns - start_ns for t_ns in token_ns], [0] * len(token_ns)
    return StreamRecord(
        schema=SCHEMA, id=stream_id, outcome=Outcome.OK, method="POST", url="", start_ns=start_ns,
        reads=Reads(at_ns, zeros, zeros), token_reads=list(range(len(at_ns))),
    )  # fmt: skip


CLIENTS: Final = {
    client.name: client
    for client in (
        Client(FLOOR, "C and epoll: it counts bytes and measures nothing", _floor(stamped=False), _nothing,
               missing=_no_compiler),
        Client(RULER, "the same with the kernel's stamp of each read: the least error that can be had",
               _floor(stamped=True), _seen, missing=_no_compiler),
        Client(OURS, "`streamgauge load`", _streamgauge, _our_records, complete=_our_run_ended),
        Client("aiohttp", "lines of `response.content`", _asyncio("aiohttp"), _seen),
        Client("httpx", "`aiter_lines`", _asyncio("httpx"), _seen, most_streams=100),
        Client("openai", "the SDK's `AsyncOpenAI`", _asyncio("openai"), _seen, most_streams=100),
        Client("locust + httpx-sse", "a Locust user with httpx and httpx-sse", _locust("locust_httpx_sse.py"), _seen,
               most_streams=400),
        Client("FastHttpUser", "Locust's own `iter_lines`", _locust("locust_fast_http.py"), _seen),
        Client("aiperf", "NVIDIA's benchmark tool: `aiperf profile --streaming`", _aiperf, _aiperf_records,
               most_streams=400, ends_by_itself=True, missing=aiperf.install),
    )
}  # fmt: skip
