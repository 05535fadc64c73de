"""Lockstep: whether each token arrives before the mock releases the next."""

from collections.abc import Iterator

from streamgauge.conformance.cases import Observed, Release
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.diagnosis import lockstep


@scenario(
    "lockstep",
    "each token is released only after the one before it has arrived",
    mock=True,
    concurrency=Concurrency.ALONE,
)
def lockstep_steps(run: ScenarioRunner) -> Iterator[Observed]:
    assert run.mock is not None
    tokens = lockstep.TOKENS
    spec, stream_id = run.request({"script": "lockstep", "tokens": tokens, "ttft": "0", "itl": "0"})
    assert stream_id is not None
    steps = lockstep.play(run.client, spec, run.dialect, run.mock, stream_id, tokens, run.pace.step_timeout_s)
    observed = run.observed(spec, stream_id, steps.transcript)
    observed.steps = tuple(Release(step.released, step.seen, step.timed_out) for step in steps.log)
    if not steps.passed and not steps.one_behind:
        keys: Keys = {"script": "lockstep", "tokens": lockstep.MEASURE_TOKENS, "ttft": "0", "itl": "0"}
        again, again_id = run.request(keys)
        assert again_id is not None
        observed.held_bytes = lockstep.measure_buffer(run.client, again, run.dialect, run.mock, again_id)
    yield observed
