"""Faults of the whole server: they act before a prompt is read or across streams, so only flags switch them on."""

from dataclasses import replace

from streamgauge.mock_provider.chat_request import ChatRequest, Refusal, RefusalKind
from streamgauge.mock_provider.faults.base import Arg, Fault
from streamgauge.mock_provider.faults.server_hook import ServerHook
from streamgauge.mock_provider.http import Reply, Request

HANG_NS = 60_000_000_000


class _Overlooks(ServerHook):
    def __init__(self, kind: RefusalKind) -> None:
        self._kind = kind

    def overlooks(self, refusal: Refusal) -> bool:
        return refusal.kind == self._kind


class _NoInputLimit(ServerHook):
    limits_input = False


class _NoOutputLimit(ServerHook):
    def on_chat_request(self, chat: ChatRequest) -> ChatRequest:
        return replace(chat, max_tokens=None)


class _AlwaysStreams(ServerHook):
    def on_chat_request(self, chat: ChatRequest) -> ChatRequest:
        return replace(chat, stream=True)


class _OverloadStatus(ServerHook):
    def __init__(self, arg: Arg) -> None:
        self._status = arg.count if arg.count is not None else 503

    def status_when_full(self, status: int) -> int:  # noqa: ARG002 (the right one)
        return self._status


class _Fragile(ServerHook):
    def __init__(self) -> None:
        self._broken = False

    def on_stream_end(self, *, disconnected: bool) -> None:
        self._broken = self._broken or disconnected

    def outage(self) -> str | None:
        return "the server broke when a client left an earlier stream" if self._broken else None


class _LeaksSlots(ServerHook):
    def frees_slot(self, *, disconnected: bool) -> bool:
        return not disconnected


class _NoAllow(ServerHook):
    def on_method_not_allowed(self, reply: Reply) -> None:
        reply.headers = [field for field in reply.headers if field[0] != "Allow"]


class _HeadAsGet(ServerHook):
    def on_request(self, request: Request) -> None:
        if request.method == "HEAD":
            request.method = "GET"


class _HalfCloseHangs(ServerHook):
    def __init__(self, arg: Arg) -> None:
        self.half_close_silence_ns = arg.duration_ns if arg.duration_ns is not None else HANG_NS


FAULTS = (
    Fault(
        name="ok-on-bad-json",
        sentence="a body that is not JSON is answered with a stream",
        level="http",
        trips=("http.bad-json-400",),
        needs=frozenset(),
        server=lambda _: _Overlooks("malformed"),
    ),
    Fault(
        name="no-validation",
        sentence="a request with wrong fields or without a prompt is answered with a stream",
        level="http",
        trips=("http.validation-before-stream",),
        needs=frozenset(),
        server=lambda _: _Overlooks("invalid"),
    ),
    Fault(
        name="no-input-limit",
        sentence="a prompt of any length is answered with a stream",
        level="http",
        trips=("limits.input-size",),
        needs=frozenset(),
        server=lambda _: _NoInputLimit(),
    ),
    Fault(
        name="ignores-max-tokens",
        sentence="an answer is longer than the request allows",
        level="event",
        trips=("limits.max-output-honoured",),
        needs=frozenset(),
        server=lambda _: _NoOutputLimit(),
    ),
    Fault(
        name="overload-status",
        sentence="STATUS (default 503) in place of 429 when no slot is free or a quota is used up",
        level="http",
        trips=("limits.concurrency-429", "limits.rate-429"),
        needs=frozenset(),
        takes="status",
        server=_OverloadStatus,
    ),
    Fault(
        name="fragile",
        sentence="after one client has left a stream early, every request is answered with 500",
        level="http",
        trips=("cancel.server-survives",),
        needs=frozenset(),
        server=lambda _: _Fragile(),
    ),
    Fault(
        name="leaks-slots",
        sentence="a client that leaves a stream early never gives its slot of --key-slots back",
        level="http",
        trips=("cancel.slot-released",),
        needs=frozenset(),
        server=lambda _: _LeaksSlots(),
    ),
    Fault(
        name="no-allow",
        sentence="a 405 without the Allow field",
        level="http",
        trips=("http.method-not-allowed",),
        needs=frozenset(),
        server=lambda _: _NoAllow(),
    ),
    Fault(
        name="head-as-get",
        sentence="HEAD is answered like GET, with a body",
        level="http",
        trips=("http.head-no-body",),
        needs=frozenset(),
        server=lambda _: _HeadAsGet(),
    ),
    Fault(
        name="always-streams",
        sentence="a request with stream: false is answered with a stream",
        level="http",
        trips=("openai-chat.stream-flag-honoured",),
        needs=frozenset(),
        server=lambda _: _AlwaysStreams(),
    ),
    Fault(
        name="half-close-hangs",
        sentence="after a client's half-close nothing more comes, not even an end, for DURATION (default 60 s)",
        level="tcp",
        trips=("cancel.half-close",),
        needs=frozenset(),
        takes="duration",
        server=_HalfCloseHangs,
    ),
)
