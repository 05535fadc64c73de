"""Composes a stream: items, the dialect's bytes, the faults at their levels, the framing of the body."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from streamgauge.mock_provider.answer import answer_items, whole_parts
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import PARTS, Dialect, Encoder
from streamgauge.mock_provider.fast_path import CacheableEncoder, is_cacheable, takes_fast_path, token_writes
from streamgauge.mock_provider.faults.base import Answer
from streamgauge.mock_provider.grouping import batched, grouped
from streamgauge.mock_provider.http import LAST_CHUNK, Request, chunk, head_bytes
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import BEFORE_FIRST, Action, Close, Event, Framing, Head, Item, Kind, Pause, Write


@dataclass(frozen=True, slots=True)
class ComposedStream:
    """One request with its plan; the properties are the facts that hooks of faults may use (faults.base.Facts)."""

    request: Request
    dialect: Dialect
    chat: ChatRequest
    plan: Plan
    encoder: Encoder
    headers: tuple[tuple[str, str], ...] = ()  # fields of the head that the server adds, such as the replica's name

    @property
    def tokens(self) -> int | None:
        """Tokens planned; None for an endless stream."""
        return self.plan.tokens

    @property
    def accepts_gzip(self) -> bool:
        """Whether the client offered gzip."""
        return self.request.accepts_gzip()

    @property
    def accept(self) -> str | None:
        """The request's Accept field."""
        return self.request.headers.get("accept")

    @property
    def origin(self) -> str | None:
        """The request's Origin field."""
        return self.request.headers.get("origin")

    @property
    def last_event_id(self) -> str | None:
        """The request's Last-Event-ID field."""
        return self.request.headers.get("last-event-id")

    @property
    def user(self) -> str:
        """The API key of the request, empty if there is none."""
        return self.dialect.credential(self.request)

    @property
    def resumed(self) -> bool:
        """Whether the stream continues an earlier one, so that no new generation starts."""
        return self.last_event_id is not None and any(fault.resumes for fault, _ in self.plan.faults)

    def encode(self, item: Item) -> bytes:
        """The dialect's bytes for an item that a fault invents."""
        return self.encoder.encode(item)

    def error_reply(self, status: int, message: str, *, code: str | None = None) -> tuple[str, bytes]:
        """Content type and body of the dialect's error before a stream."""
        return self.dialect.error(status, message, param=None, code=code)


@dataclass(frozen=True, slots=True)
class Composition:
    """Input of the player: the actions, and the bytes of a heartbeat (None: no heartbeats)."""

    actions: Iterator[Action]
    heartbeat: bytes | None
    status: int | None  # None: there is no answer


def compose(stream: ComposedStream) -> Composition:
    """The actions of a streamed answer, with the plan's faults."""
    plan = stream.plan
    for fault, arg in plan.faults:
        if fault.answer is not None and (answer := fault.answer(arg, stream)) is not None:
            return _answered(answer, stream)

    head = stream_head(stream)
    if is_cacheable(stream.encoder) and head.framing is Framing.CHUNKED and takes_fast_path(plan):
        heartbeat = stream.encode(Item(Kind.COMMENT, BEFORE_FIRST, "heartbeat"))
        return Composition(_fast(stream, stream.encoder, head), chunk(heartbeat), head.status)

    items = _items(stream)
    if plan.tokens_per_event > 1:
        items = grouped(items, plan.tokens_per_event)
    for fault, arg in plan.faults:
        if fault.items is not None:
            items = fault.items(items, arg, stream)
    events = _encode(items, stream.encoder)
    for fault, arg in plan.faults:
        if fault.events is not None:
            events = fault.events(events, arg, stream)
    heartbeat = stream.encode(Item(Kind.COMMENT, BEFORE_FIRST, "heartbeat"))
    for fault, _ in plan.faults:
        if fault.line is not None:
            events = _rewritten(events, fault.line)
            heartbeat = fault.line(heartbeat)
    newline = stream.dialect.newline
    if newline != b"\n":
        events = _rewritten(events, lambda data: data.replace(b"\n", newline))
        heartbeat = heartbeat.replace(b"\n", newline)
    for fault, arg in plan.faults:
        if fault.body is not None:
            events = fault.body(events, arg, stream)
            heartbeat = b""  # a body that is held or coded has no place to slip one in

    for fault, arg in plan.faults:
        if fault.head is not None:
            fault.head(head, arg, stream)
    actions = _framed(head, events, silent=plan.script == "silent")
    for fault, arg in plan.faults:
        if fault.wire is not None:
            actions = fault.wire(actions, arg, stream)
    if plan.events_per_write > 1:
        actions = batched(actions, plan.events_per_write)
    if heartbeat and head.framing is Framing.CHUNKED:
        heartbeat = chunk(heartbeat)
    return Composition(_prefetched(actions) if not plan.faults else actions, heartbeat or None, head.status)


