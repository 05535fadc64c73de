"""What an attack is: bytes to begin with, bytes to repeat, and the outcomes that are right for it."""

import gzip
import importlib
import pkgutil
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

BLOCK: Final = 64 * 1024
SSE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN: Final = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE: Final = b"data: [DONE]\n\n"
GOOD: Final = SSE + TOKEN * 5 + DONE
STATUS: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n"
RUNNING: Final = b"vllm:num_requests_running"
STATUS_GOOD: Final = STATUS + RUNNING + b" 3\nvllm:num_requests_waiting 1\n"
DRIP_S: Final = 0.05


class Family(StrEnum):
    """What the endpoint speaks."""

    HTTP1 = "HTTP/1.1"
    TLS = "TLS"  # the attack comes in place of a handshake
    HTTP2 = "HTTP/2"  # without TLS: the attack comes after the client's preface


@dataclass(frozen=True)
class Attack:
    """`start`, then `repeat` again and again with pauses of `every_s`, until the client has had enough.

    Without `repeat` the connection is closed, or stays open in silence where it `stays`.
    """

    outcomes: frozenset[str]
    """Of a client that reads the stream: each is right, whatever arrives first."""
    start: bytes = b""
    repeat: bytes = b""
    every_s: float = 0.0
    stays: bool = False
    family: Family = Family.HTTP1


def ends(*outcomes: str) -> frozenset[str]:
    return frozenset(outcomes)


def flood(outcomes: frozenset[str], start: bytes, piece: bytes, family: Family = Family.HTTP1) -> Attack:
    """The same piece without an end, as fast as the client takes it."""
    return Attack(outcomes, start, piece * max(1, BLOCK // len(piece)), family=family)


def drip(outcomes: frozenset[str], start: bytes, piece: bytes, family: Family = Family.HTTP1) -> Attack:
    """The same piece without an end, so slowly that no limit of size helps."""
    return Attack(outcomes, start, piece, every_s=DRIP_S, family=family)


def coded(coding: bytes, body: bytes = b"") -> bytes:
    """An event stream with this Content-Encoding."""
    return SSE[:-2] + b"Content-Encoding: " + coding + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def said(**fields: str) -> bytes:
    """A chat chunk with these fields of raw JSON."""
    choice = ",".join(f'"{name}":{value}' for name, value in fields.items())
    return b'data: {"choices":[{"index":0,' + choice.encode() + b"}]}\n\n"


@cache
def gzip_bomb(size: int) -> bytes:
    # The best compression: 20 MB fit into one read, so that the limit of inflating is the first one that it reaches.
    return gzip.compress(TOKEN + b"\n" * size, 9)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
# :status 200 of the static table, then content-type as a literal with an indexed name (RFC 7541 section 6.2.2).
OK_FIELDS: Final = b"\x88\x0f\x10\x11text/event-stream"
H2_BEGIN: Final = frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0)
H2_HEAD: Final = H2_BEGIN + frame(HEADERS, END_HEADERS, 1, OK_FIELDS)
H2_GOOD: Final = H2_HEAD + frame(DATA, END_STREAM, 1, TOKEN * 5 + DONE)


@cache
def attacks() -> dict[str, Attack]:
    """Every attack by the name of its file."""
    from tests.hostile import attacks as package

    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: importlib.import_module(f"{package.__name__}.{name}").ATTACK for name in names}
