"""Hostile traffic against a mock beside one good stream: `make fuzz-mock`.

A crowd of connections sends nothing, or a request a byte at a time (slowloris), while attacks come one after the other.
After it the mock must still run, and hold no connection, stream or descriptor more than before. The good stream must
have carried exactly its bytes, each at its time by the ledger. The median token is judged, because single tokens are
late on a busy machine whatever the mock does.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any
from urllib.parse import quote

from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.faults import FAULTS

HOLD_S = 1.5  # the longest that an attacker stays once it has said everything
GRACE_S = 10.0  # in which the mock's timeouts (2 s here) must have cleared everything up
ITL_NS = 20_000_000  # of the good stream
DRIBBLE_S = 0.2  # between two bytes of a slow client: the request's timeout comes long before the last
ROUTES = [route for dialect in DIALECTS for route in dialect.routes]
ABSURD = (
    "tokens=99999999999999", "tokens=-1", "itl=1e9s", "ttft=-5ms", "itl=0 script=endless", "script=silent",
    "script=lockstep", "id=../../etc", "id=" + "x" * 5_000, "seed=" + "9" * 400, "fault=rst:0", "fault=nonsense",
    "tokens=5 tokens=6", "=", "[[mock",
    "text=big tokens=200 itl=0", "heartbeat=0.000001ms script=silent", "\x00", "\u2028",
)  # fmt: skip


@dataclass
class Attack:
    """What to send, at which pace, and how to leave: "fin", "rst", "half" or "hold"."""

    name: str
    pieces: list[bytes]
    gap_s: float = 0.0
    leave: str = "fin"
    reads: bool = True


@dataclass(frozen=True)
class Siege:
    """How hard the mock is attacked, and how late half of the good stream's tokens may be."""

    rate: float  # attacks a second
    seconds: float
    seed: int
    most_late_ms: float
    connections: int = 0  # idle and slow ones


def valid(random: Random, directive: str = "") -> bytes:
    """A request that some dialect takes, or nearly."""
    method, path = random.choice(ROUTES)
    prompt = f"hi [[mock {directive}]]" if directive else "hi"
    value = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}], "message": prompt}
    body = json.dumps(value).encode() if method == "POST" else b""
    target = path if body else f"{path}?message={quote(prompt)}"
    head = f"{method} {target} HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def mutated(random: Random, data: bytes) -> bytes:
    """The same with some bytes changed, lost or doubled."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(changed))
        match random.randrange(3):
            case 0:
                changed[at] = random.randrange(256)
            case 1:
                del changed[at : at + random.randint(1, 20)]
            case _:
                changed[at:at] = changed[at : at + random.randint(1, 50)]
        if not changed:
            break
    return bytes(changed)


def attack(random: Random) -> Attack:
    """One of many kinds, from the generator alone."""
    leave = random.choice(("fin", "rst", "half", "hold"))
    post = b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\n"
    match random.randrange(14):
        case 0:
            return Attack("random bytes", [random.randbytes(random.randint(0, 4_096))], leave=leave)
        case 1:
            return Attack("mutated", [mutated(random, valid(random))], leave=leave)
        case 2:
            size = random.choice((60_000, 70_000, 500_000))
            return Attack("huge header", [b"GET / HTTP/1.1\r\nX: " + b"a" * size + b"\r\n\r\n"], leave=leave)
        case 3:
            return Attack("many headers", [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000], leave=leave)
        case 4:
            return Attack("huge target", [b"GET /" + b"%00" * 40_000 + b" HTTP/1.1\r\n\r\n"], leave=leave)
        case 5:
            pieces = [post + b"Content-Length: 999999999999\r\n\r\n", *[b"x" * 65_536] * random.randint(1, 40)]
            return Attack("endless body", pieces, leave=leave)
        case 6:
            pieces = [post + b"Transfer-Encoding: chunked\r\n\r\n", *[b"ffff\r\n" + b"x" * 65_535 + b"\r\n"] * 20]
            return Attack("endless chunks", pieces, leave=leave)
        case 7:
            field = random.choice(
                (b"Content-Length: -1", b"Content-Length: 5\r\nContent-Length: 6", b"Transfer-Encoding: x",
                 b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: h2c"),
            )  # fmt: skip
            return Attack("bad framing", [post + field + b"\r\n\r\n", b"zz\r\nabc"], leave=leave)
        case 8:
            return Attack("slowloris", [bytes([byte]) for byte in valid(random)[:60]], gap_s=0.1, leave="hold")
        case 9:
            requests = [valid(random, "tokens=2 itl=0 ttft=0") for _ in range(random.randint(2, 60))]
            return Attack("pipelining", [b"".join(requests)], leave=leave)
        case 10:
            return Attack("absurd directive", [valid(random, random.choice(ABSURD))], leave=leave)
        case 11:
            directive = f"tokens=8 itl=1ms ttft=0 fault={random.choice(list(FAULTS))}"
            return Attack("fault", [valid(random, directive)], leave=leave)
        case 12:
            request = random.choice(
                ("GET streams?limit=-1", "GET streams/x?wait=1", "GET streams/%00", "GET nothing", "GET export",
                 "POST streams/a/release?upto=9", "POST streams/a/release?upto=-1", "POST reset?x", "POST refuse")
            )  # fmt: skip
            field = random.choice(
                ("Host: localhost", "Host: evil.example", "X: y", "Host: localhost\r\nOrigin: http://evil.example",
                 "Host: localhost\r\nContent-Type: text/plain")
            )  # fmt: skip
            head = f"{request.replace(' ', ' /_mock/')} HTTP/1.1\r\n{field}\r\n\r\n"
            return Attack("control", [head.encode()], leave=leave)
        case _:
            return Attack("never reads", [valid(random, "tokens=60 itl=0 ttft=0 text=big")], leave="rst", reads=False)


async def carry_out(port: int, what: Attack) -> None:
    """One connection; whatever the server does to it is fine."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(8):
                for piece in what.pieces:
                    writer.write(piece)
                    await writer.drain()
                    if what.gap_s:
                        await asyncio.sleep(what.gap_s)
                if what.leave == "half":
                    writer.write_eof()
                if what.leave in ("half", "hold") or not what.reads:
                    async with asyncio.timeout(HOLD_S):
                        while what.reads and await reader.read(65_536):
                            pass
                        await asyncio.sleep(0.3)
                if what.leave == "rst":
                    handle = writer.get_extra_info("socket")
                    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            writer.transport.abort() if what.leave == "rst" else writer.close()


