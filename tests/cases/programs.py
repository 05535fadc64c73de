"""What went wrong in public bug reports, one class each. The docstring says what is true of it."""

import asyncio
import itertools
from collections.abc import AsyncIterable
from typing import Any, ClassVar

from tests.cases.server import FIRST_S, GAP_S, TOKENS, Chat, Relay, Request, Service, Writer, event, word


class Waiting(Service):
    """HEALTHY. Comments come until the model answers; the role and keys of the gateway's own are in every chunk, and
    the usage is in a last chunk that has a choice. 20 tokens, TTFT 600 ms.
    """

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)

        def chunk(text: str, finish: str | None = None, **more: Any) -> str:
            delta = {"role": "assistant", "content": text}
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}
            return chat.chunk([{**choice, "logprobs": None}], provider="Somebody", **more)

        await writer.head()
        for _ in range(3):
            await writer.send(": PROCESSING\n\n")
            await asyncio.sleep(0.2)
        for number in range(chat.tokens):
            await asyncio.sleep(GAP_S if number else 0)
            await writer.send(chunk(word(number)))
        await writer.send(chunk("", chat.finish))
        if chat.wants_usage:
            await writer.send(chunk("", None, usage=chat.usage()))
        await writer.send(event("[DONE]"))
        await writer.end()


class CommentAsData(Service):
    """FAULT. A gateway wraps a comment of its upstream as data. 20 tokens, TTFT 400 ms."""

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)
        await writer.head()
        for _ in range(2):
            await writer.send(event(": PROCESSING"))
            await asyncio.sleep(0.2)
        await writer.send(chat.role())
        await self.tokens(chat, writer, first_s=0)
        await writer.send(chat.last() + event("[DONE]"))
        await writer.end()


class HeartbeatInLine(Service):
    """FAULT. A heartbeat comes in the middle of a data line: the rest of the JSON stands on a line of its own."""

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)
        await writer.head()
        await writer.send(chat.role())
        for number in range(chat.tokens):
            await asyncio.sleep(GAP_S if number else FIRST_S)
            token = chat.token(number)
            if number == chat.tokens // 2:
                token = token[: len(token) // 2] + ": heartbeat\n\n" + token[len(token) // 2 :]
            await writer.send(token)
        await writer.send(chat.last() + event("[DONE]"))
        await writer.end()


class HeartbeatsForEver(Service):
    """FAULT. After the finish reason no end marker comes, but a comment every second, for four minutes."""

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)
        await writer.head()
        await writer.send(chat.role())
        await self.tokens(chat, writer)
        await writer.send(chat.last())
        for _ in range(240):
            await asyncio.sleep(1)
            await writer.send(": keepalive\n\n")
        await writer.end()


BARE_ERROR = {"error": {"code": 400, "message": "request (19185 tokens) exceeds the context", "type": "exceed"}}


class BareError(Service):
    """FAULT. The body of a 200 is a JSON error without any framing."""

    async def stream(self, request: Request, writer: Writer) -> None:  # noqa: ARG002 (every answer is the same)
        await writer.head()
        await asyncio.sleep(0.1)
        await writer.send(event(BARE_ERROR).removeprefix("data: ").strip())
        await writer.end()


class ToolCalls(Service):
    """Two parallel tool calls, well formed unless `mode` says `noindex`, `sameindex` or `object` (the arguments)."""

    def __init__(self, mode: str = "ok") -> None:
        self._mode = mode

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request, 8)

        async def call(number: int, call: dict[str, Any]) -> None:
            index = {} if self._mode == "noindex" else {"index": 0 if self._mode == "sameindex" else number}
            await writer.send(chat.delta({"tool_calls": [{**index, **call}]}))
            await asyncio.sleep(GAP_S)

        await writer.head()
        await writer.send(chat.delta({"role": "assistant", "content": None}))
        await asyncio.sleep(FIRST_S)
        for number, name in enumerate(("get_weather", "get_time")):
            arguments: Any = {"city": "Paris"} if self._mode == "object" else ""
            function = {"name": name, "arguments": arguments}
            await call(number, {"id": f"call_{number}", "type": "function", "function": function})
            parts = () if self._mode == "object" else ('{"ci', 'ty": ', '"Par', 'is"}')
            for part in parts[: max(chat.tokens - number * len(parts), 0)]:
                await call(number, {"function": {"arguments": part}})
        await writer.send(chat.delta({}, "tool_calls" if chat.finish == "stop" else chat.finish))
        if chat.wants_usage:
            await writer.send(chat.chunk([], usage=chat.usage()))
        await writer.send(event("[DONE]"))
        await writer.end()


