"""Lockstep: whether each token arrives before the mock releases the next."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from streamgauge.conformance.cases import Observed, Release
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import NO_KEYS, Keys, ScenarioRunner
from streamgauge.diagnosis import lockstep
from streamgauge.protocol.encoding import SUPPORTED


@scenario(
    "lockstep",
    "each token is released only after the one before it has arrived",
    mock=True,
    concurrency=Concurrency.ALONE,
    cost=Cost(2, 2),
)
def lockstep_steps(run: ScenarioRunner) -> Iterator[Observed]:
    assert run.mock is not None
    observed = in_step(run)
    if held(observed) and not lockstep.is_one_behind(observed.steps):
        keys: Keys = {"script": "lockstep", "tokens": lockstep.MEASURE_TOKENS, "ttft": "0", "itl": "0"}
        again, again_id = run.request(keys)
        assert again_id is not None
        observed.held_bytes = lockstep.measure_buffer(run.client, again, run.dialect, run.mock, again_id)
    yield observed


@scenario(
    "compressed",
    "lockstep for a client that accepts one compression, a stream for each",
    mock=True,
    concurrency=Concurrency.ALONE,
    cost=Cost(2 * len(SUPPORTED), 2 * len(SUPPORTED)),
)
def compressed(run: ScenarioRunner) -> Iterator[Observed]:
    """Each coding is offered alone: otherwise the endpoint takes its favourite, and the others stay untried."""
    for coding in SUPPORTED:
        play = partial(in_step, run, headers={"Accept-Encoding": coding}, variant=coding)
        yield held_twice_or_not(play)


def in_step(
    run: ScenarioRunner,
    keys: Keys = NO_KEYS,
    *,
    tokens: int = lockstep.TOKENS,
    every: int = 1,
    failures: int = lockstep.MAX_FAILED_STEPS,
    headers: Mapping[str, str | None] | None = None,
    variant: str | None = None,
) -> Observed:
    """A lockstep stream, which releases `every` so many tokens at a time, and ends after `failures` late steps."""
    assert run.mock is not None
    whole = {"script": "lockstep", "tokens": tokens, "ttft": "0", "itl": "0", **keys}
    spec, stream_id = run.request(whole, headers=headers)
    assert stream_id is not None
    steps = lockstep.play(
        run.client,
        spec,
        run.dialect,
        run.mock,
        stream_id,
        tokens,
        run.pace.step_timeout_s,
        every=every,
        failures=failures,
    )
    observed = run.observed(spec, stream_id, steps.transcript, variant=variant)
    observed.steps = tuple(Release(step.released, step.seen, step.timed_out) for step in steps.log)
    return observed


def held_twice_or_not(play: Callable[[], Observed]) -> Observed:
    """A stream that was held back is played once more, because a busy machine can be late by itself."""
    observed = play()
    return play() if held(observed) else observed


def held(observed: Observed) -> bool:
    """Whether a token did not arrive before the next one was released."""
    return any(step.timed_out for step in observed.steps)
