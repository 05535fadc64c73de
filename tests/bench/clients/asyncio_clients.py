"""Asyncio clients as people write them: `python -m tests.bench.clients.asyncio_clients NAME URL STREAMS SPREAD_S FILE`.

Each reads streams until SIGTERM. Then its own start and token times (epoch ns) go to FILE, one JSON line a stream.
"""

import asyncio
import json
import random
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import aiohttp
import httpx
import openai

Stream = Callable[[str], AsyncIterator[str]]
MODEL = "mock-1"
TRUST_ALL = ssl._create_unverified_context()


def body(prompt: str) -> dict[str, object]:
    """A streamed chat completion."""
    return {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": prompt}]}


def text_of(line: str) -> str:
    """The token on a `data:` line."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line[6:])["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


async def read_until_stopped(stream: Stream, streams: int, spread_s: float, path: Path) -> None:
    """Let so many users ask, read, and ask again."""
    seen: list[tuple[str, int, list[int]]] = []

    async def user() -> None:
        if spread_s:
            await asyncio.sleep(random.random() * spread_s)
        while True:
            stream_id, times = uuid4().hex[:12], list[int]()
            start_ns = time.time_ns()
            async for token in stream(f"[[mock id={stream_id}]]"):
                if token:
                    times.append(time.time_ns())
            seen.append((stream_id, start_ns, times))

    users = [asyncio.create_task(user()) for _ in range(streams)]
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    for task in users:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*users, return_exceptions=True)
    with path.open("w") as file:
        for stream_id, start_ns, times in seen:
            print(json.dumps({"id": stream_id, "start_ns": start_ns, "token_ns": times}), file=file)


async def use_aiohttp(url: str, run: Callable[[Stream], Awaitable[None]]) -> None:
    """The lines of `response.content`."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=TRUST_ALL)) as session:

        async def stream(prompt: str) -> AsyncIterator[str]:
            async with session.post(f"{url}/chat/completions", json=body(prompt)) as response:
                async for line in response.content:
                    yield text_of(line.decode())

        await run(stream)


async def use_httpx(url: str, run: Callable[[Stream], Awaitable[None]], *, http2: bool = False) -> None:
    """`aiter_lines`."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits, verify=TRUST_ALL, http1=not http2, http2=http2) as client:

        async def stream(prompt: str) -> AsyncIterator[str]:
            async with client.stream("POST", f"{url}/chat/completions", json=body(prompt)) as response:
                async for line in response.aiter_lines():
                    yield text_of(line)

        await run(stream)


async def use_httpx_http2(url: str, run: Callable[[Stream], Awaitable[None]]) -> None:
    """The same over HTTP/2, which httpx multiplexes on one connection."""
    await use_httpx(url, run, http2=True)


async def use_openai(url: str, run: Callable[[Stream], Awaitable[None]]) -> None:
    """The vendor's SDK."""
    limits = httpx.Limits(max_connections=None)
    inner = httpx.AsyncClient(timeout=60, limits=limits, verify=TRUST_ALL)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=inner, max_retries=0) as client:

        async def stream(prompt: str) -> AsyncIterator[str]:
            chunks = await client.chat.completions.create(
                model=MODEL, stream=True, messages=[{"role": "user", "content": prompt}]
            )
            async for chunk in chunks:
                yield (chunk.choices[0].delta.content or "") if chunk.choices else ""

        await run(stream)


CLIENTS = {"aiohttp": use_aiohttp, "httpx": use_httpx, "httpx-http2": use_httpx_http2, "openai": use_openai}


async def main(name: str, url: str, streams: str, spread_s: str, path: str) -> None:
    """Read until stopped."""
    await CLIENTS[name](
        f"{url}/v1", lambda stream: read_until_stopped(stream, int(streams), float(spread_s), Path(path))
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
