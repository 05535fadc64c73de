"""What the mock is compared with: aiohttp.web, and the least that a uvloop protocol can do.

All write the frames of a file, one `\\x1e` apart, on a clock that starts when the request says: `/?after=NS`.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import asyncio
import contextlib
import itertools
import json
import re
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import uvloop
from aiohttp import web

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def serve_aiohttp(frames: list[bytes], gap_s: float) -> int:
    """A StreamResponse per request, with frames that are there."""

    def rendered() -> Iterator[bytes]:
        yield from itertools.cycle(frames)

    return await _serve_aiohttp(rendered, gap_s)


async def serve_same(frames: list[bytes], gap_s: float) -> int:
    """The same work as the mock's: each event made from its text, each write noted with its time and size."""
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    fields = {name: value for name, value in chunks[0].items() if name != "choices"}

    def rendered() -> Iterator[bytes]:
        times_ns, sizes, tokens = array("q"), array("q"), array("q")
        for token, text in enumerate(itertools.cycle(texts)):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            event = f"data: {json.dumps(fields | {'choices': [choice]})}\n\n".encode()
            times_ns.append(time.time_ns())
            sizes.append(len(event))
            tokens.append(token)
            yield event

    return await _serve_aiohttp(rendered, gap_s)


async def _serve_aiohttp(rendered: Callable[[], Iterator[bytes]], gap_s: float) -> int:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        due = loop.time() + int(request.query["after"]) / 1e9
        with contextlib.suppress(ConnectionError):
            for frame in rendered():
                await asyncio.sleep(max(0.0, due - loop.time()))
                await response.write(frame)
                due += gap_s
        return response

    app = web.Application()
    app.router.add_get("/", stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4_096)
    await site.start()
    return int(runner.addresses[0][1])


class Bare(asyncio.Protocol):
    """No parser, no ledger, no back-pressure: a timer and a write."""

    def __init__(self, frames: list[bytes], gap_s: float) -> None:
        self._frames, self._gap_s = itertools.cycle(frames), gap_s
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Its request, in one piece."""
        after = re.search(rb"after=(\d+)", data)
        assert after is not None
        self._transport.write(HEAD)
        self._due = self._loop.time() + int(after[1]) / 1e9
        self._timer = self._loop.call_at(self._due, self._write)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """The end."""
        self._timer.cancel()

    def _write(self) -> None:
        self._transport.write(next(self._frames))
        self._due += self._gap_s
        self._timer = self._loop.call_at(self._due, self._write)


async def serve_bare(frames: list[bytes], gap_s: float) -> int:
    """The frames in chunks that were built before."""
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    server = await asyncio.get_running_loop().create_server(lambda: Bare(chunks, gap_s), "127.0.0.1", 0, backlog=4_096)
    return int(server.sockets[0].getsockname()[1])


async def main(which: str, path: str, gap_s: float) -> None:
    """Print the port, then serve until killed."""
    frames = Path(path).read_bytes().split(b"\x1e")
    port = await {"aiohttp": serve_aiohttp, "same": serve_same, "bare": serve_bare}[which](frames, gap_s)
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # What `web.run_app` runs on is asyncio's own loop.
    run = asyncio.run if sys.argv[4] == "asyncio" else uvloop.run
    run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
