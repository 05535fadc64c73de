"""Several processes on one port with one control API.

The kernel spreads connections over the workers (SO_REUSEPORT), so a request for `/_mock/` reaches any worker. It asks
the other workers over Unix sockets that only this user can open, and merges their answers. The answers are not one
snapshot, because each worker answers at its own moment. But three things hold: a stream that has ended for its client
has ended in every answer, sequence numbers and ids come from shared counters, and a release or reset has reached every
worker when it is answered. Limits such as `--slots` and `--ledger-size` apply to each worker.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from streamgauge.mock_provider.http import Reply, Request, json_reply

_LOCAL = frozenset({"/_mock/clock", "/_mock/faults"})  # every worker gives the same answer
_READ_BYTES = 65_536
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker: its place among the others, and the counters that all of them share."""

    folder: Path
    index: int
    count: int
    next_seq: Callable[[], int]  # of ledger entries
    next_ordinal: Callable[[], int]  # of requests for streams

    @property
    def socket(self) -> str:
        """The Unix socket on which the other workers ask this one."""
        return _socket(self.folder, self.index)

    def merged(
        self, request: Request, own: Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]
    ) -> Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]:
        """The merged answer of all workers; `own` is the answer of this one."""
        if isinstance(own, AsyncIterator):
            return self._export(request, own)
        if isinstance(own, Reply):
            return own if request.path in _LOCAL or own.status != 200 else self._merge(request, own)
        own.close()  # about one stream: this worker is asked over its socket like the others
        return self._merge_stream(request) if request.argument("wait") is None else self._merge_ended(request)

    def _others(self) -> list[str]:
        return [_socket(self.folder, index) for index in range(self.count) if index != self.index]

    async def _merge(self, request: Request, own: Reply) -> Reply:
        others = await asyncio.gather(*(_request(path, request.method, request.target) for path in self._others()))
        return _merged([own, *others], int(request.argument("limit") or 100))

    async def _merge_stream(self, request: Request) -> Reply:
        paths = [self.socket, *self._others()]
        return _merged(await asyncio.gather(*(_request(path, "GET", request.path) for path in paths)), 0)

    async def _merge_ended(self, request: Request) -> Reply:
        """Waits for the worker that has the stream; the others would wait for it until their timeout."""
        paths = [self.socket, *self._others()]
        pending = {asyncio.ensure_future(_request(path, request.method, request.target)) for path in paths}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(_has_ended(task.result()) for task in done):
                    reply = await self._merge_stream(request)
                    if _has_ended(reply):  # if not, the newest stream is a retry on another worker: wait on
                        return reply
            return await self._merge_stream(request)
        finally:
            for task in pending:
                task.cancel()

    async def _export(self, request: Request, own: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for line in own:
            yield line
        for path in self._others():
            async for piece in _pieces(path, request.target):
                yield piece


def _socket(folder: Path, index: int) -> str:
    return str(folder / f"{index}.sock")


async def _request(path: str, method: str, target: str) -> Reply:
    """The answer of another worker, or 503 if that worker has ended."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(f"{method} {target} HTTP/1.0\r\n\r\n".encode("latin-1"))
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    except OSError:
        head, body = b"", b""
    status = head.split(b" ", 2)[1:2]
    return Reply(int(status[0]), body) if status else json_reply(503, {"error": {"message": "a worker has ended"}})


async def _pieces(path: str, target: str) -> AsyncIterator[bytes]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"GET {target} HTTP/1.0\r\n\r\n".encode("latin-1"))
        await reader.readuntil(b"\r\n\r\n")
        while piece := await reader.read(_READ_BYTES):
            yield piece
    finally:
        writer.close()


def _has_ended(reply: Reply) -> bool:
    """Whether the newest stream in an answer has ended."""
    return reply.status == 200 and json.loads(reply.body)["streams"][-1]["end"] is not None


def _merged(replies: list[Reply], limit: int) -> Reply:
    """One reply of all; if a worker is missing, its 503, because a part would be taken for the whole."""
    gone = [reply for reply in replies if reply.status == 503]
    values = [json.loads(reply.body) for reply in replies if reply.status == 200]
    return json_reply(200, _merge_values(values, limit)) if values and not gone else [*gone, *replies][0]


def _merge_values(values: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    merged = dict(values[0])
    for name, value in merged.items():
        others = [other[name] for other in values]
        if name == "streams" and isinstance(value, list):
            found = sorted((entry for part in others for entry in part), key=lambda entry: int(entry["seq"]))
            merged[name] = found[-limit:] if "count" not in merged else found
        elif name == "replicas":  # each worker has its own
            merged[name] = [replica for part in others for replica in part]
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
    serve: Callable[[Worker, int, Callable[[str], None]], Coroutine[Any, Any, None]],
    started: Callable[[str], None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> int:
    """Fork `count` workers that `serve`, call `started` when all of them listen, and return the exit code at the end.

    Workers ignore SIGINT and obey SIGTERM: a terminal sends Ctrl-C to every process, and a second signal would cut the
    draining short. This process passes the signal on once.
    """
    if sys.platform == "win32":
        raise OSError("there is no fork on Windows: run one worker")
    next_seq, next_ordinal = _counter(), _counter()
    children: set[int] = set()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    with _reserved(host, port) as bound:
        ready_pipe, announce_pipe = os.pipe()
        # Nobody writes into it: workers read its end when this process ends, even by SIGKILL.
        alive_pipe, alive_end = os.pipe()
        # Blocked during the forks: a signal in between would miss the workers that do not exist yet.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for index in range(count):
            child = os.fork()
            if child == 0:
                os.close(ready_pipe)
                os.close(alive_end)
                worker = Worker(folder, index, count, next_seq, next_ordinal)
                _work(serve(worker, bound, lambda url: _announce(announce_pipe, url)), alive_pipe, loop_factory)
            children.add(child)
        os.close(announce_pipe)
        os.close(alive_pipe)
        for number in _SIGNALS:
            signal.signal(number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        urls = [line for line in _lines(ready_pipe, count) if line]
        if len(urls) == count:
            started(urls[0])
        failure = 0
        while children:
            child, status = os.wait()
            children.discard(child)
            code = os.waitstatus_to_exitcode(status)
            # If one worker ends, all do: half a server would give misleading measurements.
            if not stopping:
                failure = max(code, 1)
                stop()
            elif code not in (0, -signal.SIGTERM):
                failure = failure or max(code, 1)
        os.close(alive_end)
        return failure


def _work(
    serving: Coroutine[Any, Any, None], alive_pipe: int, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> NoReturn:
    """The life of a forked worker, which ends with its parent at the latest."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        threading.Thread(target=_end_with, args=(alive_pipe,), daemon=True).start()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serving)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end_with(alive_pipe: int) -> None:
    os.read(alive_pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _counter() -> Callable[[], int]:
    """A counter from 1 that all forked processes share."""
    counter = multiprocessing.get_context("fork").Value("Q", 0)

    def following() -> int:
        with counter.get_lock():
            counter.value += 1
            return int(counter.value)

    return following


def _announce(pipe: int, url: str) -> None:
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
    """A port that every worker can share; bound but not listening, so that this process gets no connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as alone:
        # First without SO_REUSEPORT, which would succeed on a port that another server shares with its own workers.
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind((host, port))
        port = int(alone.getsockname()[1])
    with socket.socket(family) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, port))
        yield port
