"""Clients that leave before the answer has come."""

import time
from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.declared_scenarios import LEAVE_AFTER_TOKENS, STORM
from streamgauge.conformance.scenarios.base import DEADLINE_S, ScenarioRunner, play
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.client import OnToken
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close

LEAVE_EARLY_S: Final = 0.5
CANCEL_WAIT_S: Final = 11.0
EARLY_WAIT_S: Final = 4.0
READ_ON_S: Final = 2.0
HALF_CLOSED_S: Final = 8.0
STALLED_TOKENS: Final = 1000  # 50 MB


@play("cancel-mid")
def cancel_mid(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

    spec, stream_id = run.request({"tokens": 300, "itl": "30ms"})
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=enough)
    yield run.observed(scenario, spec, stream_id, transcript, wait_s=_wait_s(transcript, CANCEL_WAIT_S))


@play("cancel-early")
def cancel_early(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """By a reset; where nobody notices that, by an orderly close too, to see what it depends on."""
    for how in (Close.RST_STREAM if run.target.http2 else Close.RST, Close.FIN):
        spec, stream_id = run.request({"ttft": "8s", "tokens": 5})
        leave = (LEAVE_EARLY_S, how)
        transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, leave_after=leave)
        variant = how.value.upper()
        wait_s = _wait_s(transcript, EARLY_WAIT_S)
        seen = run.observed(scenario, spec, stream_id, transcript, variant=variant, wait_s=wait_s)
        yield seen
        if seen.upstream is None or seen.upstream.disconnect_ns is not None:
            return


def _wait_s(transcript: Transcript, most_s: float) -> float:
    """How long the mock is given to notice: not at all where the request was refused, for nobody left a stream."""
    head = transcript.capture.head
    return 0.0 if head is not None and head.status >= 400 else most_s


@play("half-close")
def half_close(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
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
    yield run.observed(scenario, spec, stream_id, transcript)


@play("stalled-reader")
def stalled_reader(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """Reads up to the first token and then nothing, while the upstream has more than any buffer should take."""
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
    seen = run.observed(scenario, spec, stream_id, transcript)
    seen.upstream = next(iter(upstream), seen.upstream)
    yield seen


@play("storm")
def storm(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
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
        yield run.observed(scenario, spec, stream_id, transcript, variant=f"client {number} of {STORM}")
