"""FastAPI relays of a chat stream: UPSTREAM is the model's base URL. One route for each style that people write."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

UPSTREAM = os.environ["UPSTREAM"]
SSE = "text/event-stream"

app = FastAPI()
client = httpx.AsyncClient(timeout=60)
sync = openai.OpenAI(base_url=UPSTREAM, api_key="none", max_retries=0)
asynchronous = openai.AsyncOpenAI(base_url=UPSTREAM, api_key="none", max_retries=0)


@app.post("/async/v1/chat/completions")
async def passes_bytes_on(request: Request) -> StreamingResponse:
    """The good one: the status is the upstream's, the bytes are passed on, and leaving closes the upstream."""
    sent = client.build_request("POST", f"{UPSTREAM}/chat/completions", content=await request.body(),
                                headers={"content-type": request.headers.get("content-type", "")})  # fmt: skip
    answer = await client.send(sent, stream=True)

    async def body() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            await answer.aclose()

    kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
    return StreamingResponse(
        body(), answer.status_code, {**kept, "cache-control": "no-cache", "x-accel-buffering": "no"}
    )


def _messages(body: dict[str, Any]) -> dict[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(str(message.get("content", "")).strip() for message in messages):
        raise HTTPException(400, "messages are missing, or blank")
    asked = {"model": body.get("model", "m"), "messages": messages, "max_tokens": body.get("max_tokens")}
    return {**asked, "stream": True, "stream_options": {"include_usage": True}}


@app.post("/sync/v1/chat/completions")
def a_generator_in_a_thread(body: dict[str, Any]) -> StreamingResponse:
    """A plain generator, which the framework runs in a thread: the first byte is sent before the upstream is asked."""
    arguments = _messages(body)

    def events() -> Iterator[str]:
        for chunk in sync.chat.completions.create(**arguments):
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type=SSE)


@app.post("/blocking/v1/chat/completions")
async def blocks_the_loop(body: dict[str, Any]) -> StreamingResponse:
    """An async generator around a client that is not: the server serves one at a time."""
    arguments = _messages(body)

    async def events() -> AsyncIterator[str]:
        for chunk in sync.chat.completions.create(**arguments):
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type=SSE)


@app.post("/queue/v1/chat/completions")
async def a_task_and_a_queue(body: dict[str, Any]) -> StreamingResponse:
    """A task fills a queue. When the task fails nobody tells the reader: the stream hangs. Leaving does not stop it."""
    arguments = _messages(body)
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def produce() -> None:
        async for chunk in await asynchronous.chat.completions.create(**arguments):
            await queue.put(f"data: {chunk.model_dump_json()}\n\n")
        await queue.put("data: [DONE]\n\n")
        await queue.put(None)

    async def events() -> AsyncIterator[str]:
        while (item := await queue.get()) is not None:
            yield item

    app.state.task = asyncio.create_task(produce())
    return StreamingResponse(events(), media_type=SSE)


@app.post("/graph/runs/stream")
async def like_a_graph(body: dict[str, Any]) -> StreamingResponse:
    """The shape of LangGraph's server: metadata first, then messages as [chunk, metadata], then values and end."""
    given = body.get("input")
    arguments = _messages(given if isinstance(given, dict) else {})
    upstream = await asynchronous.chat.completions.create(**arguments)

    def event(name: str, data: object) -> str:
        return f"event: {name}\ndata: {json.dumps(data)}\n\n"

    async def events() -> AsyncIterator[str]:
        yield event("metadata", {"run_id": "1ef", "attempt": 1})
        text = ""
        async for chunk in upstream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                message = {
                    "content": choice.delta.content or "",
                    "type": "AIMessageChunk",
                    "id": "run-1",
                    "tool_calls": [],
                }
                yield event("messages", [message, {"langgraph_node": "model", "langgraph_step": 1}])
        yield event("values", {"messages": [{"content": text, "type": "ai", "id": "run-1"}]})
        yield event("end", None)

    return StreamingResponse(events(), media_type=SSE)
