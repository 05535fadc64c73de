"""Runs a server in the foreground until a signal ends it; the exit code says why it did not."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import typer

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.loop import new_event_loop
from streamgauge.mock_provider.server import Server
from streamgauge.mock_provider.workers import Worker, run_workers

EXIT_NO_PORT = 3
_ENDING = (signal.SIGINT, signal.SIGTERM)
_OTHER_PORT = "choose another --port, or 0 for a free one"


def serve(
    program: str,
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    hints: Callable[[str], str],
    drain: Callable[[], Awaitable[None]] | None = None,
    remedy: str = _OTHER_PORT,
) -> None:
    """Run a server until SIGINT or SIGTERM; exit code 3 if it cannot listen."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_run_server(start, stop, drain, lambda url: _say_listening(program, url, hints), _ENDING))
    except OSError as error:
        _cannot_listen(program, error, remedy)


async def _run_server(
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    drain: Callable[[], Awaitable[None]] | None,
    started: Callable[[str], None],
    numbers: tuple[signal.Signals, ...],
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, ended.set)
    # A full garbage collection with thousands of streams stops all of them for tens of ms: make it rare and short.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    _allow_descriptors()
    started(await start())
    await ended.wait()
    if drain is not None:
        # A second signal ends the draining early.
        ended.clear()
        pending = {asyncio.ensure_future(drain()), asyncio.ensure_future(ended.wait())}
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
    await stop()


def _allow_descriptors() -> None:
    """Raise the limit of descriptors to the maximum: a connection takes two, and the usual limit is 1,024."""
    if sys.platform != "win32":
        import resource  # Windows has none

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve_workers(config: MockConfig, count: int, hints: Callable[[str], str]) -> None:
    async def serve_one(worker: Worker, port: int, started: Callable[[str], None]) -> None:
        server = Server(replace(config, port=port), worker)
        await _run_server(server.start, server.stop, server.drain, started, (signal.SIGTERM,))

    def started(url: str) -> None:
        _say_listening("mock provider", url, hints)

    try:
        with TemporaryDirectory(prefix="streamgauge-mock-") as folder:
            code = run_workers(count, config.host, config.port, Path(folder), serve_one, started, new_event_loop)
    except OSError as error:
        _cannot_listen("mock provider", error, _OTHER_PORT)
    if code:
        raise typer.Exit(code)


def _say_listening(program: str, url: str, hints: Callable[[str], str]) -> None:
    # typer.echo flushes, so that the program that started this can read the port from the first line.
    typer.echo(f"{program} listening on {url}")
    typer.echo(hints(url))


def _cannot_listen(program: str, error: OSError, remedy: str) -> NoReturn:
    typer.echo(f"{program}: can't listen: {error.strerror or error}; {remedy}", err=True)
    raise typer.Exit(EXIT_NO_PORT)
