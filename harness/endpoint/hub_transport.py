"""A stream of a SignalR hub over HTTP/1.1: negotiate, open the event stream, shake hands, and invoke the method.

The transport "Server-Sent Events" of
https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/TransportProtocols.md. The request that it gets is
the POST of the invocation: the measured stream starts when that is sent, as for a page whose connection is open.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import httpx

from streamgauge.errors import LimitExceeded
from streamgauge.protocol.dialects.payload import decode, object_of
from streamgauge.protocol.dialects.signalr import CANCEL, HANDSHAKE, RECORD_END, is_last
from streamgauge.protocol.eventstream import Interpreter, Lexer
from streamgauge.transport.connector import Connector, earlier
from streamgauge.transport.exchange import Driver, Exchange, Limits, Wants
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1 import CaptureTransport, limits_of
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.transport.request import Destination, PreparedRequest
from streamgauge.wire import Capture, End, Excess

MOST_ANSWER_BYTES: Final = 128 * 1024
"""Of an answer to a POST, with its head, and of all that comes before the hub has answered the handshake."""
MOST_TOKEN_CHARS: Final = 4096
TAKEN_S: Final = 1.0
"""A hub answers the POST of the invocation when it has taken it. One that is slow to answer is read all the same."""
ALONE_S: Final = 0.5
"""From the cancellation of an invocation to the close of its connection."""
_EVENT_ENDS: Final = (b"\r\n\r\n", b"\n\n", b"\r\r")
_TYPE, _LENGTH = b"content-type", b"content-length"


class HubParser(ResponseParser):
    """Parses a hub's event stream, which the hub does not end: it is complete with the last message of the invocation.

    `shaken`: the hub has accepted the handshake. `spoke`: it has sent a message. `farewell` cancels the invocation.
    """

    def __init__(self, state: ExchangeState) -> None:
        super().__init__(state)
        self.shaken = self.spoke = False
        self.farewell: Callable[[], None] | None = None
        self._lexer, self._interpreter = Lexer(), Interpreter()
        self._start_ns: int | None = None
        self._piece = b""  # of the body, that the read at hand has brought
        self._rest = b""  # of an event that has begun before the stream

    def restart(self, asked: Capture, began_ns: int) -> None:
        """The stream starts with the request `asked`. What came before it is left out, but for an unfinished event."""
        self._start_ns = asked.start_ns
        self._leave_out()
        self._state.restarts(asked, began_ns)

    def feed(self, data: bytes, read: int) -> None:
        """See `Parser`. What a read brings is one piece of the body, and may have arrived before the stream began."""
        super().feed(data, read)
        # The connection is never kept; parsing never waits, and no fast path is taken: here all of it has to be seen.
        self.keep_alive = self._chunked = self._between_chunks = False
        if self._piece:
            self._state.body(read, self._rest + self._piece)
            self._hear(self._piece, read)
            self._rest = self._piece = b""
        if self._start_ns is not None and self.capture.reads[read].t_ns < self._start_ns and not self.done:
            self._leave_out()
            self._state.forget()

    def on_body(self, data: bytes) -> None:
        """See `ResponseParser`. ASP.NET Core writes four chunks an event; kept as pieces they would look like abuse."""
        if not self._unreadable:
            self._piece += data
            self._body_bytes += len(data)

    def _leave_out(self) -> None:
        came = self._rest + b"".join(piece for _, piece in self.capture.body)
        self._rest = came[max(came.rfind(end) + len(end) if end in came else 0 for end in _EVENT_ENDS) :]

    def _hear(self, piece: bytes, read: int) -> None:
        try:
            events = [self._interpreter.feed(line) for line in self._lexer.feed(piece, read)]
        except LimitExceeded as error:
            self._end(End.TOO_LARGE, error.message)
            return
        for record in RECORD_END.join(event.data for event in events if event is not None).split(RECORD_END):
            message = object_of(record)
            if message is None:
                continue
            last = is_last(message) if self.spoke else bool({"type", "error"} & message.keys())
            self.spoke, self.shaken = True, self.shaken or not last
            if last and not self.done:
                self._end(End.COMPLETE, None)

    def cancel(self) -> bytes:
        """Cancel the invocation, on another connection: there is nothing to send on this one."""
        if self.farewell is not None:
            self.farewell()
        return b""


class _Failed(Exception):  # noqa: N818 - an answer of the endpoint, not an error of this program
    """A request that prepares the stream failed. `end` is why, where its exchange itself was complete."""

    def __init__(self, asked: Capture, detail: str, end: End | None = None) -> None:
        super().__init__(detail)
        self.asked, self.detail, self.end = asked, detail, end


class HubTransport(CaptureTransport):
    """The transport. `begin` takes the POST of the invocation, and gives the exchange of the hub's event stream.

    Its POSTs share a connection that is kept; each stream has one of its own. All that prepares a stream is over in the
    limit of silence. `driver` reads the streams only: in a load the short answers to POSTs would queue behind them.
    """

    def __init__(self, *, connector: Connector, driver: Driver | None = None) -> None:
        super().__init__(connector=connector)
        self._streams = CaptureTransport(connector=connector, driver=driver, parser=self._new_parser)
        self._newest: HubParser | None = None

    def _new_parser(self, state: ExchangeState) -> HubParser:
        self._newest = HubParser(state)
        return self._newest

    def begin(self, prepared: PreparedRequest, capture: Capture) -> Exchange:
        """See `CaptureTransport`. A request that prepares the stream and fails is what `capture` shows then."""
        until_s, began_ns = earlier(prepared.read_timeout_s, prepared.deadline_s), time.time_ns()
        stream: Exchange | None = None
        try:
            hub = prepared._replace(deadline_s=until_s, leave_after=None)
            hub = hub._replace(to=self._negotiated(hub, capture))
            stream = self._streams.begin(_asking(hub, "GET"), capture)
            parser, self._newest = self._newest, None
            assert parser is not None
            self._shake_hands(hub, stream, parser)
            if capture.end is None:
                self._invoke(hub, stream, parser, limits_of(prepared), began_ns)
        except _Failed as failed:
            if stream is not None:
                stream.interrupt()
            ExchangeState(capture).stands_for(failed.asked, failed.end, failed.detail)
            raise httpx.RemoteProtocolError(failed.detail) from None
        except BaseException:
            if stream is not None:
                stream.interrupt()
            raise
        return stream

    def _negotiated(self, hub: PreparedRequest, capture: Capture) -> Destination:
        """Where the connection is that the hub gives."""
        path, _, query = hub.to.target.partition(b"?")
        url, _, _ = hub.to.text.partition("?")
        target = path.rstrip(b"/") + b"/negotiate?" + (query + b"&" if query else b"") + b"negotiateVersion=1"
        asks = hub._replace(to=hub.to._replace(target=target, text=f"{url.rstrip('/')}/negotiate"))
        asked = self._answer(self._post(_asking(asks, "POST"), capture), "negotiate")
        token = quote(_token(asked, decode(b"".join(piece for _, piece in asked.body))), safe="").encode()
        return hub.to._replace(target=path + b"?" + (query + b"&" if query else b"") + b"id=" + token)

    def _shake_hands(self, hub: PreparedRequest, stream: Exchange, parser: HubParser) -> None:
        """Until the hub has answered the handshake. Where it refuses, the stream has ended with its error."""
        capture = stream.capture
        stream.read_until(Wants.HEAD)
        head = capture.head
        if head is None or head.status != 200 or head.media_type != "text/event-stream":
            self._answer(stream, "the request for the event stream")
            raise _Failed(capture, "the hub's answer is not an event stream", End.MALFORMED)
        if (head.get("content-encoding") or "identity").lower() != "identity":
            raise _Failed(capture, "the hub compresses its event stream, which nothing asked for", End.MALFORMED)
        self._answer(self._post(_asking(hub, "POST", HANDSHAKE), capture), "the handshake")
        _read(stream, lambda: parser.shaken)
        if not parser.spoke:
            why = _why(capture) or "its event stream ended"
            end = End.MALFORMED if capture.end is End.COMPLETE else capture.end
            raise _Failed(capture, f"the hub did not answer the handshake: {why}", end)

    def _invoke(self, hub: PreparedRequest, stream: Exchange, parser: HubParser, limits: Limits, began_ns: int) -> None:
        exchange = self._post(hub, stream.capture)
        asked = exchange.capture
        try:
            parser.restart(asked, began_ns)
            parser.farewell = partial(self._cancel, hub)
            stream.limits, exchange.limits = limits, Limits(deadline_s=time.monotonic() + TAKEN_S)
            _read(exchange)
        finally:
            exchange.close()
        if asked.head is not None or asked.end is not End.TIMEOUT:
            _must_be_good(asked, "the invocation")

    def _cancel(self, hub: PreparedRequest) -> None:
        """Cancel the invocation, and leave the connection open for a while: only the message can stop the hub then."""
        cancel = _asking(hub, "POST", CANCEL)._replace(deadline_s=time.monotonic() + TAKEN_S)
        with suppress(_Failed):
            self._answer(self._post(cancel, Capture(0)), "the cancellation")
            time.sleep(ALONE_S)

    def _post(self, prepared: PreparedRequest, capture: Capture) -> Exchange:
        asked = Capture(0, wire=None if capture.wire is None else [], memory=capture.memory)
        try:
            return super().begin(prepared, asked)
        except httpx.TransportError:
            raise _Failed(asked, asked.detail or "the hub cannot be reached") from None

    def _answer(self, exchange: Exchange, what: str) -> Capture:
        """Read the answer. Raises _Failed unless it is complete and good."""
        asked = exchange.capture
        try:
            _read(exchange)
        finally:
            exchange.close()
        _must_be_good(asked, what)
        if asked.end is not End.COMPLETE:
            raise _Failed(asked, f"{what}: {_why(asked)}")
        return asked


def _read(exchange: Exchange, enough: Callable[[], bool] = lambda: False) -> None:
    """Read until there is enough, to the end of the answer, or to a limit."""
    reads, counted, size = exchange.capture.reads, 0, 0
    while not enough() and exchange.read_until(Wants.READ):
        size += sum(read.size for read in reads[counted:])
        counted = len(reads)
        if size > MOST_ANSWER_BYTES:
            exchange.refuse(Excess(End.TOO_LARGE, f"the answer is larger than {MOST_ANSWER_BYTES:,} bytes"))


def _why(asked: Capture) -> str | None:
    return "no whole answer came in time (--timeout)" if asked.end is End.TIMEOUT else asked.detail


def _must_be_good(asked: Capture, what: str) -> None:
    if asked.head is None:
        raise _Failed(asked, f"{what}: {_why(asked)}")
    if asked.head.status not in range(200, 300):
        raise _Failed(asked, f"{what}: HTTP {asked.head.status} {asked.head.reason}".rstrip())


def _token(asked: Capture, value: Any) -> str:
    """The connection's token in the answer to `negotiate`. Raises _Failed where the hub gives none that can be used."""
    if not isinstance(value, dict):
        raise _Failed(asked, "negotiate: the answer is not a JSON object", End.MALFORMED)
    if error := value.get("error"):
        raise _Failed(asked, f"negotiate: the hub refuses the connection: {error}"[:MOST_TOKEN_CHARS], End.MALFORMED)
    if "url" in value:
        what = "the hub sends its clients to another server, which is not followed: measure that server"
        raise _Failed(asked, f"negotiate: {what}", End.MALFORMED)
    offered = value.get("availableTransports")
    names = [one.get("transport") for one in offered if isinstance(one, dict)] if isinstance(offered, list) else []
    if names and "ServerSentEvents" not in names:
        raise _Failed(asked, "negotiate: the hub does not offer the transport ServerSentEvents", End.MALFORMED)
    token = value.get("connectionToken", value.get("connectionId"))  # version 0 has only the id
    if not isinstance(token, str) or not 0 < len(token) <= MOST_TOKEN_CHARS:
        raise _Failed(asked, "negotiate: the answer has no connection token that can be used", End.MALFORMED)
    return token


def _asking(hub: PreparedRequest, method: str, body: bytes = b"") -> PreparedRequest:
    """The request with another method and body; without a body it has no media type."""
    fields = [field for field in hub.fields if field[0].lower() not in (_LENGTH, b"" if body else _TYPE)]
    if method == "POST":
        fields.append((b"Content-Length", b"%d" % len(body)))
    return hub._replace(method=method, fields=fields, body=body)
