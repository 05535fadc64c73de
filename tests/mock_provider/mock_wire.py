"""A client of bare sockets: what the wire carried, with nothing interpreted that a test wants to see."""

import json
import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx

from tests.builders.retries import count_retry

# One client for all tests: without certificates, which take 26 ms to load, and without kept connections, which could
# outlive their server.
HTTP = httpx.Client(verify=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

ROUTES = {
    "openai-chat": ("POST", "/v1/chat/completions"),
    "openai-completions": ("POST", "/v1/completions"),
    "json-string": ("GET", "/api/chat/stream"),
    "token-done": ("POST", "/api/chat/stream"),
    "event-text": ("POST", "/chat/stream"),
    "raw-text": ("GET", "/stream"),
    "event-json": ("GET", "/api/chat/events"),
    "plain-text": ("POST", "/plain"),
}


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    client = socket.create_connection((parts.hostname, parts.port), timeout=5)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def request_bytes(
    dialect: str,
    prompt: str,
    *,
    version: str = "1.1",
    headers: tuple[str, ...] = ("Connection: close",),
    stream: bool = True,
    **fields: object,
) -> bytes:
    method, path = ROUTES[dialect]
    if dialect.startswith("openai-"):
        turns = [{"role": "user", "content": prompt}]
        asked: dict[str, object] = {"messages": turns} if dialect == "openai-chat" else {"prompt": prompt}
        value: dict[str, object] = {**asked, "stream": stream}
        if stream:
            value["stream_options"] = {"include_usage": True}
        value |= fields
    else:
        value = {"message": prompt}
    body = json.dumps(value).encode() if method == "POST" else b""
    lines = [f"{method} {path}{'' if body else '?message=' + quote(prompt)} HTTP/{version}", "Host: mock", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_until(client: socket.socket, marker: bytes, data: bytes = b"", timeout_s: float = 5) -> bytes:
    """Everything up to and, perhaps, beyond the first `marker`."""
    client.settimeout(timeout_s)
    while marker not in data:
        piece = client.recv(65_536)
        if not piece:
            raise AssertionError(f"the end came before {marker!r}: {data!r}")
        data += piece
    return data


def read_to_end(client: socket.socket, data: bytes = b"", silence_s: float = 3) -> tuple[bytes, str]:
    """All bytes, and how they ended: "fin", "rst", or "open" after `silence_s` without any."""
    client.settimeout(silence_s)
    while True:
        try:
            piece = client.recv(65_536)
        except TimeoutError:
            return data, "open"
        except ConnectionResetError:
            return data, "rst"
        if not piece:
            return data, "fin"
        data += piece


@dataclass
class Answer:
    """A response; `end` is "fin", "rst" or "open", `whole` tells whether the last chunk came."""

    status: int
    head: list[str]
    chunks: list[bytes]
    rest: bytes
    whole: bool
    end: str

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks) if self.chunks else self.rest

    def header(self, name: str) -> list[str]:
        return [line.partition(": ")[2] for line in self.head if line.lower().startswith(f"{name.lower()}: ")]


def parse(raw: bytes, end: str) -> Answer:
    """Splits a response strictly; bytes that are no chunk stay in `rest`."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    chunks, whole = [], False
    if "transfer-encoding: chunked" in head.decode("latin-1").lower():
        while match := re.match(rb"([0-9a-f]+)\r\n", rest):
            size = int(match[1], 16)
            stop = match.end() + size
            if rest[stop : stop + 2] != b"\r\n":
                break
            if size:
                chunks.append(rest[match.end() : stop])
            rest = rest[stop + 2 :]
            if size == 0:
                whole = True
                break
    status = int(lines[0].split(" ")[1]) if raw else 0
    return Answer(status, lines, chunks, rest, whole, end)


def patience_s(request: bytes) -> float:
    """How long silence is borne: shorter where it is what the fault does, and its own end would never come."""
    return 0.5 if any(fault in request for fault in (b"stall", b"silent", b"no-answer")) else 5


def exchange(url: str, request: bytes) -> Answer:
    with connect(url) as client:
        client.sendall(request)
        return parse(*read_to_end(client, silence_s=patience_s(request)))


def steady(data: bytes) -> bytes:
    """Without what differs from one response to the next."""
    data = re.sub(rb"cmpl-[0-9a-f]{24}", b"cmpl-ID", data)
    data = re.sub(rb'("created": ?)\d+', rb"\g<1>0", data)
    return re.sub(rb"req_[0-9a-f]{24}", b"req_ID", data)


def wait_for(condition, timeout_s: float = 5):
    """Polls until `condition()` is true and returns its value."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)
    return value


def quietly(measure, expected, runs: int = 5):
    """What `measure` gives, once it is what is expected; else that of the last run.

    A busy machine makes a stream later and never earlier, so one quiet run is proof.
    """
    for _ in range(runs - 1):
        if (found := measure()) == expected:
            return found
        count_retry(f"{found!r} in place of {expected!r}"[:200])
    return measure()
