"""A well-behaved HTTP/1.1 server of streams, in a thread: `with Service() as url`. A case is a subclass."""

import asyncio
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

WORDS = (
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "the",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "make",
    "tea",
)
TOKENS = 20
FIRST_S, GAP_S = 0.15, 0.02
MOST_BODY_BYTES = 100_000

_numbers = itertools.count(1)


class ClientLeftError(Exception):
    """The client has closed the connection."""


@dataclass
class Request:
    """One request. `body` is None when it is not JSON."""

    method: str
    path: str
    version: str
    headers: dict[str, str]
    raw: bytes
    body: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        try:
            self.body = json.loads(self.raw)
        except ValueError:
            self.body = None

    @property
    def prompt(self) -> str | None:
        """The text of the last message, or the input."""
        if not isinstance(self.body, dict):
            return None
        messages, given = self.body.get("messages"), self.body.get("input")
        if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
            given = messages[-1].get("content")
            if isinstance(given, list):
                given = "".join(part.get("text", "") for part in given if isinstance(part, dict))
        return given if isinstance(given, str) else None

    @property
    def most_tokens(self) -> int | None:
        names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
        return next((self.body[name] for name in names if self.body.get(name)), None)

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))


class Writer:
    """Writes one response, a chunk for each `send`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: str) -> None:
        self._reader, self._writer = reader, writer
        self._watch: asyncio.Task[bytes] | None = None
        self._chunked = self.keep_alive = version == "HTTP/1.1"

    async def head(
        self, status: str = "200 OK", media_type: str = "text/event-stream", body: bytes | None = None, *extra: str
    ) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {media_type}",
            "Cache-Control: no-cache",
            "X-Accel-Buffering: no",
        ]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        else:
            lines.append("Transfer-Encoding: chunked" if self._chunked else "Connection: close")
        self._writer.write("\r\n".join([*lines, *extra, "", ""]).encode() + (body or b""))
        if body is None:  # a client that leaves shows itself as the end of what it sends
            self._watch = asyncio.ensure_future(self._reader.read(1))
        await self._writer.drain()

    async def send(self, data: str | bytes) -> None:
        """Raises ClientLeftError, and ConnectionError."""
        if self._watch is not None and self._watch.done():
            raise ClientLeftError
        content = data.encode() if isinstance(data, str) else data
        self._writer.write(b"%x\r\n%b\r\n" % (len(content), content) if self._chunked else content)
        await self._writer.drain()

    async def end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.sleep(0)  # else it would take the first byte of the next request
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


class Chat:
    """The chunks of one answer in the form of OpenAI's chat completions."""

    def __init__(self, request: Request, tokens: int = TOKENS) -> None:
        self._id, self._created = f"chatcmpl-{next(_numbers)}", int(time.time())
        self.wants_usage = request.wants_usage
        most = request.most_tokens
        self.tokens = tokens if most is None else min(most, tokens)
        self.finish = "stop" if self.tokens == tokens else "length"

    def chunk(self, choices: list[dict[str, Any]], **more: Any) -> str:
        envelope = {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": "m"}
        return event({**envelope, "choices": choices, **more})

    def delta(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        if self.wants_usage:
            more = {"usage": None, **more}
        return self.chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more)

    def usage(self) -> dict[str, int]:
        return {"prompt_tokens": 5, "completion_tokens": self.tokens, "total_tokens": 5 + self.tokens}

    def role(self) -> str:
        return self.delta({"role": "assistant", "content": ""})

    def token(self, number: int) -> str:
        return self.delta({"content": word(number)})

    def last(self) -> str:
        """What comes behind the last token, without [DONE]."""
        return self.delta({}, self.finish) + (self.chunk([], usage=self.usage()) if self.wants_usage else "")


def event(payload: Any, name: str | None = None) -> str:
    """An event with this name and JSON payload; a string stands for itself."""
    data = payload if isinstance(payload, str) else json.dumps(payload)
    return (f"event: {name}\n" if name else "") + f"data: {data}\n\n"


def word(number: int) -> str:
    return WORDS[number % len(WORDS)] + " "


class Service:
    """The server. `stream` writes a good answer; a subclass writes another."""

    path: ClassVar[str] = "/v1/chat/completions"

    def __enter__(self) -> str:
        """Start it; the URL of its endpoint."""
        started: threading.Event = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return f"http://127.0.0.1:{self.port}{self.path}"

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def stream(self, request: Request, writer: Writer) -> None:
        """A good answer: the first token after FIRST_S, then one every GAP_S."""
        chat = Chat(request)
        await writer.head()
        await writer.send(chat.role())
        await self.tokens(chat, writer)
        await writer.send(chat.last() + event("[DONE]"))
        await writer.end()

    async def tokens(self, chat: Chat, writer: Writer, tokens: int | None = None, first_s: float = FIRST_S) -> None:
        for number in range(chat.tokens if tokens is None else tokens):
            await asyncio.sleep(GAP_S if number else first_s)
            await writer.send(chat.token(number))

    def answer(self, request: Request) -> dict[str, Any]:
        """The answer that is not streamed."""
        chat = Chat(request)
        message = {"role": "assistant", "content": "".join(map(word, range(chat.tokens)))}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": chat.finish}
        return {"id": "chatcmpl-0", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                "usage": chat.usage()}  # fmt: skip

    # Inside.

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self.server = server = self._loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 22)
        )
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # a connection that was just accepted becomes a task
        while tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # closed transports let go of their sockets
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await read_request(reader)
                response = Writer(reader, writer, request.version)
                await self.respond(request, response)
                if not response.keep_alive:
                    break
        except (ClientLeftError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            writer.close()

    async def respond(self, request: Request, writer: Writer) -> None:
        """Stream, or refuse what a good server refuses."""
        refusal = self._refusal(request)
        if refusal is not None:
            status, message, *extra = refusal
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
            body = b"" if request.method == "HEAD" else json.dumps({"error": error}).encode()
            await writer.head(status, "application/json", body, *extra)
        elif not request.body.get("stream"):
            await writer.head("200 OK", "application/json", json.dumps(self.answer(request)).encode())
        else:
            await self.stream(request, writer)

    def _refusal(self, request: Request) -> tuple[str, ...] | None:
        if request.path.split("?")[0] != self.path:
            return "404 Not Found", "no such path"
        if request.method != "POST":
            return "405 Method Not Allowed", "POST only", "Allow: POST"
        if len(request.raw) > MOST_BODY_BYTES:
            return "413 Content Too Large", "too large"
        if "json" not in request.headers.get("content-type", ""):
            return "415 Unsupported Media Type", "send JSON"
        if not (request.prompt or "").strip():
            return "400 Bad Request", "no prompt"
        return None


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Raises IncompleteReadError when the connection ends before or in it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")
    method, path, version = line.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in fields if one)}
    return Request(method, path, version, headers, await reader.readexactly(int(headers.get("content-length", 0))))


