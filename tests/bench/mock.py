"""What the mock costs and how precise it is, beside aiohttp.web and a bare uvloop protocol: `make bench-mock`.

All figures of one table are from one run whose rounds take turns, because only ratios survive a shared machine. The
server has the first core, this reader the second.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
import psutil

AHEAD_NS = 300_000_000  # from a request to its first token: every stream is there when the first one speaks
MIB = 1_048_576


class Subject:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def cpu_ns(self) -> int:
        """Time on a CPU so far, in user code and in the kernel."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])

    def delayed_ns(self) -> int:
        """Time that it could have run, but another process had its CPU."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1])

    def rss(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def running(*arguments: str, core: int) -> Iterator[Subject]:
    """A server that prints its URL on the first line."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        match = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert match is not None, f"{arguments} did not start"
        yield Subject(process, int(match[1]))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def mock_request(directive: str) -> bytes:
    """A streamed chat completion."""
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": f"[[mock {directive}]]"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def rival_request(after_ns: int) -> bytes:
    """The same of a rival."""
    return f"GET /?after={after_ns} HTTP/1.1\r\nHost: m\r\n\r\n".encode()


class Readers:
    """Many connections that count bytes and do nothing else."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.bytes = 0
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for request in requests:
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(request)
            client.setblocking(False)
            self._sockets[client.fileno()] = client
            self._epoll.register(client.fileno(), select.EPOLLIN)

    @property
    def open(self) -> int:
        """Connections that the server has not closed."""
        return len(self._sockets)

    def read_for(self, duration_s: float) -> None:
        """Count what comes."""
        buffer = bytearray(65_536)
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            # Never asleep in epoll when a byte comes, so that no server pays for waking this reader up.
            time.sleep(0.002)
            for fd, _ in self._epoll.poll(0, 4_096):
                size = self._sockets[fd].recv_into(buffer)
                self.bytes += size
                if size == 0:
                    self._epoll.unregister(fd)
                    self._sockets.pop(fd).close()

    def close(self) -> None:
        """Leave."""
        for client in self._sockets.values():
            client.close()
        self._epoll.close()


def frames_of(subject: Subject) -> list[bytes]:
    """The token events of the mock itself, for its rivals to write."""
    body = {"stream": True, "messages": [{"role": "user", "content": "[[mock tokens=64 itl=0 ttft=0]]"}]}
    answer = httpx.post(f"{subject.url}/v1/chat/completions", json=body)
    return [event + b"\n\n" for event in answer.content.split(b"\n\n") if b'"content":" ' in event]


def cost(arguments: argparse.Namespace) -> None:
    """CPU time per token, side by side."""
    streams, gap_ns = arguments.streams, round(1e9 / arguments.rate)
    with tempfile.TemporaryDirectory() as folder, running("streamgauge.mock_provider", "--port", "0", core=0) as mock:
        frames = frames_of(mock)
        path = Path(folder, "frames")
        path.write_bytes(b"\x1e".join(frames))
        size = sum(len(b"%x\r\n\r\n" % len(frame)) + len(frame) for frame in frames) / len(frames)
        gap = str(gap_ns / 1e9)
        with (
            running("tests.bench.mock_rivals", "same", str(path), gap, "asyncio", core=0) as same,
            running("tests.bench.mock_rivals", "aiohttp", str(path), gap, "asyncio", core=0) as aiohttp,
            running("tests.bench.mock_rivals", "aiohttp", str(path), gap, "uvloop", core=0) as aiohttp_uvloop,
            running("tests.bench.mock_rivals", "bare", str(path), gap, "uvloop", core=0) as bare,
        ):
            subjects = {
                "mock": mock,
                "aiohttp.web": same,
                "  prebuilt": aiohttp,
                "  on uvloop": aiohttp_uvloop,
                "bare uvloop": bare,
            }
            found: dict[str, list[float]] = {name: [] for name in subjects}
            for _ in range(arguments.rounds):
                for name, subject in subjects.items():
                    requests = []
                    for n in range(streams):
                        after_ns = AHEAD_NS + n * gap_ns // streams
                        directive = f"script=endless ttft={after_ns // 1_000}us itl={gap_ns // 1_000}us"
                        requests.append(mock_request(directive) if name == "mock" else rival_request(after_ns))
                    readers = Readers(subject.port, requests)
                    readers.read_for(1.0)
                    cpu_ns, seen = subject.cpu_ns(), readers.bytes
                    readers.read_for(arguments.seconds)
                    tokens = (readers.bytes - seen) / size
                    found[name].append((subject.cpu_ns() - cpu_ns) / tokens / 1e3)
                    if (expected := streams * arguments.rate * arguments.seconds) > tokens * 1.05:
                        print(f"  ! {name} wrote {tokens:.0f} tokens of {expected:.0f}: it can't keep this pace")
                    readers.close()
                    time.sleep(0.3)
    print(f"CPU per token, {streams} streams x {arguments.rate:g}/s, {arguments.rounds} rounds in turns:")
    for name, values in found.items():
        ratios = [ours / other for ours, other in zip(found["mock"], values, strict=True)]
        spread = f"{min(values):.1f}..{max(values):.1f}"
        print(f"  {name:<12}{median(values):>7.1f} us  ({spread})  mock / this: {median(ratios):.2f}")
    print("  aiohttp.web makes each event from its text and notes each write, as the mock does; the others have frames")
    print("  goals: mock / aiohttp.web <= 0.50, mock / bare uvloop <= 1.50")


def precision(streams: int, rate: float, seconds: float) -> None:
    """Actual minus scheduled time of each write, from the ledger; streams that were lost; memory."""
    gap_us, tokens = round(1e6 / rate), round(rate * seconds)
    ahead_us = AHEAD_NS // 1_000 + streams * 300
    with running("streamgauge.mock_provider", "--port", "0", core=0) as mock:
        requests = [
            mock_request(f"id=p{n} tokens={tokens} ttft={ahead_us + n * gap_us // streams}us itl={gap_us}us")
            for n in range(streams)
        ]
        cpu_ns, started = mock.cpu_ns(), time.monotonic()
        readers = Readers(mock.port, requests)
        readers.read_for(ahead_us / 1e6 + seconds)
        for _ in range(30):
            readers.read_for(0.5)
            if not httpx.get(f"{mock.url}/_mock/summary").json()["active"]:
                break
        took_ns = (time.monotonic() - started) * 1e9
        cpu, delayed = (mock.cpu_ns() - cpu_ns) / took_ns, mock.delayed_ns() / took_ns
        rss, lost = mock.rss(), streams - readers.open
        late_us: list[float] = []
        complete = 0
        with httpx.stream("GET", f"{mock.url}/_mock/export", timeout=60) as export:
            for line in export.iter_lines():
                entry = json.loads(line)
                complete += entry["end"] == "complete"
                number = int(entry["id"][1:])
                zero_ns = entry["arrival_ns"] + (ahead_us + number * gap_us // streams) * 1_000
                for t_ns, token in zip(entry["writes"]["t_ns"], entry["writes"]["token"], strict=True):
                    if token is not None:
                        late_us.append((t_ns - zero_ns - token * gap_us * 1_000) / 1e3)
        readers.close()
    late_us.sort()
    at = [late_us[min(int(len(late_us) * q), len(late_us) - 1)] / 1e3 for q in (0.5, 0.99, 0.999)]
    print(f"{streams} streams x {rate:g}/s: {complete} complete, {lost} connections lost, {len(late_us)} tokens")
    print(f"  actual - scheduled: p50 {at[0]:.2f} ms, p99 {at[1]:.2f} ms, p99.9 {at[2]:.2f} ms,", end=" ")
    print(f"least {late_us[0] / 1e3:.2f} ms, most {late_us[-1] / 1e3:.2f} ms; RSS {rss / MIB:.0f} MiB")
    print(
        f"  CPU {cpu:.0%}; {delayed:.0%} of the time another process had its core, which must be near 0 to judge this"
    )


def disconnects(times: int) -> None:
    """From a client's close to the ledger's disconnect while nothing is written."""
    with (
        running("streamgauge.mock_provider", "--port", "0", core=0) as mock,
        httpx.Client(base_url=mock.url) as control,
    ):
        for kind in ("fin", "rst"):
            delays_ms = []
            for _ in range(times):
                stream_id = f"d-{uuid4().hex[:12]}"
                client = socket.create_connection(("127.0.0.1", mock.port))
                client.sendall(mock_request(f"id={stream_id} script=silent"))
                head = b""
                while b'"role"' not in head:  # a close with bytes unread would send an RST
                    head += client.recv(65_536)
                if kind == "rst":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                left_ns = time.time_ns()
                client.close()
                entry = control.get(f"/_mock/streams/{stream_id}", params={"wait": 5}).json()["streams"][-1]
                assert entry["disconnect"]["kind"] == kind
                delays_ms.append((entry["disconnect"]["t_ns"] - left_ns) / 1e6)
            print(f"{kind.upper()} noticed after: median {median(delays_ms):.2f} ms, most {max(delays_ms):.2f} ms")


def main() -> None:
    """Every part, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["cost", "precision", "disconnect"])
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {1})
    if "cost" in arguments.parts:
        cost(arguments)
    if "precision" in arguments.parts:
        precision(1_000, 20, arguments.seconds * 2.5)
        precision(5_000, 2, arguments.seconds * 2.5)
    if "disconnect" in arguments.parts:
        disconnects(200)


if __name__ == "__main__":
    main()
