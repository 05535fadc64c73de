"""A SignalR hub in pure Python: negotiate, the event stream, the POSTs. A test writes what its method does."""

import itertools
import json
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

NEGOTIATED: Final = {
    "negotiateVersion": 1,
    "connectionId": "shown",
    "connectionToken": "to/ken+0",  # each connection gets a number of its own
    "availableTransports": [{"transport": "ServerSentEvents", "transferFormats": ["Text"]}],
}
ACCEPTED: Final = {}


class Do(Enum):
    """Steps besides messages (dict), items (str), raw bytes of the event stream, and pauses in s (float)."""

    CUT = "close the connection without the last chunk"
    END = "end the body"
    SILENCE = "say nothing until the client leaves or cancels"


Step = str | dict[str, Any] | bytes | float | Do
COMPLETION: Final = {"type": 3, "invocationId": "0"}
CLOSE: Final = {"type": 7}


class Script(NamedTuple):
    """What the hub does: its answer to `negotiate`, to the handshake (None: nothing), and to an invocation."""

    method: Sequence[Step] = ("Hel", "lo", COMPLETION)
    negotiated: Any = NEGOTIATED
    status: int = 200
    handshake: Sequence[Step] = (ACCEPTED,)
    posts: dict[str, int] = {}  # noqa: RUF012 - by what is posted: its status; 0: no answer
    stream_status: int = 200
    stream_headers: dict[str, str] = {"Content-Type": "text/event-stream"}  # noqa: RUF012


class Hub(NamedTuple):
    """A running hub: the requests that it got, with their headers, and the arguments of each invocation."""

    url: str
    requests: list[tuple[str, str, dict[str, str]]]
    invocations: list[dict[str, Any]]
    cancelled: threading.Event


@contextmanager
def hub(script: Script = Script()) -> Iterator[Hub]:  # noqa: B008 - a value
    stopped = threading.Event()
    state = Hub("", [], [], threading.Event())

    class Handler(_Handler):
        played, running, stop, connections, numbers = script, state, stopped, {}, itertools.count(1)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state._replace(url=f"http://127.0.0.1:{server.server_port}/hub")
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    played: Script
    running: Hub
    stop: threading.Event
    connections: dict[str, queue.Queue[Step]]  # by token: what is to be sent
    numbers: Iterator[int]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path.endswith("/negotiate"):
            given = self.played.negotiated
            if given is NEGOTIATED:
                given = {**given, "connectionToken": f"to/ken+{next(self.numbers)}"}
                self.connections[given["connectionToken"]] = queue.Queue()
            self._answer(self.played.status, json.dumps(given).encode())
            return
        inbox = self._inbox()
        if inbox is None:
            self._answer(404, b"No Connection with that ID")
            return
        what = "handshake"
        for record in body.decode().split("\x1e")[:-1]:
            message = json.loads(record)
            what = {4: "invocation", 5: "cancel"}.get(message.get("type"), "handshake")
            if what == "invocation":
                self.running.invocations.append(message)
            elif what == "cancel":
                self.running.cancelled.set()
        status = self.played.posts.get(what, 200)
        if status == 200:
            for step in {"handshake": self.played.handshake, "invocation": self.played.method}.get(what, ()):
                inbox.put(step)
        if status:
            self._answer(status, b"")
        else:
            for step in self.played.method:
                inbox.put(step)
            self.stop.wait(20)

    def do_GET(self) -> None:
        self._note()
        inbox = self._inbox()
        if inbox is None:
            self._answer(404, b"No Connection with that ID")
            return
        self.send_response(self.played.stream_status)
        for name, value in {**self.played.stream_headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        self._chunk(b":\r\n")
        with suppress(OSError, queue.Empty):
            while self._play(inbox.get(timeout=20)):
                pass
        self.close_connection = True

    def _play(self, step: Step) -> bool:
        if isinstance(step, float):
            self.stop.wait(step)
        elif step is Do.SILENCE:
            self.stop.wait(20)
            return False
        elif step is Do.END:
            self.wfile.write(b"0\r\n\r\n")
            return False
        elif step is Do.CUT:
            return False
        elif isinstance(step, bytes):
            self._chunk(step)
        else:
            message = {"type": 2, "invocationId": "0", "item": step} if isinstance(step, str) else step
            self._chunk(b"data: " + json.dumps(message, separators=(",", ":")).encode() + b"\x1e\r\n\r\n")
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _inbox(self) -> queue.Queue[Step] | None:
        return self.connections.get(parse_qs(urlsplit(self.path).query)["id"][0])

    def _note(self) -> None:
        self.running.requests.append((self.command, self.path, dict(self.headers)))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