class Thinking(Service):
    """NUMBERS. Reasoning is an array in `content`. 30 tokens of reasoning from 200 ms on, then 10 of the answer; usage
    says 40. TTFT 200 ms, first answer after about 820 ms, TPOT 20.5 ms.
    """

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request, 40)
        await writer.head()
        await writer.send(chat.role())
        for number in range(chat.tokens):
            await asyncio.sleep(GAP_S if number else 0.2)
            text = {"type": "text", "text": word(number)}
            content = [{"type": "thinking", "thinking": [text]}] if number < 30 else word(number)
            await writer.send(chat.delta({"content": content}))
        await writer.send(chat.delta({"content": ""}, chat.finish, usage=chat.usage()) + event("[DONE]"))
        await writer.end()


class OnlyErrors(Service):
    """FAULT. The only payload of every `every`-th stream is an error, then [DONE]; the others are good."""

    def __init__(self, every: int = 1) -> None:
        self._every, self._number = every, itertools.count(1)

    async def stream(self, request: Request, writer: Writer) -> None:
        if next(self._number) % self._every:
            await super().stream(request, writer)
            return
        await writer.head()
        await asyncio.sleep(0.05)
        await writer.send(event({"error": {"message": "engine died", "type": "E", "param": None, "code": 500}}))
        await writer.send(event("[DONE]"))
        await writer.end()


class Anthropic(Service):
    """A healthy stream of messages; a FAULT where message_start's message lacks content and stop reason (not `ok`)."""

    path: ClassVar[str] = "/v1/messages"

    def __init__(self, *, ok: bool = False) -> None:
        self._ok = ok

    async def stream(self, request: Request, writer: Writer) -> None:
        async def send(kind: str, **more: Any) -> None:
            await writer.send(event({"type": kind, **more}, kind))

        tokens = min(request.most_tokens or TOKENS, TOKENS)
        message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
        message["usage"] = {"input_tokens": 5, "output_tokens": 1}
        if self._ok:
            message |= {"content": [], "stop_reason": None, "stop_sequence": None}
        await writer.head()
        await send("message_start", message=message)
        await send("content_block_start", index=0, content_block={"type": "text", "text": ""})
        await send("ping")
        for number in range(tokens):
            await asyncio.sleep(GAP_S if number else FIRST_S)
            await send("content_block_delta", index=0, delta={"type": "text_delta", "text": word(number)})
        await send("content_block_stop", index=0)
        reason = {"stop_reason": "end_turn" if tokens == TOKENS else "max_tokens", "stop_sequence": None}
        await send("message_delta", delta=reason, usage={"output_tokens": tokens})
        await send("message_stop")
        await writer.end()

    def answer(self, request: Request) -> dict[str, Any]:  # noqa: ARG002 (every answer is the same)
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "hello"}], "stop_sequence": None,
                "usage": {"input_tokens": 5, "output_tokens": 1}}  # fmt: skip


