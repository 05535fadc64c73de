"""The server: routes, validation, and the start of each stream."""

import asyncio
import hmac
import time

from mock_provider import faults
from mock_provider.compose import Stream, compose, compose_whole, request_id
from mock_provider.config import MockConfig
from mock_provider.connection import Connection
from mock_provider.control import Control
from mock_provider.dialects import DIALECTS
from mock_provider.dialects.base import Ask, Dialect, Refusal
from mock_provider.directive import DirectiveError, find_directive
from mock_provider.gates import Gates
from mock_provider.http import Reply, Request, json_reply
from mock_provider.ledger import EndKind, Ledger
from mock_provider.plan import resolve
from mock_provider.player import Player
from mock_provider.timing import Timeline

_DIALECT_ROUTES: dict[str, dict[str, Dialect]] = {}
for _dialect in DIALECTS:
    for _method, _path in _dialect.routes:
        _DIALECT_ROUTES.setdefault(_path, {})[_method] = _dialect
_FIXED_ROUTES = {"/health": "GET", "/v1/models": "GET"}


class Server:
    """One mock provider; `start` and `stop` belong to one event loop."""

    def __init__(self, config: MockConfig) -> None:
        self._config = config
        self._server_faults = frozenset(faults.parse(spec).fault.name for spec in config.faults)
        self._ledger = Ledger(config.ledger_size)
        self._gates = Gates()
        self._control = Control(self._ledger, self._gates, config.control_token)
        self._listener: asyncio.Server | None = None
        self.connections: set[Connection] = set()

    async def start(self) -> str:
        """Listen; returns the base URL. OSError when the port can't be had."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self), self._config.host, self._config.port, backlog=4_096
        )
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and cut every connection."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.stop()
        await asyncio.sleep(0)

    def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request, now or in time."""
        if request.path.startswith("/_mock/"):
            answer = self._control.handle(request, connection.peer_host)
            if isinstance(answer, Reply):
                connection.reply(answer)
            else:
                connection.reply_later(answer)
            return
        methods = _DIALECT_ROUTES.get(request.path)
        if methods is not None and request.method in methods:
            self._stream(request, methods[request.method], connection)
            return
        connection.reply(self._other(request, list(methods) if methods is not None else None))

    def _other(self, request: Request, allowed: list[str] | None) -> Reply:
        if request.path in _FIXED_ROUTES:
            allowed = [_FIXED_ROUTES[request.path]]
            if request.method in allowed:
                return self._health() if request.path == "/health" else self._models(request)
        if allowed is None:
            known = ", ".join([*_DIALECT_ROUTES, *_FIXED_ROUTES])
            message = f"no such path: {request.path[:200]}; there are {known} and /_mock/"
            return json_reply(404, {"error": {"message": message, "type": "not_found"}})
        message = f"{request.method} is not allowed here; use {' or '.join(allowed)}"
        reply = json_reply(405, {"error": {"message": message, "type": "method_not_allowed"}})
        if "no-allow" not in self._server_faults:
            reply.headers.append(("Allow", ", ".join(allowed)))
        return reply

    def _health(self) -> Reply:
        return json_reply(200, {"status": "ok"})

    def _models(self, request: Request) -> Reply:
        try:
            self._authenticate(request)
        except Refusal as refusal:
            return _refusal_reply(refusal, _DIALECT_ROUTES["/v1/chat/completions"]["POST"])
        models = self._config.models or ("mock-1",)
        data = [{"id": model, "object": "model", "created": 0, "owned_by": "mock_provider"} for model in models]
        return json_reply(200, {"object": "list", "data": data})

    def _authenticate(self, request: Request) -> None:
        if self._config.api_key is None:
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), self._config.api_key.encode()):
            raise Refusal(401, "missing or wrong API key", kind="auth", code="invalid_api_key")

    def _stream(self, request: Request, dialect: Dialect, connection: Connection) -> None:
        try:
            self._authenticate(request)
            ask = self._read(request, dialect)
            stream = self._planned(request, dialect, ask)
        except Refusal as refusal:
            connection.reply(_refusal_reply(refusal, dialect))
            return
        plan = stream.plan
        composition = compose(stream) if ask.stream else compose_whole(stream)
        entry = self._ledger.open(
            id=plan.id,
            method=request.method,
            path=request.path,
            dialect=dialect.name,
            http_version=request.http_version,
            prompt=ask.prompt,
            faults=[fault.fault.name for fault in plan.faults],
            script=plan.script,
            tokens_planned=plan.tokens,
            arrival_ns=request.arrival_ns,
        )

        def ended(player: Player, end: EndKind) -> None:
            self._ledger.close(player.entry, time.time_ns(), end)
            connection.stream_ended(end)

        player = Player(
            loop=asyncio.get_running_loop(),
            outlet=connection,
            entry=entry,
            actions=composition.actions,
            timeline=Timeline(plan.ttft, plan.itl, plan.seed),
            gate=self._gates.get(plan.id) if plan.script == "lockstep" else None,
            heartbeat=composition.heartbeat,
            heartbeat_ns=plan.heartbeat_ns,
            arrival_monotonic_ns=request.arrival_monotonic_ns,
            status=composition.status,
            on_disconnect=self._config.on_disconnect,
            on_end=ended,
        )
        connection.play(player)

    def _read(self, request: Request, dialect: Dialect) -> Ask:
        try:
            return dialect.read(request, self._config.models)
        except Refusal as refusal:
            swallowed = {"malformed": "ok-on-bad-json", "invalid": "no-validation"}.get(refusal.kind)
            if swallowed in self._server_faults:
                return Ask("")
            raise

    def _planned(self, request: Request, dialect: Dialect, ask: Ask) -> Stream:
        features = dialect.features
        if ask.stream:
            features |= {"stream"}
        if request.http_version == "1.1":
            features |= {"http/1.1"}
        try:
            plan = resolve(
                find_directive(ask.prompt),
                self._config,
                features=features,
                dialect_heartbeat_ns=dialect.heartbeat_ns,
                max_tokens=ask.max_tokens,
            )
        except DirectiveError as error:
            raise Refusal(400, str(error), code="mock_directive") from None
        return Stream(request, dialect, ask, plan, dialect.encoder(ask, plan))


def _refusal_reply(refusal: Refusal, dialect: Dialect) -> Reply:
    content_type, body = dialect.error(refusal.status, refusal.message, param=refusal.param, code=refusal.code)
    reply = Reply(refusal.status, body, content_type, [("X-Request-Id", request_id())])
    if refusal.status == 401:
        reply.headers.append(("WWW-Authenticate", "Bearer"))
    return reply
