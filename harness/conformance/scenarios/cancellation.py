"""Clients that leave before the answer is complete."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, Part, scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, NO_KEYS, Keys, ScenarioRunner
from streamgauge.diagnosis.cancel_matrix import leave, upstream_of
from streamgauge.diagnosis.cancellation import (
    EARLY,
    ITL,
    MID,
    MOST_CLOSES,
    TOKENS,
    CancelRow,
    Phase,
    enough,
    judge_cancellation,
    overall,
)
from streamgauge.endpoint.client import OnToken
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 5
CLOSES: Final = Cost(MOST_CLOSES, MOST_CLOSES)
STORM: Final = 20  # clients
READ_ON_S: Final = 2.0
HALF_CLOSED_S: Final = 8.0
STALLED_TOKENS: Final = 1000  # 50 MB


HEADLESS: Final = "cancel-headless"
PHASE_OF: Final[Mapping[str, Phase]] = {"cancel-mid": MID, "cancel-early": EARLY, HEADLESS: EARLY}


@scenario("cancel-mid", "the client leaves after 5 tokens, several times", mock=True, cost=CLOSES)
def cancel_mid(run: ScenarioRunner) -> Iterator[Observed]:
    yield from _closes(run, Close.FIN)


@scenario(
    "cancel-early",
    "the client leaves before the first token, by a reset, several times",
    mock=True,
    cost=CLOSES._replace(requests=2 * MOST_CLOSES, answers=2 * MOST_CLOSES),
    parts=(Part(HEADLESS, "the same while the upstream's head, which comes with the first token, is awaited"),),
)
def cancel_early(run: ScenarioRunner) -> Iterator[Observed]:
    """Leaves by a reset. If the upstream misses it, leaves again by an orderly close, to see whether that differs.

    If not, leaves again while the head is awaited: many model servers send none before the first token, and a relay
    still awaits the answer to its call then.
    """
    how = Close.RST_STREAM if run.target.http2 else Close.RST
    seen = list(_closes(run, how))
    yield from seen
    if overall([close_of(one) for one in seen]).missed:
        yield from _closes(run, Close.FIN)
    elif not run.asks_the_mock:
        yield from (replace(one, scenario=HEADLESS) for one in _closes(run, how, {"fault": "late-head"}))


def _closes(run: ScenarioRunner, how: Close, keys: Keys = NO_KEYS) -> Iterator[Observed]:
    """As many closes of one kind as settle the verdict."""
    phase, rows = PHASE_OF[run.scenario], list[CancelRow]()
    while not enough(rows):
        spec, stream_id = run.request({"tokens": TOKENS, "ttft": phase.ttft, "itl": ITL, **keys})
        transcript = leave(run.client, spec, run.dialect, phase, how, keep=True)
        variant = f"{how.value.upper()}, close {len(rows) + 1}"
        seen = run.observed(spec, stream_id, transcript, variant=variant, wait_s=_wait_s(transcript, phase.wait_s))
        rows.append(close_of(seen))
        yield seen


def close_of(seen: Observed) -> CancelRow:
    """The verdict on one close."""
    method = (seen.variant or "FIN").partition(",")[0]
    phase = PHASE_OF[seen.scenario]
    return judge_cancellation(seen.transcript, seen.upstream, path=seen.label, phase=phase, method=method)


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
