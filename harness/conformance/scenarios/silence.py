"""Silences of the upstream: in mid-stream, before the first token, and for ever. They run only with --long."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import Allowed, OptIn
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.units import MS, SECOND

# In heartbeats of 15 s each: 50 s and 40 s, longer than the 30 s after which the first intermediaries (CloudFront) cut.
MIDDLE: Final = 10 / 3
START: Final = 8 / 3
TRICKLES: Final = 15  # tokens in the time of a heartbeat: one a second
SPARE_S: Final = 10.0
STOPS_WITHIN_S: Final = 3.0  # an upstream whose stream the endpoint has ended


def longest(allowed: Allowed) -> Cost:
    """One request, which waits as long as --max-duration allows."""
    return Cost(longest_s=(allowed.long_ns or 0) / SECOND + SPARE_S)


idle: Final = partial(scenario, mock=True, opt_in=(OptIn.LONG,), concurrency=Concurrency.IDLE, cost=longest)


@idle("quiet-middle", "a long silence in mid-stream")
def quiet_middle(run: ScenarioRunner) -> Iterator[Observed]:
    silence_ns = _bounded(run, MIDDLE)
    yield _ask(run, silence_ns, {"tokens": 8, "itl": "5ms", "fault": f"stall:{silence_ns // MS}ms@5"})


@idle("quiet-start", "a long silence before the first token")
def quiet_start(run: ScenarioRunner) -> Iterator[Observed]:
    silence_ns = _bounded(run, START)
    yield _ask(run, silence_ns, {"tokens": 3, "itl": "5ms", "ttft": f"{silence_ns // MS}ms"})


@idle("late-head", "an upstream that sends not even its head before the first token")
def late_head(run: ScenarioRunner) -> Iterator[Observed]:
    if run.asks_the_mock:  # its head is not an upstream's
        return
    silence_ns = _bounded(run, START)
    keys: Keys = {"tokens": 3, "itl": "5ms", "ttft": f"{silence_ns // MS}ms", "fault": "late-head"}
    yield _ask(run, silence_ns, keys)


@idle("quiet-forever", "an upstream that stops for ever after 3 tokens")
def quiet_forever(run: ScenarioRunner) -> Iterator[Observed]:
    assert run.allowed.long_ns is not None
    patience_s = run.allowed.long_ns / SECOND
    yield _ask(run, None, {"tokens": 8, "itl": "5ms", "fault": "stall@3"}, patience_s)


@idle("quiet-silent", "an upstream that never answers")
def quiet_silent(run: ScenarioRunner) -> Iterator[Observed]:
    assert run.allowed.long_ns is not None
    yield _ask(run, None, {"fault": "no-answer"}, run.allowed.long_ns / SECOND)


@idle("trickle", "an upstream that never comes to an end")
def trickle(run: ScenarioRunner) -> Iterator[Observed]:
    assert run.allowed.long_ns is not None
    every_ms = round(run.pace.heartbeat_s * 1000 / TRICKLES)
    keys: Keys = {"script": "endless", "itl": f"{every_ms}ms"}
    yield _ask(run, None, keys, run.allowed.long_ns / SECOND, wait_s=STOPS_WITHIN_S)


def _bounded(run: ScenarioRunner, heartbeats: float) -> int:
    assert run.allowed.long_ns is not None
    return min(round(run.pace.heartbeat_s * heartbeats * SECOND), run.allowed.long_ns)


def _ask(
    run: ScenarioRunner, silence_ns: int | None, keys: Keys, patience_s: float | None = None, wait_s: float = 0.0
) -> Observed:
    if patience_s is None:
        patience_s = (silence_ns or 0) / SECOND + SPARE_S
    spec, stream_id = run.request(keys)
    with run.beside(timeout_s=patience_s) as patient:
        transcript = patient.client.run(spec, dialect=run.dialect, deadline_s=patience_s)
    seen = run.observed(spec, stream_id, transcript, wait_s=wait_s)
    seen.silence_ns = silence_ns
    return seen
