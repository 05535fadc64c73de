"""The client for one stream: it sends a request, reads the answer and interprets it.

An error of the endpoint is an `Outcome` of the transcript, not an exception.
"""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from types import TracebackType
from typing import Final, Protocol, Self

import httpx

from streamgauge.endpoint import signalr
from streamgauge.endpoint.answer import Answer
from streamgauge.endpoint.content_limit import ContentLimit, Patience
from streamgauge.endpoint.hints import hint_for
from streamgauge.endpoint.hub_transport import HubTransport
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, OutOfMeans, OutOfTime
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.reader import StreamReader, interpret
from streamgauge.protocol.record import clock_was_set
from streamgauge.protocol.transcript import Transcript
from streamgauge.secrets import mask_url
from streamgauge.steady import set_by_ns
from streamgauge.transport.connection import Close
from streamgauge.transport.connector import Connector
from streamgauge.transport.exchange import Driver, Exchange, Kept, Wants
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.transport.http2 import Http2Transport
from streamgauge.transport.memory import PROCESS, MemoryBudget
from streamgauge.transport.proxies import Proxies
from streamgauge.transport.request import PreparedRequest, destination, fields_of
from streamgauge.transport.tls import tls_context
from streamgauge.wire import Capture

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 60.0
SETTLE_DEADLINE_S: Final = 30.0
"""For each request that `settle` tries. What streams for so long without a token is an event stream all the same."""

TOTAL_S: Final = 900.0
"""For all requests of a command together, so that an endpoint which never ends a stream cannot hold it for ever."""

_OWN_LIMIT: Final = "this says nothing about the endpoint: give this machine the means, and run it again"

OnToken = Callable[[StreamReader], Close | None]
"""Called after the head and after each read that brought token events. To close the stream, it returns a `Close`."""


class TransportKind(Protocol):
    """Makes the transport of a client."""

    def __call__(self, *, connector: Connector, driver: Driver | None) -> CaptureTransport:
        """A transport that opens its connections by `connector`."""


class Watch(Protocol):
    """Called before and after every request of a client and of its copies."""

    def before(self) -> None:
        """An error that it raises keeps the request from being made."""

    def after(self, transcript: Transcript) -> None: ...


