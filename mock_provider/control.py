"""The control API under `/_mock/`: the ledger, the clock, and the releases of lockstep streams, as JSON."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from streamgauge.mock_provider import control_guard
from streamgauge.mock_provider.door import LONGEST_S, Door
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.fleet.front import Front
from streamgauge.mock_provider.gates import Gates
from streamgauge.mock_provider.http import Reply, Request, json_reply
from streamgauge.mock_provider.ledger import Ledger
from streamgauge.mock_provider.routes import Routes

SCHEMA = 1
LONGEST_WAIT_S = 60.0
MOST_STEPS = 10_000_000
# A reply that must wait is a coroutine; the lines of an NDJSON answer are an async iterator.
Answer = Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]
_STREAM_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class _RefusalError(ValueError):
    """A request that gets an error reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answers requests below `/_mock/`; `control_guard` says who may send them."""

    def __init__(self, ledger: Ledger, gates: Gates, token: str | None, front: Front, door: Door | None = None) -> None:
        self._ledger, self._gates, self._token, self._front, self._door = ledger, gates, token, front, door
        self._routes: Routes[Callable[[Request], Answer]] = Routes()
        for method, path, handler in (
            ("GET", "/_mock/clock", self._clock),
            ("GET", "/_mock/streams", self._streams),
            ("GET", "/_mock/summary", self._summary),
            ("GET", "/_mock/export", self._export),
            ("GET", "/_mock/faults", self._faults),
            ("GET", "/_mock/fleet", self._fleet),
            ("POST", "/_mock/fleet", self._configure_fleet),
            ("GET", "/_mock/streams/{id}", self._stream),
            ("POST", "/_mock/streams/{id}/release", self._release),
            ("POST", "/_mock/reset", self._reset),
            ("POST", "/_mock/refuse", self._refuse),
            ("POST", "/_mock/accept", self._accept),
        ):
            self._routes.add(method, path, handler)

    def handle(self, request: Request, peer_host: str | None, *, trusted: bool = False) -> Answer:
        """The answer to `request` from `peer_host` (None: a Unix socket); `trusted` is another worker of this mock."""
        refusal = None if trusted else control_guard.refusal(request, peer_host, self._token)
        if refusal is not None:
            return refusal
        found = self._routes.find(request.path)
        if found is None:
            return _error(404, f"no such path; there are {', '.join(self._routes.paths)}")
        methods, request.places = found
        if request.method not in methods:
            return _not_allowed(list(methods))
        if request.method != "GET" and not trusted and (refusal := control_guard.refuse_form(request)) is not None:
            return refusal
        try:
            return methods[request.method](request)
        except _RefusalError as error:
            return _error(error.status, str(error))

    def _clock(self, _: Request) -> Reply:
        return json_reply(200, {"realtime_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()})

    def _streams(self, request: Request) -> Reply:
        limit, since = _integer(request, "limit", 100), _integer(request, "since", 0)
        streams = [entry.summary() for entry in self._ledger.newest(limit, since)]
        return json_reply(200, {"schema": SCHEMA, "streams": streams})

    def _summary(self, _: Request) -> Reply:
        return json_reply(200, {"schema": SCHEMA, **self._ledger.totals()})

    def _faults(self, _: Request) -> Reply:
        return json_reply(200, {"schema": SCHEMA, "faults": fault_list()})

    def _fleet(self, _: Request) -> Reply:
        return json_reply(200, {"schema": SCHEMA, **self._front.state()})

    def _configure_fleet(self, request: Request) -> Reply:
        """Change settings of the fleet while it runs."""
        try:
            self._front.configure({name: values[0] for name, values in request.query.items()})
        except ValueError as error:
            raise _RefusalError(400, str(error)) from None
        return self._fleet(request)

    def _reset(self, _: Request) -> Reply:
        self._ledger.reset()
        self._gates.reset()
        return json_reply(200, {"schema": SCHEMA, "reset": True})

    def _refuse(self, request: Request) -> Reply:
        """Refuse new connections for a while."""
        door, seconds = self._movable_door(), _seconds(request, "seconds", most=LONGEST_S)
        door.refuse(seconds)
        return json_reply(200, {"schema": SCHEMA, "refusing_s": seconds})

    def _accept(self, _: Request) -> Coroutine[Any, Any, Reply]:
        """Take new connections again."""
        return self._open(self._movable_door())

    async def _open(self, door: Door) -> Reply:
        try:
            await door.open()
        except OSError as error:
            return _error(409, f"the port cannot be opened again: {error.strerror or error}")
        return json_reply(200, {"schema": SCHEMA, "refusing_s": 0})

    def _movable_door(self) -> Door:
        if self._door is None:
            raise _RefusalError(409, "only a mock of one worker on a TCP port can refuse connections")
        return self._door

    def _export(self, request: Request) -> AsyncIterator[bytes]:
        return self._lines(_integer(request, "since", 0))

    async def _lines(self, since: int) -> AsyncIterator[bytes]:
        for entry in self._ledger.after(since):
            text = ""
            for piece in entry.pieces():
                if text:
                    yield text.encode()
                text = piece
            yield f"{text}\n".encode()

    def _release(self, request: Request) -> Reply:
        stream_id = _stream_id(request)
        if request.argument("upto") is None:
            raise _RefusalError(
                400, "expected ?upto=K: it releases steps 0 to K-1; step k is token k, then comes the end"
            )
        upto = _integer(request, "upto", 0)
        # Looked up before the release, which creates a gate for every id.
        known = bool(self._ledger.find(stream_id))
        return json_reply(200, {"released": self._gates.release(stream_id, upto), "known": known})

    def _stream(self, request: Request) -> Coroutine[Any, Any, Reply]:
        stream_id = _stream_id(request)
        if request.argument("wait") is None:
            return self._entries(stream_id)
        return self._entries_when_ended(stream_id, _seconds(request, "wait", most=LONGEST_WAIT_S))

    async def _entries_when_ended(self, stream_id: str, wait_s: float) -> Reply:
        await self._ledger.ended(stream_id, wait_s)
        return await self._entries(stream_id)

    async def _entries(self, stream_id: str) -> Reply:
        entries = self._ledger.find(stream_id)
        if not entries:
            return _error(404, f"no stream with id {stream_id!r} is in the ledger; /_mock/streams lists them")
        pieces = [f'{{"schema": {SCHEMA}, "id": "{stream_id}", "count": {len(entries)}, "streams": [']
        for index, entry in enumerate(entries):
            pieces.append(", " if index else "")
            for piece in entry.pieces():
                pieces.append(piece)
                await asyncio.sleep(0)  # running streams go first: their times are what is measured
        return Reply(200, "".join([*pieces, "]}"]).encode())


def fault_list() -> list[dict[str, Any]]:
    """Every fault as the API and `--list-faults` show it."""
    return [
        {
            "name": fault.name,
            "usage": fault.usage,
            "sentence": fault.sentence,
            "level": fault.level,
            "trips": list(fault.trips),
            "needs": sorted(fault.needs),
            "server_wide": fault.server_wide,
        }
        for fault in FAULTS.values()
    ]


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"error": {"message": message}})


def _not_allowed(methods: list[str]) -> Reply:
    reply = _error(405, f"use {' or '.join(methods)}")
    reply.headers.append(("Allow", ", ".join(methods)))
    return reply


def _stream_id(request: Request) -> str:
    stream_id = request.places["id"]
    if not _STREAM_ID.fullmatch(stream_id):
        raise _RefusalError(404, "no stream has such an id: expected 1 to 64 letters, digits, '.', '_' or '-'")
    return stream_id


def _integer(request: Request, name: str, default: int) -> int:
    value = request.argument(name)
    if value is None:
        return default
    if not re.fullmatch(r"\d{1,8}", value, re.ASCII) or int(value) > MOST_STEPS:
        raise _RefusalError(400, f"{name}: expected a whole number of 0 to {MOST_STEPS}, got {value[:40]!r}")
    return int(value)


def _seconds(request: Request, name: str, *, most: float) -> float:
    text = request.argument(name) or ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise _RefusalError(400, f"{name}: expected seconds from 0 to {most:g}, got {text[:40]!r}")
    return seconds
