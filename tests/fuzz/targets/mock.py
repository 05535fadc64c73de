"""The mock provider: its directives, and any bytes on a connection to it, control API included."""

import asyncio
import json
import socket
from contextlib import suppress
from functools import cache
from typing import Any, Final

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.connection import Connection
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.directive import Directive, DirectiveError, read_directive
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.loop import new_event_loop
from streamgauge.mock_provider.server import Server
from tests.fuzz.targets.choices import Target

_LOOK_S: Final = 0.02  # for an answer; a stream that is still running then is left
_GONE_S: Final = 20.0  # in which the mock must have noticed
_MOST_ANSWER: Final = 4 * 1024 * 1024


def directives(data: bytes) -> None:
    """A directive in a prompt or in header fields: settings of a stream, or the reason why not."""
    prompt, _, rest = data.decode("utf-8", "replace").partition("\0")
    directive, _, fault = rest.partition("\0")
    with suppress(DirectiveError):
        found = read_directive(prompt, {"x-mock-directive": directive, "x-mock-fault": fault})
        assert isinstance(found, Directive)
        repr(found)


class _Mock:
    """A mock in this thread, which talks on one pair of sockets at a time. Errors of its loop are kept."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self._loop = new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self._server = Server(MockConfig(tokens=3, ttft="0", itl="0", ledger_size=20))
        self._loop.run_until_complete(self._server.start())

    def answer(self, data: bytes) -> bytes:
        return self._loop.run_until_complete(self._answer(data))

    async def _answer(self, data: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        answer = b""
        with ours:
            await self._loop.connect_accepted_socket(lambda: Connection(self._server), theirs)
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._loop.sock_sendall(ours, data)
                    ours.shutdown(socket.SHUT_WR)
                    while len(answer) < _MOST_ANSWER and (part := await self._loop.sock_recv(ours, 65_536)):
                        answer += part
        async with asyncio.timeout(_GONE_S):
            while self._server.connections:
                await asyncio.sleep(0)
        return answer


@cache
def _mock() -> _Mock:
    return _Mock()


def mock(data: bytes) -> None:
    """On a connection to the mock, control API included: no error, and nothing is held when the client has gone."""
    mock = _mock()
    mock.errors.clear()
    answer = mock.answer(data)
    assert mock.errors == []
    assert b"the control API failed" not in answer


def _directives() -> list[bytes]:
    texts = [
        "id=a tokens=5 ttft=5ms itl=lognormal(20ms,0.5) seed=9",
        "script=lockstep text=cjk",
        'say="two words" finish=stop',
        "prefill=1ms trace=x tokens_per_event=2 events_per_write=3",
        "reasoning=4 tools=2 answer=refusal heartbeat=1s",
        *(f"fault={fault.usage}" for fault in FAULTS.values()),
    ]
    return [f"hi [[mock {text}]]".encode() for text in texts] + [f"\0{text}\0rst:3".encode() for text in texts[:3]]


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _requests() -> list[bytes]:
    control = [
        ("GET", "clock"), ("GET", "streams?limit=3&since=1"), ("GET", "streams/a?wait=0.01"), ("GET", "summary"),
        ("POST", "streams/a/release?upto=2"), ("GET", "export?since=1"), ("GET", "faults"), ("POST", "reset"),
        ("POST", "accept"), ("GET", "nothing"),
    ]  # fmt: skip
    value = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi [[mock id=a]]"}], "prompt": "x"}
    body = json.dumps(value).encode()
    routes = [(method, path) for dialect in DIALECTS for method, path in dialect.routes]
    return [_request(method, f"/_mock/{path}") for method, path in control] + [
        _request(method, path if method == "POST" else f"{path}?message=hi", body if method == "POST" else b"")
        for method, path in routes
    ]


_WORDS: Final = (
    b"[[mock ", b"]]", b"fault=", b"script=", b"tokens=", b"itl=", b"ttft=", b"id=", b"gamma(", b"say=",
    b"GET /_mock/", b"POST /_mock/", b"streams/a", b"/release?upto=", b"?wait=", b" HTTP/1.1\r\n",
    b"Host: localhost\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n",
    b"X-Mock-Directive: ", b"X-Mock-Fault: ",
)  # fmt: skip

DIRECTIVES: Final = Target(directives, _directives, _WORDS)
CONNECTIONS: Final = Target(mock, _requests, _WORDS, share=2, near=100)
