"""The server: routes requests, validates them, and starts a player for each stream."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count
from urllib.parse import urlsplit

from streamgauge.mock_provider import embeddings, faults
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.client_wait import enforce_timeouts
from streamgauge.mock_provider.compose import (
    ComposedStream,
    Composition,
    compose,
    compose_refused,
    compose_whole,
    request_id,
)
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.connection import Connection
from streamgauge.mock_provider.control import Control
from streamgauge.mock_provider.dialects import DIALECTS, openai_chat
from streamgauge.mock_provider.dialects.base import Dialect
from streamgauge.mock_provider.directive import Directive, DirectiveError, read_directive
from streamgauge.mock_provider.door import Door
from streamgauge.mock_provider.faults.base import Answer
from streamgauge.mock_provider.faults.errors import status_answer
from streamgauge.mock_provider.fleet.front import Front
from streamgauge.mock_provider.fleet.replica import Replica
from streamgauge.mock_provider.gates import Gates
from streamgauge.mock_provider.http import Reply, Request, json_reply
from streamgauge.mock_provider.ledger import EndKind, Entry, Ledger, digest
from streamgauge.mock_provider.listening import forget_ca, forget_socket, listen
from streamgauge.mock_provider.listings import LISTINGS, Listing
from streamgauge.mock_provider.plan import resolve, stopped
from streamgauge.mock_provider.player import Player
from streamgauge.mock_provider.quota import Quota
from streamgauge.mock_provider.received import received
from streamgauge.mock_provider.routes import Routes
from streamgauge.mock_provider.timers import Timers
from streamgauge.mock_provider.timing import Timeline, trace, unchanged
from streamgauge.mock_provider.workers import Worker

PROMPT_LIMIT = 500_000  # characters of the newest message
TARGET_LIMIT = 32_768  # bytes of a path with its query

_ROUTES: Routes[Dialect] = Routes()
for _dialect in DIALECTS:
    for _method, _path in _dialect.routes:
        _ROUTES.add(_method, _path, _dialect)


class Server:
    """One mock provider; `start` and `stop` belong to one event loop."""

    def __init__(self, config: MockConfig, worker: Worker | None = None) -> None:
        self._config = config
        active = map(faults.parse, config.faults)
        self._hooks = [fault.server(arg) for fault, arg in active if fault.server is not None]
        self._worker = worker
        self._ledger = Ledger(config.ledger_size, next_seq=worker.next_seq if worker is not None else None)
        self._gates = Gates()
        self._front = Front(config)
        self._quota = Quota(config.key_slots, config.key_rate)
        self._traces = {name: trace.load(path) for name, path in config.trace_files().items()}
        self._next_ordinal = worker.next_ordinal if worker is not None else count(1).__next__  # of requests for streams
        self._url = ""
        self._door = Door(self._open_port, lambda: self.connections)
        single = worker is None and config.listening.uds is None
        self._control = Control(
            self._ledger, self._gates, config.control_token, self._front, self._door if single else None
        )
        self._private: asyncio.AbstractServer | None = None
        self._timeouts: asyncio.Task[None] | None = None
        self.connections: set[Connection] = set()

    async def start(self) -> str:
        """Listen, and return the base URL. OSError if the address cannot be bound."""
        loop = asyncio.get_running_loop()
        self._timers = Timers(loop)
        try:
            return await self._listen(loop)
        except OSError:
            self._timers.close()
            forget_ca(self._config.listening)
            raise

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> str:
        listening = self._config.listening
        if listening.context is None:
            listening.prepare(self._config.host)
        await self._door.open()
        if self._worker is not None:
            self._private = await loop.create_unix_server(lambda: Connection(self, private=True), self._worker.socket)
        self._timeouts = loop.create_task(
            enforce_timeouts(lambda: self.connections, listening.request_ns, listening.idle_ns)
        )
        return self._url

    async def _open_port(self) -> asyncio.AbstractServer:
        """Listen, and keep the URL: with --port 0, the port is the same when it opens again."""
        config = self._config
        port = urlsplit(self._url).port if self._url and config.listening.uds is None else config.port
        listener, self._url = await listen(
            lambda: Connection(self), config.host, port or 0, config.listening, shared=self._worker is not None
        )
        return listener

    async def drain(self) -> None:
        """Take no new requests, and wait for running streams as long as `--drain` allows."""
        drain_ns = self._config.listening.drain_ns
        if drain_ns == 0:
            return
        self._door.close()
        for connection in list(self.connections):
            connection.drain()
        end_ns = time.monotonic_ns() + drain_ns if drain_ns is not None else None
        while self.connections and (end_ns is None or time.monotonic_ns() < end_ns):
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Close the port and cut every connection."""
        if self._timeouts is not None:
            self._timeouts.cancel()
        self._door.close()
        if self._private is not None:
            self._private.close()
        forget_socket(self._config.listening)
        forget_ca(self._config.listening)
        for connection in list(self.connections):
            connection.stop()
        self._timers.close()
        await asyncio.sleep(0)

    def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request, now or later."""
        if request.path.startswith("/_mock/"):
            connection.controls = True
            answer = self._control.handle(request, connection.peer_host, trusted=connection.private)
            if self._worker is not None and not connection.private:
                answer = self._worker.merged(request, answer)
            if isinstance(answer, Reply):
                connection.reply(answer)
            elif isinstance(answer, AsyncIterator):
                connection.export(answer)
            else:
                connection.reply_later(answer)
            return
        found = _ROUTES.find(request.path)
        if found is None:
            connection.reply(self._other(request, None))
            return
        methods, request.places = found
        for hook in self._hooks:
            hook.on_request(request)
        if request.method in methods:
            self._stream(request, methods[request.method].variant(request), connection)
        else:
            connection.reply(self._other(request, list(methods)))

    def _other(self, request: Request, allowed: list[str] | None) -> Reply:
        if request.path in embeddings.PATHS:
            allowed = ["POST"]
            if request.method in allowed:
                return self._embed(request)
        listing = LISTINGS.get(request.path)
        if listing is not None:
            allowed = ["GET"]
            if request.method in allowed:
                return self._list(request, listing)
        pages = self._front.pages
        if request.path in pages:
            allowed = list(pages[request.path])
            if request.method in allowed:
                return self._front.page(request.path)
        if allowed is None:
            known = ", ".join([*_ROUTES.paths, *LISTINGS, *embeddings.PATHS, *pages])
            message = f"no such path: {request.path[:200]}; there are {known} and /_mock/"
            return json_reply(404, {"error": {"message": message, "type": "not_found"}})
        message = f"{request.method} is not allowed here; use {' or '.join(allowed)}"
        reply = json_reply(405, {"error": {"message": message, "type": "method_not_allowed"}})
        reply.headers.append(("Allow", ", ".join(allowed)))
        for hook in self._hooks:
            hook.on_method_not_allowed(reply)
        return reply

    def _list(self, request: Request, listing: Listing) -> Reply:
        if listing.dialect is not None:
            try:
                self._authenticate(request, listing.dialect)
            except Refusal as refusal:
                return _refusal_reply(refusal, listing.dialect)
        return json_reply(200, listing.body(self._config.models or ("mock-1",)))

    def _embed(self, request: Request) -> Reply:
        try:
            self._authenticate(request, openai_chat.DIALECT)
            return embeddings.embeddings(request, self._config.models)
        except Refusal as refusal:
            return _refusal_reply(refusal, openai_chat.DIALECT)

    def _authenticate(self, request: Request, dialect: Dialect) -> None:
        key = self._config.api_key
        if key is not None and not hmac.compare_digest(dialect.credential(request).encode(), key.encode()):
            raise Refusal(401, "missing or wrong API key", kind="auth", code="invalid_api_key")

    def _stream(self, request: Request, dialect: Dialect, connection: Connection) -> None:
        outage = next((message for hook in self._hooks if (message := hook.outage())), None)
        if outage is not None:
            connection.reply(json_reply(500, {"error": {"message": outage}}))
            return
        ordinal = self._next_ordinal()
        try:
            self._authenticate(request, dialect)
            chat = self._chat_request(request, dialect)
            replica = self._front.route(request, ordinal)
            prefix = self._front.prefix(replica, request, chat) if replica is not None else None
            if prefix is not None:
                chat = chat.found_in_cache(prefix.tokens, prefix.cached)
            stream = self._planned(request, dialect, chat, replica, ordinal)
        except Refusal as refusal:
            connection.reply(_refusal_reply(refusal, dialect))
            return
        refuser = self._front.refuser(replica) if replica is not None else None
        if refuser == "gateway":  # no replica sees the request
            stream, replica = replace(stream, headers=()), None
        refused = self._refused(stream, no_place=refuser is not None)
        composition = refused or (compose(stream) if stream.chat.stream else compose_whole(stream))
        if refused is None and replica is not None and replica.cache is not None and prefix is not None:
            replica.cache.add(prefix)
        entry = self._entry(stream, replica)
        on_end = self._on_end(stream.user if refused is None else None, connection)
        connection.play(
            self._player(stream, composition, replica if refused is None else None, entry, connection, on_end)
        )

    def _chat_request(self, request: Request, dialect: Dialect) -> ChatRequest:
        try:
            chat = dialect.parse(request, self._config.models)
        except Refusal as refusal:
            if not any(hook.overlooks(refusal) for hook in self._hooks):
                raise
            chat = ChatRequest("")
        for hook in self._hooks:
            chat = hook.on_chat_request(chat)
        return chat

    def _refused(self, stream: ComposedStream, *, no_place: bool) -> Composition | None:
        """The answer in place of a stream that is too long or finds no place; None admits it, and counts it."""
        too_long = _too_long(stream) if all(hook.limits_input for hook in self._hooks) else None
        if too_long is not None:
            return compose_refused(stream, too_long)
        if no_place:
            return self._no_place(stream)
        if self._quota.admit(stream.user, stream.request.arrival_monotonic_ns):
            return None
        return compose_refused(stream, status_answer(self._status_when_full(429), stream))

    def _no_place(self, stream: ComposedStream) -> Composition:
        """The answer where no replica has a place, or the wait for a slot took too long."""
        fleet = self._front.settings
        status = self._status_when_full(fleet.refuse_status)
        return compose_refused(stream, status_answer(status, stream, retry_after_s=fleet.retry_after_s))

    def _status_when_full(self, status: int) -> int:
        for hook in self._hooks:
            status = hook.status_when_full(status)
        return status

    def _on_end(self, admitted: str | None, connection: Connection) -> Callable[[Player, EndKind, int], None]:
        """What happens at the end of a stream; `admitted` is the user whose quota it counts in."""

        def ended(player: Player, end: EndKind, end_ns: int) -> None:
            self._ledger.close(player.entry, end_ns, end)
            disconnected = end == "disconnected"
            for hook in self._hooks:
                hook.on_stream_end(disconnected=disconnected)
            if admitted is not None and all(hook.frees_slot(disconnected=disconnected) for hook in self._hooks):
                self._quota.leave(admitted)
            connection.stream_ended(end)

        return ended

    def _player(
        self,
        stream: ComposedStream,
        composition: Composition,
        replica: Replica | None,
        entry: Entry,
        connection: Connection,
        on_end: Callable[[Player, EndKind, int], None],
    ) -> Player:
        """The player of one stream; `replica` is None if it was refused, or without the model of a fleet."""
        plan, request = stream.plan, stream.request
        prefill_ns, stretch = plan.prefill_ns, unchanged
        if replica is not None:
            prefill_ns += replica.limits.prefill_ns(stream.chat.read_tokens)
            stretch = replica.stretch
        return Player(
            loop=asyncio.get_running_loop(),
            timers=self._timers,
            outlet=connection,
            entry=entry,
            actions=composition.actions,
            timeline=Timeline(plan.ttft, plan.itl, plan.seed, plan.id, prefill_ns=prefill_ns, stretch=stretch),
            replica=replica,
            refusal=lambda: self._no_place(stream),
            gate=self._gates.get(plan.id) if plan.script == "lockstep" else None,
            heartbeat=composition.heartbeat,
            heartbeat_ns=plan.heartbeat_ns,
            arrival_monotonic_ns=request.arrival_monotonic_ns,
            status=composition.status,
            on_disconnect=self._config.on_disconnect,
            half_close_silence_ns=max((hook.half_close_silence_ns or 0 for hook in self._hooks), default=0) or None,
            on_end=on_end,
        )

    def _entry(self, stream: ComposedStream, replica: Replica | None) -> Entry:
        plan, request = stream.plan, stream.request
        entry = self._ledger.open(
            id=plan.id,
            method=request.method,
            path=request.path,
            dialect=stream.dialect.name,
            http_version=request.http_version,
            prompt=stream.chat.prompt,
            faults=[fault.fault.name for fault in plan.faults],
            script=plan.script,
            tokens_planned=plan.tokens,
            arrival_ns=request.arrival_ns,
        )
        entry.resumed = stream.resumed
        entry.credential = digest(stream.dialect.credential(request))
        entry.prompt_tokens, entry.cached_tokens = stream.chat.prompt_tokens, stream.chat.cached_tokens
        entry.replica = replica.name if replica is not None else None
        entry.received = received(request)
        return entry

    def _planned(
        self, request: Request, dialect: Dialect, chat: ChatRequest, replica: Replica | None, ordinal: int
    ) -> ComposedStream:
        features = dialect.features
        if chat.stream:
            features |= {"stream"}
        features |= {f"http/{request.http_version}"}
        if dialect.newline == b"\n":
            features |= {"lf"}
        try:
            directive = read_directive(chat.prompt, request.headers)
            _check_expressible(directive, dialect)
            plan = resolve(
                directive,
                self._config,
                features=features,
                dialect_heartbeat_ns=dialect.heartbeat_ns,
                max_tokens=chat.max_tokens,
                ordinal=ordinal,
                prompt_tokens=chat.read_tokens,
                traces=self._traces,
                calls=chat.calls,
                tools=chat.tools,
                profile=dialect.profile,
            )
            plan = stopped(plan, chat.stop, directive.finish)
        except DirectiveError as error:
            raise Refusal(400, str(error), code="mock_directive") from None
        encoder = dialect.encoder(chat, plan)
        return ComposedStream(
            request, dialect, chat, plan, encoder, () if replica is None else self._front.headers(replica)
        )


def _too_long(stream: ComposedStream) -> Answer | None:
    """The refusal of a URL or a prompt above its limit; the ledger records it like a stream."""
    target, prompt = stream.request.target, stream.chat.prompt
    if len(target) > TARGET_LIMIT:
        message = f"the URL has {len(target)} bytes; expected at most {TARGET_LIMIT}"
        return Answer(414, *stream.error_reply(414, message, code="uri_too_long"))
    if len(prompt) > PROMPT_LIMIT:
        message = f"the prompt has {len(prompt)} characters; expected at most {PROMPT_LIMIT}"
        return Answer(400, *stream.error_reply(400, message, code="context_length_exceeded"))
    return None


def _check_expressible(directive: Directive, dialect: Dialect) -> None:
    options = {
        "reasoning": directive.reasoning,
        "tools": directive.tools,
        "refusal": directive.answer == "refusal",
        "profile": directive.profile,
    }
    for feature, wanted in options.items():
        if wanted and feature not in dialect.features:
            supporting = ", ".join(other.name for other in DIALECTS if feature in other.features)
            raise DirectiveError(f"mock directive: {dialect.name} has no {feature}; expected one of {supporting}")


def _refusal_reply(refusal: Refusal, dialect: Dialect) -> Reply:
    content_type, body = dialect.error(refusal.status, refusal.message, param=refusal.param, code=refusal.code)
    reply = Reply(refusal.status, body, content_type, [("X-Request-Id", request_id())])
    if refusal.status == 401:
        reply.headers.append(("WWW-Authenticate", "Bearer"))
    return reply
