"""Clients that leave before the answer is complete."""

import time
from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, ScenarioRunner
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.client import OnToken
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 5
STORM: Final = 20  # clients
LEAVE_EARLY_S: Final = 0.5
CANCEL_WAIT_S: Final = 11.0
EARLY_WAIT_S: Final = 4.0
READ_ON_S: Final = 2.0
HALF_CLOSED_S: Final = 8.0
STALLED_TOKENS: Final = 1000  # 50 MB


@scenario("cancel-mid", "the client leaves after 5 tokens", mock=True)
def cancel_mid(run: ScenarioRunner) -> Iterator[Observed]:
    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

    spec, stream_id = run.request({"tokens": 300, "itl": "30ms"})
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=enough)
    yield run.observed(spec, stream_id, transcript, wait_s=_wait_s(transcript, CANCEL_WAIT_S))


@scenario("cancel-early", "the client leaves before the first token, by a reset", mock=True, cost=Cost(2, 2))
def cancel_early(run: ScenarioRunner) -> Iterator[Observed]:
    """Leaves by a reset. If the upstream misses it, leaves again by an orderly close, to see whether that differs."""
    for how in (Close.RST_STREAM if run.target.http2 else Close.RST, Close.FIN):
        spec, stream_id = run.request({"ttft": "8s", "tokens": 5})
        leave = (LEAVE_EARLY_S, how)
        transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, leave_after=leave)
        variant = how.value.upper()
        wait_s = _wait_s(transcript, EARLY_WAIT_S)
        seen = run.observed(spec, stream_id, transcript, variant=variant, wait_s=wait_s)
        yield seen
        if seen.upstream is None or seen.upstream.disconnect_ns is not None:
            return


def _wait_s(transcript: Transcript, most_s: float) -> float:
    """How long the mock may take to notice; 0 for a refused request, which has no stream."""
    head = transcript.capture.head
    return 0.0 if head is not None and head.status >= 400 else most_s


@scenario("half-close", "the client closes its sending side after 5 tokens, and reads on", mock=True)
def half_close(run: ScenarioRunner) -> Iterator[Observed]:
    if run.target.http2 or run.target.url.startswith("https"):
        return
    closed_s: list[float] = []

    def closing(reader: StreamReader) -> Close | None:
        if reader.token_events < LEAVE_AFTER_TOKENS:
            return None
        if not closed_s:
            closed_s.append(time.monotonic())
            return Close.HALF
        return Close.FIN if time.monotonic() - closed_s[0] > READ_ON_S else None

    spec, stream_id = run.request({"tokens": 300, "itl": "30ms"})
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=HALF_CLOSED_S, on_token=closing)
    yield run.observed(spec, stream_id, transcript)


@scenario(
    "stalled-reader", "a client that stops reading", mock=True, opt_in=(OptIn.LONG,), concurrency=Concurrency.ALONE
)
def stalled_reader(run: ScenarioRunner) -> Iterator[Observed]:
    """Reads up to the first token and then nothing, while the upstream sends more than any buffer should hold."""
    assert run.mock is not None
    assert run.offset is not None
    mock, offset, upstream = run.mock, run.offset, []

    def stalling(reader: StreamReader) -> Close | None:
        if not reader.token_events:
            return None
        time.sleep(run.pace.stall_s)
        upstream.append(upstream_of(mock.entries(stream_id or ""), offset))
        return Close.RST

    spec, stream_id = run.request({"text": "big", "tokens": STALLED_TOKENS, "ttft": "0", "itl": "0"})
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=stalling)
    seen = run.observed(spec, stream_id, transcript)
    seen.upstream = next(iter(upstream), seen.upstream)
    yield seen


@scenario(
    "storm",
    f"{STORM} clients that leave in odd moments",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.ALONE,
    cost=Cost(STORM, STORM),
)
def storm(run: ScenarioRunner) -> Iterator[Observed]:
    """Clients that leave before the head, in the middle of an event, and while they send."""

    def first(how: Close) -> OnToken:
        return lambda reader: how if reader.token_events else None

    for number in range(1, STORM + 1):
        spec, stream_id = run.request({"ttft": "20ms"})
        match number % 4:
            case 0 if spec.body:
                told = {**spec.headers, "Content-Length": str(2 * len(spec.body))}
                unfinished = spec._replace(headers=told)
                transcript = run.client.run(unfinished, deadline_s=DEADLINE_S, leave_after=(0.05, Close.FIN))
            case 1:
                transcript = run.client.run(spec, deadline_s=DEADLINE_S, leave_after=(0.0, Close.RST))
            case 2:
                transcript = run.client.run(spec, deadline_s=DEADLINE_S, on_token=first(Close.RST))
            case _:
                transcript = run.client.run(spec, deadline_s=DEADLINE_S, on_token=first(Close.FIN))
        yield run.observed(spec, stream_id, transcript, variant=f"client {number} of {STORM}")