def compose_whole(stream: ComposedStream) -> Composition:
    """The actions of an answer that is not streamed: one write with Content-Length, due after the last token."""
    plan = stream.plan
    for fault, arg in plan.faults:
        if fault.answer is not None and (answer := fault.answer(arg, stream)) is not None:
            return _answered(answer, stream)
    tokens = plan.tokens or 0
    body = stream.dialect.whole(stream.chat, plan, whole_parts(answer_items(plan)))
    fields = [("Content-Type", "application/json"), ("X-Request-Id", request_id()), *stream.headers]
    head = Head(200, fields, Framing.LENGTH)
    for fault, arg in plan.faults:
        if fault.head is not None:
            fault.head(head, arg, stream)
    head.replace("Content-Length", str(len(body)))
    _connection_field(head, stream.request)
    data = head_bytes(head.status, head.headers) + body
    actions: Iterator[Action] = iter((Write(Kind.HEAD, tokens, data, tokens - 1 if tokens else None),))
    if plan.script == "silent":
        actions = iter((Pause(None),))
    for fault, arg in plan.faults:
        if fault.wire is not None:
            actions = fault.wire(actions, arg, stream)
    return Composition(actions, None, head.status)


def compose_refused(stream: ComposedStream, answer: Answer) -> Composition:
    """The actions of a refusal: the request is too long, no slot is free, or a quota is used up."""
    return _answered(answer, stream)


def request_id() -> str:
    """A fresh request id; random, unlike the bytes of the body."""
    return f"req_{secrets.token_hex(12)}"


def stream_head(stream: ComposedStream) -> Head:
    """The head of a clean stream; for HTTP/1.0, the body ends with the connection (RFC 9112 section 6.1)."""
    chunked = stream.request.http_version == "1.1"
    head = Head(200, framing=Framing.CHUNKED if chunked else Framing.CLOSE)
    head.headers = [
        ("Content-Type", stream.dialect.content_type),
        *stream.dialect.headers,
        ("X-Accel-Buffering", "no"),
        ("X-Request-Id", request_id()),
        *stream.headers,
    ]
    if chunked:
        head.headers.append(("Transfer-Encoding", "chunked"))
    _connection_field(head, stream.request)
    return head


def _connection_field(head: Head, request: Request) -> None:
    if not request.keep_alive or head.framing is Framing.CLOSE:
        head.replace("Connection", "close")


def _items(stream: ComposedStream) -> Iterator[Item]:
    plan = stream.plan
    for kind in stream.dialect.start:
        yield Item(kind, BEFORE_FIRST)
    has_parts = not PARTS.isdisjoint(stream.dialect.features)
    for item in answer_items(plan):
        if has_parts or item.kind is Kind.TOKEN:
            yield item
    for kind in (*stream.dialect.end(stream.chat), Kind.END):
        yield Item(kind, plan.tokens or 0)


