"""Several processes on one port with one control API.

The kernel spreads connections over the workers (SO_REUSEPORT), so a request for `/_mock/` reaches any of them. That
one asks each of the others over a Unix socket that only the user can open, and merges. Every part is as its worker
sees it when asked: there is no common snapshot, but a stream that has ended for its client has ended in every answer,
sequence numbers are drawn from one counter, and an answered release or reset has reached every worker. What a worker
limits, such as `--slots` and `--ledger-size`, it limits for itself.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_provider.http import Reply, Request, json_reply

_LOCAL = frozenset({"/_mock/clock", "/_mock/faults"})  # the same everywhere
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is."""

    folder: Path
    index: int
    count: int
    next_seq: Callable[[], int]

    @property
    def socket(self) -> str:
        """Where the others ask this one."""
        return _socket(self.folder, self.index)

    def merged(
        self, request: Request, own: Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]
    ) -> Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]:
        """The answer of all workers, where `own` is this one's."""
        if isinstance(own, AsyncIterator):
            return self._export(request, own)
        if isinstance(own, Reply):
            unknown = own.status == 404 and request.path.startswith("/_mock/streams/")
            if request.path in _LOCAL or (own.status != 200 and not unknown):
                return own
            return self._merge(request, own)
        return self._merge_ended(request, own)

    def _others(self) -> list[str]:
        return [_socket(self.folder, index) for index in range(self.count) if index != self.index]

    async def _merge(self, request: Request, own: Reply) -> Reply:
        others = await asyncio.gather(*(_ask(path, request.method, request.target) for path in self._others()))
        replies = [reply for reply in (own, *others) if reply.status == 200]
        if not replies:
            return own
        values = [json.loads(reply.body) for reply in replies]
        return json_reply(200, _merge_values(values, int(request.argument("limit") or 100)))

    async def _merge_ended(self, request: Request, own: Coroutine[Any, Any, Reply]) -> Reply:
        """Whoever has the stream answers when it has ended; the others would wait for it until their time is up."""
        asked: set[asyncio.Task[Reply]] = {asyncio.ensure_future(own)}
        asked |= {asyncio.ensure_future(_ask(path, request.method, request.target)) for path in self._others()}
        last = json_reply(404, {})
        try:
            while asked:
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for reply in (task.result() for task in done):
                    if last.status != 200:
                        last = reply
                    if reply.status == 200 and json.loads(reply.body)["streams"][-1]["end"] is not None:
                        return await self._merge_now(request, reply)
            return await self._merge_now(request, last) if last.status == 200 else last
        finally:
            for task in asked:
                task.cancel()

    async def _merge_now(self, request: Request, fallback: Reply) -> Reply:
        paths = [_socket(self.folder, index) for index in range(self.count)]
        replies = await asyncio.gather(*(_ask(path, "GET", request.path) for path in paths))
        values = [json.loads(reply.body) for reply in replies if reply.status == 200]
        return json_reply(200, _merge_values(values, 0)) if values else fallback

    async def _export(self, request: Request, own: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for line in own:
            yield line
        for path in self._others():
            async for piece in _pieces(path, request.target):
                yield piece


def _socket(folder: Path, index: int) -> str:
    return str(folder / f"{index}.sock")


async def _ask(path: str, method: str, target: str) -> Reply:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"{method} {target} HTTP/1.0\r\n\r\n".encode("latin-1"))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return Reply(int(head.split(b" ", 2)[1]), body)


async def _pieces(path: str, target: str) -> AsyncIterator[bytes]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"GET {target} HTTP/1.0\r\n\r\n".encode("latin-1"))
        await reader.readuntil(b"\r\n\r\n")
        while piece := await reader.read(_READ_BYTES):
            yield piece
    finally:
        writer.close()


def _merge_values(values: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    merged = dict(values[0])
    for name, value in merged.items():
        others = [other[name] for other in values]
        if name == "streams" and isinstance(value, list):
            found = sorted((entry for part in others for entry in part), key=lambda entry: int(entry["seq"]))
            merged[name] = found[-limit:] if "count" not in merged else found
        elif name == "schema":
            continue
        elif name == "released":
            merged[name] = max(others)
        elif isinstance(value, bool):
            merged[name] = any(others)
        elif isinstance(value, int):
            merged[name] = sum(others)
    return merged


def run_workers(
    count: int,
    host: str,
    port: int,
    folder: Path,
    serve: Callable[[Place, int, Callable[[str], None]], Coroutine[Any, Any, None]],
    started: Callable[[str], None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> int:
    """Fork `count` workers that `serve`, tell when all have `started`, wait for their end; the exit code."""
    if sys.platform == "win32":
        raise OSError("there is no fork on Windows: run one worker")
    counter = multiprocessing.get_context("fork").Value("Q", 0)

    def next_seq() -> int:
        with counter.get_lock():
            counter.value += 1
            return int(counter.value)

    with _reserved(host, port) as bound:
        ready, tell = os.pipe()
        children = set()
        for index in range(count):
            child = os.fork()
            if child == 0:
                os.close(ready)
                place = Place(folder, index, count, next_seq)
                code = 1
                try:
                    with asyncio.Runner(loop_factory=loop_factory) as runner:
                        runner.run(serve(place, bound, lambda url: _tell(tell, url)))
                    code = 0
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.add(child)
        os.close(tell)
        stopping = False

        def stop(*_: object) -> None:
            nonlocal stopping
            stopping = True
            for child in children:
                os.kill(child, signal.SIGTERM)

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        urls = [line for line in _lines(ready, count) if line]
        if len(urls) == count:
            started(urls[0])
        worst = 0
        while children:
            child, status = os.wait()
            children.discard(child)
            worst = max(worst, os.waitstatus_to_exitcode(status), key=abs)
            if not stopping:  # one that ends by itself takes the others with it: half a server misleads
                worst = worst or 1
                stop()
        return abs(worst)


def _tell(pipe: int, url: str) -> None:
    os.write(pipe, f"{url}\n".encode())
    os.close(pipe)


def _lines(pipe: int, count: int) -> list[str]:
    data = b""
    while data.count(b"\n") < count and (piece := os.read(pipe, 4_096)):
        data += piece
    os.close(pipe)
    return data.decode().splitlines()


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """A port that every worker can share; bound but not listening, so that it takes no connection itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, port))
        yield int(reserved.getsockname()[1])
