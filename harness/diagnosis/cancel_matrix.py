"""Runs the cancellation matrix: request a stream of the mock through the endpoint, leave it, read the ledger."""

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from streamgauge.clocks import Offset
from streamgauge.diagnosis.cancellation import (
    EARLY_LEAVE_S,
    ITL,
    PHASES,
    TOKENS,
    CancelRow,
    Phase,
    Upstream,
    enough,
    judge_cancellation,
    overall,
)
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import LedgerEntry, MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target, directive
from streamgauge.endpoint.upstream import rehearse
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close

DEADLINE_S: Final = 30.0
METHODS: Final = (Close.FIN, Close.RST)
METHODS_HTTP2: Final = (Close.RST_STREAM, *METHODS)
METHODS_HUB: Final = (Close.INVOCATION, *METHODS)

Progress = Callable[[str], None]


def run_matrix(
    client: StreamClient, target: Target, mock: MockControl, label: str, progress: Progress = lambda _: None
) -> list[CancelRow]:
    """One row per phase and method, over several closes.

    Raises CannotMeasure when the endpoint gives no stream, or when its stream does not come from the mock.
    """
    target = target.answering_in(rehearse(client, target, mock).dialect)
    offset = mock.clock()
    rows = []
    for phase in PHASES:
        for method in METHODS_HTTP2 if target.http2 else METHODS_HUB if target.signalr else METHODS:
            closes: list[CancelRow] = []
            while not enough(closes):
                progress(f"{label}: {phase.name}, {method.value.upper()}, close {len(closes) + 1}")
                closes.append(_leave_and_judge(client, target, mock, offset, label, phase, method))
            rows.append(overall(closes))
    return rows


def leave(
    client: StreamClient, spec: RequestSpec, dialect: Dialect | None, phase: Phase, method: Close, *, keep: bool = False
) -> Transcript:
    """Start a stream and close it with `method` at the moment that `phase` describes."""

    def at_its_token(reader: StreamReader) -> Close | None:
        return method if phase.tokens is not None and reader.token_events >= phase.tokens else None

    if phase.tokens is None:
        return client.run(spec, dialect=dialect, keep=keep, leave_after=(EARLY_LEAVE_S, method))
    return client.run(spec, dialect=dialect, keep=keep, deadline_s=DEADLINE_S, on_token=at_its_token)


def upstream_of(entries: list[LedgerEntry], offset: Offset) -> Upstream | None:
    """The ledger's entries of one id, with times on our clock. The last entry counts; the others were retries."""
    if not entries:
        return None
    last = entries[-1]
    gone = last.disconnect
    return Upstream(
        requests=sum(not entry.resumed for entry in entries),
        end=last.end,
        disconnect_ns=gone.t_ns - offset.offset_ns if gone else None,
        disconnect_kind=gone.kind if gone else None,
        token_ns=[at - offset.offset_ns for at in last.token_ns()],
        tokens_after=gone.tokens_after if gone else 0,
        error_ns=offset.error_ns,
        path=last.path,
        dialect=last.dialect,
        tokens=last.tokens_written,
        head_ns=None if last.head_ns is None else last.head_ns - offset.offset_ns,
        arrivals_ns=tuple(entry.arrival_ns - offset.offset_ns for entry in entries if not entry.resumed),
        written_bytes=sum(last.writes.bytes),
        prompt_tokens=last.prompt_tokens,
        received=last.received,
        status=last.status,
        credential=last.credential,
    )


def _leave_and_judge(
    client: StreamClient, target: Target, mock: MockControl, offset: Offset, label: str, phase: Phase, method: Close
) -> CancelRow:
    stream_id = uuid4().hex[:12]
    prompt = f"{target.prompt} {directive(id=stream_id, tokens=TOKENS, ttft=phase.ttft, itl=ITL)}"
    transcript = leave(client, target.request(prompt), target.reader(), phase, method)
    upstream = upstream_of(mock.entries(stream_id, wait_s=phase.wait_s), offset)
    return judge_cancellation(transcript, upstream, path=label, phase=phase, method=method.value.upper())