class StreamClient:
    """A client that keeps one idle connection per origin. Two threads or greenlets must not share it.

    It uses the proxies of the environment as httpx does, but never for loopback addresses.
    `read_timeout_s` limits the silence between two reads, and connecting with its TLS handshake where it is shorter
    than `connect_timeout_s`; `content_timeout_s` (None: the same) the time without content
    (see `ContentLimit`); `deadline_s` of `run` limits the whole stream.
    `total_s` limits all requests together, those of `another` included: then `run` raises OutOfTime. `exchanges` counts
    the requests made.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        http2: bool = False,
        unix_socket: str | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        content_timeout_s: float | None = None,
        ends: Ends = Ends.AUTO,
        total_s: float | None = None,
        driver: Driver | None = None,
        kind: TransportKind | None = None,
        memory: MemoryBudget = PROCESS,
    ) -> None:
        self._memory = memory
        self._connector = Connector(tls, proxies=Proxies.of_environment(), unix_socket=unix_socket, http2=http2)
        self._kind = kind or (Http2Transport if http2 else CaptureTransport)
        self._driver = driver
        self._transport = self._new_transport()
        self.exchanges = 0
        self._connect_timeout_s, self._read_timeout_s = min(connect_timeout_s, read_timeout_s), read_timeout_s
        self.patience = Patience(read_timeout_s if content_timeout_s is None else content_timeout_s)
        self._ends = ends
        self._total_s = total_s
        self._until_s = None if total_s is None else time.monotonic() + total_s
        self.last: Capture | None = None
        self._exchange: Exchange | None = None
        self._clock_ns = 0  # how far the clock had been set when the last exchange began
        self._watch: Watch | None = None

    @classmethod
    def to(
        cls,
        target: Target,
        *,
        total_s: float | None = None,
        driver: Driver | None = None,
        kind: TransportKind | None = None,
        memory: MemoryBudget = PROCESS,
    ) -> Self:
        """A client with the settings of `target`. An event loop waits for its sockets by a `driver`, and may share
        connections among clients by its own `kind` of transport.
        """
        return cls(
            tls=tls_context(insecure=target.insecure, ca=target.ca, cert=target.cert, http2=target.http2)
            if target.url.startswith("https")
            else None,
            http2=target.http2,
            unix_socket=target.unix_socket,
            read_timeout_s=target.timeout_s,
            content_timeout_s=target.content_timeout_s,
            ends=Ends(target.end),
            total_s=total_s,
            driver=driver,
            kind=kind or (None if target.signalr is None else HubTransport),
            memory=memory,
        )

    def another(self, *, read_timeout_s: float | None = None, watch: Watch | None = None) -> "StreamClient":
        """A client with the same settings and its own connections. `read_timeout_s` replaces both limits of silence.

        `watch` is told of its requests, and of those of its copies.
        """
        other = copy(self)
        other._watch = watch or self._watch
        other._transport, other.exchanges, other.last, other._exchange = other._new_transport(), 0, None, None
        if read_timeout_s is not None:
            other._read_timeout_s = read_timeout_s
            other._connect_timeout_s = min(self._connect_timeout_s, read_timeout_s)
            other.patience = Patience(read_timeout_s)
        return other

    def expect(self, ends: Ends) -> None:
        """Judge the next streams by how the first ones ended (see `learn_end`)."""
        self._ends = ends

    @property
    def out_of_time(self) -> bool:
        """Whether the time for all requests together is over."""
        return self._until_s is not None and time.monotonic() >= self._until_s

    def _new_transport(self) -> CaptureTransport:
        return self._kind(connector=self._connector, driver=self._driver)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def run(
        self,
        spec: RequestSpec,
        *,
        dialect: Dialect | None = None,
        keep: bool = True,
        deadline_s: float | None = None,
        on_token: OnToken | None = None,
        leave_after: tuple[float, Close] | None = None,
        patience: Patience | None = None,
    ) -> Transcript:
        """Send one request and read the answer to its end. `keep` stores the wire, the body and its lines.

        `leave_after=(seconds, how)` closes the connection this many seconds after the request was sent. `patience`
        replaces the client's own.
        No behaviour of the endpoint raises an exception. A KeyboardInterrupt, or the kill of a greenlet, passes
        through; `cut` then returns the part of the stream that had arrived. Raises OutOfTime, and OutOfMeans when this
        machine has no means to send the request or to hold the answer, or its clock was set meanwhile: that says
        nothing about the endpoint.
        """
        if self.out_of_time:
            total = f"the {self._total_s:,.0f} s for all requests of this command are over"
            raise OutOfTime(total, "does the endpoint end its streams?")
        if self._watch is not None:
            self._watch.before()
        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        try:
            request = self.prepare(spec, deadline=deadline, leave_after=leave_after)
        except httpx.InvalidURL as error:
            self.exchanges += 1
            return interpret(Capture(0, detail=str(error), wire=[] if keep else None), dialect, keep=keep)
        answer = self._ended(request, dialect, keep=keep, on_token=on_token, patience=patience)
        transcript = answer.interpreted(dialect, keep=keep)
        if answer.clock_set_ns:
            raise OutOfMeans(clock_was_set(answer.clock_set_ns), _OWN_LIMIT)
        if transcript.outcome is Outcome.CLIENT_LIMIT:
            raise OutOfMeans(transcript.detail or "this machine has no means for another connection", _OWN_LIMIT)
        if self._watch is not None:
            self._watch.after(transcript)
        return transcript

    def prepare(
        self,
        spec: RequestSpec,
        *,
        deadline: float | None = None,
        leave_after: tuple[float, Close] | None = None,
    ) -> PreparedRequest:
        """Build the request for `ask`. An open loop builds it before the stream is due.

        `deadline` is in seconds of `time.monotonic()`. Raises httpx.InvalidURL.
        """
        to = destination(spec.url)
        if self._until_s is not None:
            deadline = self._until_s if deadline is None else min(deadline, self._until_s)
        return PreparedRequest(
            spec.method,
            to,
            fields_of(spec.method, to, spec.headers, spec.body),
            spec.body or b"",
            spec.http_version,
            self._connect_timeout_s,
            self._read_timeout_s,
            self._read_timeout_s,
            deadline,
            leave_after,
        )

    def ask(
        self,
        request: PreparedRequest,
        *,
        dialect: Dialect | None = None,
        keep: bool = True,
        on_token: OnToken | None = None,
        patience: Patience | None = None,
    ) -> Transcript:
        """Do the same as `run`, with a request that `prepare` built."""
        answer = self._ended(request, dialect, keep=keep, on_token=on_token, patience=patience)
        return answer.interpreted(dialect, keep=keep)

    def _ended(
        self,
        request: PreparedRequest,
        dialect: Dialect | None,
        *,
        keep: bool,
        on_token: OnToken | None,
        patience: Patience | None,
    ) -> Answer:
        if on_token is not None:
            return self.follow(request, on_token, dialect, keep=keep, patience=patience)
        answer = self._read(self._begin(request, keep=keep), dialect, patience).over()
        answer.interpreted(dialect, keep=keep)
        self.last = None
        return answer

    def fetch(self, request: PreparedRequest, dialect: Dialect | None = None) -> Answer:
        """Do the same as `ask`, but do not interpret the answer yet."""
        answer = self._read(self._begin(request, keep=False), dialect).over()
        self.last = None
        return answer

    def follow(
        self,
        request: PreparedRequest,
        on_token: OnToken,
        dialect: Dialect | None = None,
        *,
        keep: bool = False,
        patience: Patience | None = None,
    ) -> Answer:
        """Do the same as `ask`, and interpret the answer while it comes: `on_token` may leave it early."""
        answer = self._begin(request, keep=keep)
        if self._exchange is not None:
            limit = ContentLimit.by(
                StreamReader(answer.capture, dialect, keep=keep, ends=self._ends), patience or self.patience
            )
            self._exchange.expect(limit)
            self._exchange.read_until(Wants.HEAD)
            answer.transcript = _follow(self._exchange, limit, on_token)
        else:
            answer.interpreted(dialect, keep=keep)
        self.last = None
        return answer.over()

    def _begin(self, request: PreparedRequest, *, keep: bool) -> Answer:
        """Send the request. When that fails, there is no exchange, and the answer says why."""
        capture = self.last = Capture(0, wire=[] if keep else None, memory=self._memory.claim(kept=keep))
        self._clock_ns = set_by_ns()
        self.exchanges += 1
        self._exchange = None
        with suppress(httpx.TransportError):
            self._exchange = self._transport.begin(request, capture)
        return Answer(capture, ends=self._ends, clock_ns=self._clock_ns)

    def _read(self, answer: Answer, dialect: Dialect | None, patience: Patience | None = None) -> Answer:
        """Read to the end."""
        if self._exchange is not None:
            self._exchange.expect(ContentLimit(answer.capture, dialect, patience or self.patience))
            self._exchange.read_until(Wants.END)
            answer.whole = self._exchange.whole
        return answer

    def watch_kept(self, until_ns: int) -> Kept | None:
        """Whether the peer closes the connection of the last exchange, when that was kept: see `Exchange.watch_kept`.

        None where it was not kept: the answer was incomplete or announced a close.
        """
        return None if self._exchange is None else self._exchange.watch_kept(until_ns)

    def cut(self, dialect: Dialect | None = None) -> Answer | None:
        """After an interruption, end the exchange in progress and return its stream so far; None without an exchange.

        If the stream had already ended, but the interruption came before it was returned, all of it is returned.
        """
        capture = self.last
        if capture is None or not capture.start_ns:
            return None
        answer = Answer(capture, ends=self._ends, clock_ns=self._clock_ns).over()
        if self._exchange is not None:
            self._exchange.interrupt()
            answer.whole = self._exchange.whole
        answer.interpreted(dialect)
        return answer


def _follow(exchange: Exchange, limit: ContentLimit, on_token: OnToken) -> Transcript:
    """Interpret after each read, so that the caller can act on a token at once."""
    reader = limit.reader
    tokens = -1
    while True:
        limit.follow()
        if reader.token_events > tokens:
            tokens = reader.token_events
            how = on_token(reader)
            if how is Close.HALF:
                exchange.half_close()
            elif how is not None:
                exchange.leave(how)
                break
        if limit.excess is not None:
            exchange.refuse(limit.excess)
        if not exchange.read_until(Wants.READ) and not limit.follow():
            break
    return reader.finish()


def settle(client: StreamClient, target: Target) -> Target:
    """Try each of `target.alternatives()` and return the first that gives a stream.

    Raises CannotMeasure when the endpoint cannot be reached. If no alternative gives a stream, the likeliest one is
    returned; the command that then uses it reports the endpoint's answer.
    """
    alternatives = target.alternatives()
    if len(alternatives) == 1:
        return alternatives[0]
    for alternative in alternatives:
        transcript = client.run(alternative.request(), on_token=_leave_at_first_token, deadline_s=SETTLE_DEADLINE_S)
        if transcript.outcome is Outcome.CONNECT_ERROR:
            raise unreachable(transcript)
        if transcript.is_stream:
            return alternative
    return alternatives[0]


def _leave_at_first_token(reader: StreamReader) -> Close | None:
    return Close.FIN if reader.token_events else None


def unreachable(transcript: Transcript) -> CannotMeasure:
    """The error for a failed connection, with a hint."""
    detail = transcript.detail or "the endpoint cannot be reached"
    hint = "is it running, and are host and port right?"
    if "certificate" in detail:
        hint = "--ca FILE trusts the CA in that file, --insecure trusts any certificate"
    elif " proxy " in detail:
        hint = "the environment names this proxy: unset HTTP_PROXY and HTTPS_PROXY, or add the host to NO_PROXY"
    return CannotMeasure(detail, hint)


def not_a_stream(transcript: Transcript) -> CannotMeasure:
    """The error for an exchange without a stream: it quotes the answer and gives a hint."""
    head = transcript.capture.head
    if transcript.outcome is Outcome.CONNECT_ERROR:
        return unreachable(transcript)
    if transcript.capture.fault is not None:
        fault = transcript.capture.fault
        hint = (
            "the application, or a proxy in front of it, writes this line: clients refuse the whole answer"
            if fault.of_line
            else "set neither Transfer-Encoding nor Content-Length in the application: the server writes them"
        )
        return CannotMeasure(transcript.detail or fault.what, hint)
    if head is None:
        slow = transcript.outcome is Outcome.TIMEOUT
        hint = (
            "raise --timeout if it is only slow"
            if slow
            else "is the port right, and does the endpoint expect http, https or --http2?"
        )
        return CannotMeasure(transcript.detail or "the endpoint gave no answer", hint)
    body = transcript.body or b"".join(data for _, data in transcript.capture.body)
    if signalr.is_hub(body) and transcript.capture.detail is None:  # else the harness has negotiated
        status = f"{mask_url(transcript.capture.url)} answers HTTP {head.status}"
        return CannotMeasure(f"{signalr.SUMMARY}: {status}", signalr.ADVICE)
    reason = transcript.detail or transcript.outcome.value
    return CannotMeasure(
        f"no stream came from {mask_url(transcript.capture.url)}: {reason}",
        hint_for(head, body, mask_url(transcript.capture.url), transcript.capture.request),
    )