def _encode(items: Iterator[Item], encoder: Encoder) -> Iterator[Event]:
    encode = encoder.encode
    held: Item | None = None
    for item in items:
        # The end has no bytes, but a step: lockstep holds it, and a fault that holds bytes back releases them there.
        data = encode(item) if item.kind is not Kind.END else b""
        if held is not None and data:
            # The dialect writes this token together with the next item: both are due when the token is.
            late = item if item.token is not None else held
            yield Event(item.kind, late.step, data, late.token)
            held = None
        elif data or item.kind is Kind.END:
            yield Event(item.kind, item.step, data, item.token)
        elif item.token is not None:
            held = item


def _rewritten(events: Iterator[Event], line: Callable[[bytes], bytes]) -> Iterator[Event]:
    for event in events:
        yield event._replace(data=line(event.data))


def _framed(head: Head, events: Iterator[Event], *, silent: bool) -> Iterator[Action]:
    if head.framing is Framing.LENGTH:
        held = list(events)  # this ends: a fault that sets LENGTH needs a finite stream
        body = b"".join(event.data for event in held)
        step = held[-1].step if held else BEFORE_FIRST
        token = max((event.token for event in held if event.token is not None), default=None)
        head.replace("Transfer-Encoding", None)
        head.replace("Content-Length", str(len(body)))
        yield Write(Kind.HEAD, step, head_bytes(head.status, head.headers))
        yield Write(Kind.TOKEN, step, body, token)
        return
    yield Write(Kind.HEAD, BEFORE_FIRST, head_bytes(head.status, head.headers))
    chunked = head.framing is Framing.CHUNKED
    step = BEFORE_FIRST
    for kind, step, data, token in events:
        if silent and step > BEFORE_FIRST:
            yield Pause(None)
            return
        # A chunk of size 0 would end the body (RFC 9112 section 7.1).
        if data:
            yield Write(kind, step, b"%x\r\n%b\r\n" % (len(data), data) if chunked else data, token)
    if silent:
        yield Pause(None)
    yield Write(Kind.END, step, LAST_CHUNK if chunked else b"")
    if not chunked:
        yield Close(reset=False, kind="complete")


def _fast(stream: ComposedStream, encoder: CacheableEncoder, head: Head) -> Iterator[Action]:
    """The same actions as the layers of `compose` give, for a plain stream, at a third of their cost."""
    encode, end = encoder.encode, stream.plan.tokens or 0
    yield Write(Kind.HEAD, BEFORE_FIRST, head_bytes(head.status, head.headers))
    for kind in stream.dialect.start:
        if data := encode(Item(kind, BEFORE_FIRST)):
            yield Write(kind, BEFORE_FIRST, chunk(data))
    yield from token_writes(stream.plan, encoder)
    for kind in stream.dialect.end(stream.chat):
        if data := encode(Item(kind, end)):
            yield Write(kind, end, chunk(data))
    yield Write(Kind.END, end, LAST_CHUNK)


def _prefetched(actions: Iterator[Action]) -> Iterator[Action]:
    """The same actions, computed 16 at a time: between two tokens come those of other streams, which empty caches."""

    def batches() -> Iterator[list[Action]]:
        yield list(islice(actions, 2))  # the head and the start, which must not wait for 16 actions
        while batch := list(islice(actions, 16)):
            yield batch

    return chain.from_iterable(batches())


def _answered(answer: Answer, stream: ComposedStream) -> Composition:
    for fault, _ in stream.plan.faults:
        if fault.answered is not None:
            answer = fault.answered(answer)
    head = Head(answer.status, [("Content-Type", answer.content_type), *answer.headers], Framing.LENGTH)
    head.headers += [("X-Request-Id", request_id()), *stream.headers, ("Content-Length", str(len(answer.body)))]
    _connection_field(head, stream.request)
    data = head_bytes(head.status, head.headers) + answer.body
    return Composition(iter((Write(Kind.HEAD, BEFORE_FIRST, data),)), None, head.status)