@contextlib.asynccontextmanager
async def crowd(port: int, size: int) -> AsyncIterator[None]:
    """`size` connections: every second one sends a request a byte at a time, the others send nothing."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(size)]

    async def dribble() -> None:
        for byte in b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nX: " + b"a" * 10_000:
            for client in clients[::2]:
                with contextlib.suppress(OSError):
                    client.send(bytes([byte]))
            await asyncio.sleep(DRIBBLE_S)

    slow = asyncio.create_task(dribble())
    try:
        yield
    finally:
        slow.cancel()
        for client in clients:
            client.close()


async def good_stream(port: int, tokens: int, itl_ns: int) -> bytes:
    """The body of a stream whose bytes are always the same."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    prompt = quote(f"[[mock id=good-{itl_ns} seed=7 tokens={tokens} ttft=0 itl={itl_ns}ns text=unicode]]")
    writer.write(f"GET /stream?message={prompt} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    return data.partition(b"\r\n\r\n")[2]


async def control(port: int, path: str) -> Any:
    """What the control API answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /_mock/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    return json.loads(data.partition(b"\r\n\r\n")[2])


async def wrong_times(port: int, tokens: int, most_late_ns: float) -> list[str]:
    """What is wrong with the good stream by the ledger, whose times are those of the mock's own writes."""
    entry = (await control(port, f"streams/good-{ITL_NS}?wait=5"))["streams"][-1]
    writes = entry["writes"]
    times = [t_ns for t_ns, token in zip(writes["t_ns"], writes["token"], strict=True) if token is not None]
    if (entry["end"], len(times)) != ("complete", tokens):
        return [f"the good stream ended as {entry['end']!r} after {len(times)} of {tokens} tokens"]
    # The least late token tells when the schedule began: a late start does not count.
    late_ns = [t_ns - number * ITL_NS for number, t_ns in enumerate(times)]
    found_ns = median(late_ns) - min(late_ns)
    if found_ns <= most_late_ns:
        return []
    return [f"half of the good stream's tokens were at least {found_ns / 1e6:.1f} ms late"]


def descriptors(pid: int) -> int:
    """How many the process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


async def besieged(port: int, pid: int, siege: Siege) -> list[str]:
    """What went wrong; empty when the mock has stood it."""
    source, seconds = Random(siege.seed), siege.seconds
    tokens = max(2, round(seconds * 1e9 / ITL_NS))
    expected = await good_stream(port, tokens, 0)
    await asyncio.sleep(0.1)
    before = descriptors(pid)
    async with crowd(port, siege.connections):
        while descriptors(pid) < before + siege.connections:  # the mock still accepts
            await asyncio.sleep(0.01)
        good = asyncio.create_task(good_stream(port, tokens, ITL_NS))
        start, running, sent = time.monotonic(), set(), 0
        while (elapsed := time.monotonic() - start) < seconds:
            while sent < elapsed * siege.rate:
                task = asyncio.create_task(carry_out(port, attack(source)))
                running.add(task)
                task.add_done_callback(running.discard)
                sent += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*running)
        got = await good
    wrong = await wrong_times(port, tokens, siege.most_late_ms * 1e6)
    if got != expected:
        wrong.append(f"the good stream carried {len(got)} bytes, not its {len(expected)}")
    end = time.monotonic() + GRACE_S
    # The connection that asks is one of them.
    while (counts := await control(port, "summary"))["active"] or descriptors(pid) > before:
        if time.monotonic() > end:
            wrong.append(f"{counts['active']} streams still run; {descriptors(pid)} descriptors, before {before}")
            break
        await asyncio.sleep(0.1)
    verdict = "; ".join(wrong) or "stood it"
    print(f"{sent} attacks in {seconds:g} s, {counts['seen']} streams, {siege}: {verdict}")
    return wrong


def besiege(siege: Siege) -> list[str]:
    """The same with a mock of its own; its exit and its stderr count as well."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    command = [
        sys.executable,
        "-m",
        "streamgauge.mock_provider",
        "--port",
        "0",
        "--request-timeout",
        "2s",
        "--idle-timeout",
        "2s",
    ]
    command += ["--ledger-size", "100000"]  # the good stream must not be forgotten for the attacks
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        match = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert match is not None
        try:
            wrong = asyncio.run(besieged(int(match[1]), process.pid, siege))
            if process.poll() is not None:
                wrong.append(f"the mock has ended with {process.returncode}")
        finally:
            process.terminate()
        if errors := process.stderr.read():
            wrong.append(f"stderr: {errors[-4_000:]}")
    return wrong


def main() -> None:
    """30 s of it, unless told otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=2_000, help="idle and slow connections beside the attacks")
    parser.add_argument(
        "--most-late-ms", type=float, default=10, help="ms that the good stream's median token may be late"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    wrong = besiege(Siege(**vars(parser.parse_args())))
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
