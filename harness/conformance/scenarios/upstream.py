"""Failures of the upstream, and answers that are more than text. The mock plays them on request."""

from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import scenario
from streamgauge.conformance.scenarios.runner import ScenarioRunner

CUT_AFTER_TOKENS: Final = 5  # of the upstream's, in `mid-cut` and `mid-end`
# The mock's error message with `fault=error-lines` and `status-lines`. A test compares the two copies.
LINES: Final = (
    "the upstream model failed while it was generating\nstreamgauge-second line\r\n\r\nstreamgauge-third line"
)


@scenario("mid-error", "the upstream reports an error after some tokens", mock=True)
def mid_error(run: ScenarioRunner) -> Iterator[Observed]:
    yield run.ask({"tokens": 12, "itl": "1ms", "fault": "error-lines:5"})


@scenario("mid-cut", "the upstream's connection ends in the middle of an event", mock=True)
def mid_cut(run: ScenarioRunner) -> Iterator[Observed]:
    yield run.ask({"tokens": 12, "itl": "1ms", "fault": f"fin-mid-event:{CUT_AFTER_TOKENS}"})


@scenario("mid-end", "the upstream's answer ends cleanly in the middle, without its end marker", mock=True)
def mid_end(run: ScenarioRunner) -> Iterator[Observed]:
    """What a cut looks like behind a proxy or an SDK that ends the body in good order all the same."""
    if run.asks_the_mock:
        return
    yield run.ask({"tokens": 12, "itl": "1ms", "fault": f"cut-mid-event:{CUT_AFTER_TOKENS}"})


@scenario("pre-error", "the upstream refuses before the first token", mock=True, cost=Cost(2, 2))
def pre_error(run: ScenarioRunner) -> Iterator[Observed]:
    for status in (500, 429):
        seen = run.ask({"fault": f"status-lines:{status}"}, variant=f"upstream status {status}")
        seen.size = status
        yield seen
        if seen.hang is not None:
            return  # the other status would hang for as long, and add nothing


@scenario("too-long", "the upstream says that the prompt is too long", mock=True)
def too_long(run: ScenarioRunner) -> Iterator[Observed]:
    yield run.ask({"fault": "context-length"})


@scenario("filtered", "an answer that ends at the upstream's content filter", mock=True)
def filtered(run: ScenarioRunner) -> Iterator[Observed]:
    yield run.ask({"tokens": 6, "itl": "1ms", "finish": "content_filter"})


@scenario("tools", "reasoning, then two tool calls", mock=True)
def tools(run: ScenarioRunner) -> Iterator[Observed]:
    yield run.ask({"tokens": 12, "tools": 2, "reasoning": 3, "itl": "1ms"})