class Relay(Service):
    """Passes requests on to an upstream. `relay` gets its body, a piece for each chunk."""

    def __init__(self, upstream: str) -> None:
        self._host, _, port = upstream.removeprefix("http://").partition(":")
        self._port = int(port)

    async def relay(self, pieces: "Pieces", writer: Writer) -> None:
        async for piece in pieces:
            await writer.send(piece)

    async def respond(self, request: Request, writer: Writer) -> None:
        reader, upstream = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        try:
            own = ("host", "connection", "content-length", "accept-encoding")
            fields = [f"{name}: {value}" for name, value in request.headers.items() if name not in own]
            lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {self._host}", "Connection: close",
                     f"Content-Length: {len(request.raw)}", *fields, "", ""]  # fmt: skip
            upstream.write("\r\n".join(lines).encode() + request.raw)
            line, *got = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in got if one)}
            status, media_type = line.split(" ", 1)[1], headers.get("content-type", "text/plain")
            pieces = Pieces(reader, headers)
            if "event-stream" in media_type:
                await writer.head(status, media_type)
                await self.relay(pieces, writer)
                await writer.end()
            else:
                body = b"" if request.method == "HEAD" else b"".join([piece async for piece in pieces])
                await writer.head(status, media_type, body)
        finally:
            upstream.close()


class Pieces:
    """A body as its chunks come in. Raises ConnectionError when it is cut."""

    def __init__(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
        self._reader = reader
        self._chunked = "chunked" in headers.get("transfer-encoding", "")
        self._length = None if "content-length" not in headers else int(headers["content-length"])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._chunked:
            size = int((await self._reader.readline()).split(b";")[0] or b"0", 16)
            piece = (await self._reader.readexactly(size + 2))[:-2]
        elif self._length is None:
            piece = await self._reader.read(65536)
        else:
            piece, self._length = await self._reader.readexactly(self._length), 0
        if not piece:
            raise StopAsyncIteration
        return piece
