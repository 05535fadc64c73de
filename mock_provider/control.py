"""The control API under `/_mock/`: the ledger, the clock, and the releases of lockstep streams, as JSON."""

import asyncio
import hmac
import ipaddress
import re
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from streamgauge.mock_provider.door import LONGEST_S, Door
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.gates import Gates
from streamgauge.mock_provider.http import Reply, Request, json_reply
from streamgauge.mock_provider.ledger import Ledger

SCHEMA = 1
LONGEST_WAIT_S = 60.0
MOST_STEPS = 10_000_000
_STREAM_PATH = re.compile(r"/_mock/streams/([A-Za-z0-9._-]{1,64})(/release)?", re.ASCII)
_LISTINGS = {
    "/_mock/clock": "GET",
    "/_mock/streams": "GET",
    "/_mock/summary": "GET",
    "/_mock/export": "GET",
    "/_mock/faults": "GET",
    "/_mock/reset": "POST",
    "/_mock/refuse": "POST",
    "/_mock/accept": "POST",
}


class _ArgumentError(ValueError):
    """A query argument with a wrong value."""


class Control:
    """Answers requests below `/_mock/`; a reply that must wait is a coroutine, an export is an async iterator."""

    def __init__(self, ledger: Ledger, gates: Gates, token: str | None, door: Door | None = None) -> None:
        self._ledger, self._gates, self._token, self._door = ledger, gates, token, door

    def handle(
        self, request: Request, peer_host: str, *, trusted: bool = False
    ) -> Reply | Coroutine[Any, Any, Reply] | AsyncIterator[bytes]:
        """The reply to `request` from `peer_host`, or the lines of an NDJSON answer."""
        refusal = None if trusted else self._refuse_stranger(request, peer_host)
        if refusal is not None:
            return refusal
        try:
            stream_path = _STREAM_PATH.fullmatch(request.path)
            if stream_path is not None:
                return self._stream(request, stream_path[1], release=stream_path[2] is not None)
            if request.path == "/_mock/export" and request.method == "GET":
                return self._export(_integer(request, "since", 0))
            return self._listing(request)
        except _ArgumentError as error:
            return _error(400, str(error))

    def _refuse_stranger(self, request: Request, peer_host: str) -> Reply | None:
        if self._token is None:
            if _is_loopback(peer_host):
                return None
            return _error(
                403,
                "the control API answers only this machine; for others start the mock with --control-token",
            )
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        reply = _error(401, "the control API needs Authorization: Bearer with the token of --control-token")
        reply.headers.append(("WWW-Authenticate", "Bearer"))
        return reply

    def _listing(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        allowed = _LISTINGS.get(request.path)
        if allowed is None:
            known = ", ".join([*_LISTINGS, "/_mock/streams/{id}", "/_mock/streams/{id}/release"])
            return _error(404, f"no such path; there are {known}")
        if request.method != allowed:
            return _not_allowed(allowed)
        match request.path:
            case "/_mock/clock":
                return json_reply(200, {"realtime_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()})
            case "/_mock/summary":
                return json_reply(200, {"schema": SCHEMA, **self._ledger.totals()})
            case "/_mock/faults":
                return json_reply(200, {"schema": SCHEMA, "faults": fault_list()})
            case "/_mock/reset":
                self._ledger.reset()
                self._gates.reset()
                return json_reply(200, {"schema": SCHEMA, "reset": True})
            case "/_mock/refuse" | "/_mock/accept":
                return self._move_door(request)
        limit, since = _integer(request, "limit", 100), _integer(request, "since", 0)
        streams = [entry.summary() for entry in self._ledger.newest(limit, since)]
        return json_reply(200, {"schema": SCHEMA, "streams": streams})

    def _move_door(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Refuse new connections for a while, or take them again."""
        if self._door is None:
            return _error(409, "only a mock of one worker on a TCP port can refuse connections")
        if request.path == "/_mock/accept":
            return self._accept(self._door)
        seconds = _seconds(request, "seconds", most=LONGEST_S)
        self._door.refuse(seconds)
        return json_reply(200, {"schema": SCHEMA, "refusing_s": seconds})

    async def _accept(self, door: Door) -> Reply:
        try:
            await door.open()
        except OSError as error:
            return _error(409, f"the port cannot be opened again: {error.strerror or error}")
        return json_reply(200, {"schema": SCHEMA, "refusing_s": 0})

    async def _export(self, since: int) -> AsyncIterator[bytes]:
        for entry in self._ledger.after(since):
            text = ""
            for piece in entry.pieces():
                if text:
                    yield text.encode()
                text = piece
            yield f"{text}\n".encode()

    def _stream(self, request: Request, stream_id: str, *, release: bool) -> Reply | Coroutine[Any, Any, Reply]:
        if release:
            if request.method != "POST":
                return _not_allowed("POST")
            if request.argument("upto") is None:
                raise _ArgumentError(
                    "expected ?upto=K: it releases steps 0 to K-1; step k is token k, then comes the end"
                )
            upto = _integer(request, "upto", 0)
            # Looked up before the release, which creates a gate for every id.
            known = bool(self._ledger.find(stream_id))
            return json_reply(200, {"released": self._gates.release(stream_id, upto), "known": known})
        if request.method != "GET":
            return _not_allowed("GET")
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


def _not_allowed(method: str) -> Reply:
    reply = _error(405, f"use {method}")
    reply.headers.append(("Allow", method))
    return reply


def _integer(request: Request, name: str, default: int) -> int:
    value = request.argument(name)
    if value is None:
        return default
    if not re.fullmatch(r"\d{1,8}", value, re.ASCII) or int(value) > MOST_STEPS:
        raise _ArgumentError(f"{name}: expected a whole number of 0 to {MOST_STEPS}, got {value[:40]!r}")
    return int(value)


def _seconds(request: Request, name: str, *, most: float) -> float:
    text = request.argument(name) or ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise _ArgumentError(f"{name}: expected seconds from 0 to {most:g}, got {text[:40]!r}")
    return seconds


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
