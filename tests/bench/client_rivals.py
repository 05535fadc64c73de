"""Clients as people write them, each reading streams until SIGTERM: `python -m tests.bench.client_rivals NAME PORT
STREAMS FILE`. What each saw (its own start and token times, epoch ns) goes to FILE at the end, one JSON line a stream.
"""

import asyncio
import json
import signal
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


def body(prompt: str) -> dict[str, object]:
    """A streamed chat completion."""
    return {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": prompt}]}


def text_of(line: str) -> str:
    """The token on a `data:` line."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line[6:])["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


async def read_for_ever(stream: Stream, streams: int, path: Path) -> None:
    """Let so many users ask, read, and ask again."""
    seen: list[tuple[str, int, list[int]]] = []

    async def user(number: int) -> None:
        await asyncio.sleep(number * 0.001)
        while True:
            stream_id, times = uuid4().hex[:12], list[int]()
            start_ns = time.time_ns()
            async for token in stream(f"[[mock id={stream_id}]]"):
                if token:
                    times.append(time.time_ns())
            seen.append((stream_id, start_ns, times))

    users = [asyncio.create_task(user(number)) for number in range(streams)]
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
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def stream(prompt: str) -> AsyncIterator[str]:
            async with session.post(f"{url}/chat/completions", json=body(prompt)) as response:
                async for line in response.content:
                    yield text_of(line.decode())

        await run(stream)


async def use_httpx(url: str, run: Callable[[Stream], Awaitable[None]]) -> None:
    """`aiter_lines`."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:

        async def stream(prompt: str) -> AsyncIterator[str]:
            async with client.stream("POST", f"{url}/chat/completions", json=body(prompt)) as response:
                async for line in response.aiter_lines():
                    yield text_of(line)

        await run(stream)


async def use_openai(url: str, run: Callable[[Stream], Awaitable[None]]) -> None:
    """The vendor's SDK."""
    limits = httpx.Limits(max_connections=None)
    inner = httpx.AsyncClient(timeout=60, limits=limits)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=inner, max_retries=0) as client:

        async def stream(prompt: str) -> AsyncIterator[str]:
            chunks = await client.chat.completions.create(
                model=MODEL, stream=True, messages=[{"role": "user", "content": prompt}]
            )
            async for chunk in chunks:
                yield (chunk.choices[0].delta.content or "") if chunk.choices else ""

        await run(stream)


RIVALS = {"aiohttp": use_aiohttp, "httpx": use_httpx, "openai": use_openai}


async def main(name: str, port: str, streams: str, path: str) -> None:
    """Read until stopped."""
    await RIVALS[name](f"http://127.0.0.1:{port}/v1", lambda stream: read_for_ever(stream, int(streams), Path(path)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
