"""Runs the cancellation matrix: request a stream of the mock through the endpoint, leave it, read the ledger."""

from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import uuid4

from streamgauge.clocks import Offset
from streamgauge.diagnosis.cancellation import CancelRow, Upstream, judge_cancellation
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import LedgerEntry, MockControl
from streamgauge.endpoint.target import Target, directive
from streamgauge.endpoint.upstream import rehearse
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 5
EARLY_LEAVE_S: Final = 0.5
TOKENS: Final = 300
ITL: Final = "20ms"
WAIT_S: Final = 12.0
"""Longer than the rest of the stream (300 × 20 ms): an upstream that has seen nothing by then never will."""


class Phase(NamedTuple):
    """When the client leaves: `ttft` delays the mock's first token, `tokens` is the count after which the client goes.

    `tokens` None: the client leaves after EARLY_LEAVE_S, before the first token.
    """

    name: str
    ttft: str
    tokens: int | None


PHASES: Final = (
    Phase("before the first token", "4s", None),
    Phase("mid-stream", "50ms", LEAVE_AFTER_TOKENS),
)
METHODS: Final = (Close.FIN, Close.RST)
METHODS_HTTP2: Final = (Close.RST_STREAM, *METHODS)

Progress = Callable[[str], None]


def run_matrix(
    client: StreamClient, target: Target, mock: MockControl, label: str, progress: Progress = lambda _: None
) -> list[CancelRow]:
    """One row per phase and method.

    Raises CannotMeasure when the endpoint gives no stream, or when its stream does not come from the mock.
    """
    target = target.answering_in(rehearse(client, target, mock).dialect)
    offset = mock.clock()
    rows = []
    for phase in PHASES:
        for method in METHODS_HTTP2 if target.http2 else METHODS:
            progress(f"{label}: {phase.name}, {method.value.upper()}")
            rows.append(_leave_and_judge(client, target, mock, offset, label, phase, method))
    return rows


def leave(client: StreamClient, target: Target, stream_id: str, phase: Phase, method: Close) -> Transcript:
    """Start a stream and close it with `method` at the moment that `phase` describes."""
    prompt = f"{target.prompt} {directive(id=stream_id, tokens=TOKENS, ttft=phase.ttft, itl=ITL)}"
    spec = target.request(prompt)

    def enough(reader: StreamReader) -> Close | None:
        return method if phase.tokens is not None and reader.token_events >= phase.tokens else None

    if phase.tokens is None:
        return client.run(spec, dialect=target.reader(), keep=False, leave_after=(EARLY_LEAVE_S, method))
    return client.run(spec, dialect=target.reader(), keep=False, deadline_s=30, on_token=enough)


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
    stream_id = _new_id()
    transcript = leave(client, target, stream_id, phase, method)
    upstream = upstream_of(mock.entries(stream_id, wait_s=WAIT_S), offset)
    return judge_cancellation(transcript, upstream, path=label, phase=phase.name, method=method.value.upper())


def _new_id() -> str:
    return uuid4().hex[:12]