class Responses(Service):
    """A healthy stream of responses; a FAULT where response.completed lacks its output (`nooutput`), or its output and
    its usage (`bad`), or where the output is empty (`emptyoutput`).
    """

    path: ClassVar[str] = "/v1/responses"

    def __init__(self, mode: str = "ok") -> None:
        self._mode = mode

    async def stream(self, request: Request, writer: Writer) -> None:
        numbers = itertools.count()

        async def send(kind: str, **more: Any) -> None:
            await writer.send(event({"type": kind, "sequence_number": next(numbers), **more}, kind))

        tokens = min(request.most_tokens or TOKENS, TOKENS)
        status = "completed" if tokens == TOKENS else "incomplete"
        text = "".join(map(word, range(tokens)))
        response: dict[str, Any] = {
            "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m",
            "output": [], "error": None, "incomplete_details": None, "usage": None, "instructions": None,
            "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
            "top_p": 1.0,
        }  # fmt: skip
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [part]}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        await writer.head()
        await send("response.created", response=response)
        await send("response.in_progress", response=response)
        begun = {**item, "status": "in_progress", "content": []}
        await send("response.output_item.added", output_index=0, item=begun)
        await send("response.content_part.added", **place, part={**part, "text": ""})
        for number in range(tokens):
            await asyncio.sleep(GAP_S if number else FIRST_S)
            await send("response.output_text.delta", **place, delta=word(number), logprobs=[])
        await send("response.output_text.done", **place, text=text, logprobs=[])
        await send("response.content_part.done", **place, part=part)
        await send("response.output_item.done", output_index=0, item=item)
        await send(f"response.{status}", response=self._ended(response, status, tokens, item))
        await writer.end()

    def _ended(self, response: dict[str, Any], status: str, tokens: int, item: object) -> dict[str, Any]:
        usage = {
            "input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": tokens,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 5,
        }  # fmt: skip
        ended = {**response, "status": status, "output": [item], "usage": usage}
        if status == "incomplete":
            ended["incomplete_details"] = {"reason": "max_output_tokens"}
        if self._mode in ("bad", "nooutput"):
            del ended["output"]
        if self._mode == "bad":
            del ended["usage"]
        if self._mode == "emptyoutput":
            ended["output"] = []
        return ended

    def answer(self, request: Request) -> dict[str, Any]:  # noqa: ARG002 (every answer is the same)
        return {"id": "resp_1", "object": "response", "status": "completed", "output": []}


class StallBehindComments(Service):
    """FAULT. The generation stalls for ever after 8 tokens, while comments keep the connection warm."""

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)
        await writer.head()
        await writer.send(chat.role())
        await self.tokens(chat, writer, 8)
        for _ in range(200):
            await asyncio.sleep(0.5)
            await writer.send(": keepalive\n\n")
        writer.keep_alive = False


class UsageQuirk(Service):
    """QUIRK. The usage is in a chunk with a choice; or, `content`: the finish reason comes with the last token."""

    def __init__(self, mode: str = "choice") -> None:
        self._mode = mode

    async def stream(self, request: Request, writer: Writer) -> None:
        chat = Chat(request)
        await writer.head()
        await writer.send(chat.role())
        await self.tokens(chat, writer, chat.tokens - 1)
        await asyncio.sleep(GAP_S)
        last = {"content": word(chat.tokens - 1)}
        if self._mode == "content":
            await writer.send(chat.delta(last, chat.finish))
            usage = chat.chunk([], usage=chat.usage())
        else:
            await writer.send(chat.delta(last))
            await writer.send(chat.delta({}, chat.finish))
            usage = chat.chunk([{"index": 0, "delta": {}}], usage=chat.usage())
        await writer.send((usage if chat.wants_usage else "") + event("[DONE]"))
        await writer.end()


class TransferEncodingTwice(Service):
    """FAULT. A second Transfer-Encoding field stands beside `chunked`: again chunked, or identity."""

    def __init__(self, second: str = "chunked") -> None:
        self._second = second

    async def stream(self, request: Request, writer: Writer) -> None:
        await super().stream(request, _OneMoreField(writer, f"Transfer-Encoding: {self._second}"))


class _OneMoreField(Writer):
    """The writer of a head with one field more."""

    def __init__(self, writer: Writer, line: str) -> None:
        self.__dict__ = writer.__dict__
        self._line = line

    async def head(
        self, status: str = "200 OK", media_type: str = "text/event-stream", body: bytes | None = None, *extra: str
    ) -> None:
        await super().head(status, media_type, body, self._line, *extra)


class OneBehind(Relay):
    """FAULT. The relay keeps the last write until the next one pushes it out."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            if held:
                await writer.send(held)
            held = piece
        await writer.send(held)


class BlocksDecodedAlone(Relay):
    """FAULT. The relay decodes blocks of `size` bytes alone, so that a character on a boundary becomes U+FFFD."""

    def __init__(self, upstream: str, size: int = 37) -> None:
        super().__init__(upstream)
        self._size = size

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        async for piece in pieces:
            for at in range(0, len(piece), self._size):
                await writer.send(piece[at : at + self._size].decode("utf-8", "replace"))


class Mortal(Service):
    """FAULT. A request with a body that is no JSON ends the process: no connection is accepted after it."""

    async def respond(self, request: Request, writer: Writer) -> None:
        if request.raw and request.body is None:
            self.server.close()
            writer.keep_alive = False
        else:
            await super().respond(request, writer)
