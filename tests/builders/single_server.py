"""A model server that takes one request at a time, as one thread of http.server does. Its openai-chat is correct."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

TOKENS: Final = 20
JSON_ERROR: Final = {"error": {"message": "the request is not valid", "type": "invalid_request_error"}}


class Model(NamedTuple):
    """How fast the model is. `stubborn`: it works on to the end when its client has left. Durations are in seconds."""

    first_s: float = 0.05
    gap_s: float = 0.02
    chars_per_s: float = 1e9
    stubborn: bool = False
    threads: bool = False


class Served(NamedTuple):
    """A running server, and the sizes of the prompts that it got."""

    url: str
    prompt_sizes: list[int]


@contextmanager
def serving(model: Model) -> Iterator[Served]:
    sizes: list[int] = []

    closing = threading.Event()

    class Handler(_Handler):
        pace, prompt_sizes, stopped = model, sizes, closing

    server = (ThreadingHTTPServer if model.threads else HTTPServer)(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.request_queue_size = 128
    server.server_bind()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}/v1/chat/completions", sizes)
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pace: Model
    prompt_sizes: list[int]
    stopped: threading.Event

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, value: object, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self._close()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _close(self) -> None:
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()

    def _refuse_method(self) -> None:
        self._answer(405, JSON_ERROR, Allow="POST")

    do_GET = do_HEAD = do_PUT = do_OPTIONS = _refuse_method  # noqa: N815 - names of http.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            asked = json.loads(body)
            prompt = "".join(message["content"] for message in asked["messages"])
        except (ValueError, KeyError, TypeError):
            self._answer(400, JSON_ERROR)
            return
        self.prompt_sizes.append(len(prompt))
        if not prompt.strip() or "json" not in (self.headers.get("Content-Type") or ""):
            self._answer(400, JSON_ERROR)
            return
        limit = asked.get("max_tokens")
        count = min(limit or TOKENS, TOKENS)
        self.stopped.wait(self.pace.first_s + len(prompt) / self.pace.chars_per_s)
        try:
            if asked.get("stream"):
                self._stream(asked, count, "length" if limit and limit <= TOKENS else "stop")
            else:
                self.stopped.wait(count * self.pace.gap_s)
                message = {"role": "assistant", "content": "word " * count}
                self._answer(200, {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                                   "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})  # fmt: skip
        except OSError:
            if self.pace.stubborn:
                self.stopped.wait(count * self.pace.gap_s)

    def _stream(self, asked: dict[str, Any], count: int, reason: str) -> None:
        self.send_response(200)
        for name, text in {"Content-Type": "text/event-stream", "Cache-Control": "no-cache",
                           "X-Accel-Buffering": "no"}.items():  # fmt: skip
            self.send_header(name, text)
        self.chunked = self.request_version == "HTTP/1.1"
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self._close()
        same = {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion.chunk", "created": 1, "model": "m"}

        def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
            return {**same, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        self._event(chunk({"role": "assistant", "content": ""}))
        for number in range(count):
            self._event(chunk({"content": f"w{number} "}))
            self.stopped.wait(self.pace.gap_s)
        self._event(chunk({}, reason))
        if (asked.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
            self._event({**same, "choices": [], "usage": usage})
        self._write(b"data: [DONE]\n\n")
        if self.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _event(self, value: object) -> None:
        self._write(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)
