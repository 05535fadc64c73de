"""Failures of the upstream, and answers that are more than text, which the mock is asked to play."""

from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.declared_scenarios import CUT_AFTER_TOKENS
from streamgauge.conformance.scenarios.base import ScenarioRunner, play

# What the mock's error says with `fault=error-lines` and `status-lines`: stated here again, and compared by a test.
LINES: Final = (
    "the upstream model failed while it was generating\nstreamgauge-second line\r\n\r\nstreamgauge-third line"
)


@play("mid-error")
def mid_error(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 12, "itl": "1ms", "fault": "error-lines:5"})


@play("mid-cut")
def mid_cut(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 12, "itl": "1ms", "fault": f"fin-mid-event:{CUT_AFTER_TOKENS}"})


@play("mid-end")
def mid_end(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """What a cut looks like behind a proxy or an SDK that ends the body in good order all the same."""
    if run.asks_the_mock:
        return
    yield run.ask(scenario, {"tokens": 12, "itl": "1ms", "fault": f"cut-mid-event:{CUT_AFTER_TOKENS}"})


@play("pre-error")
def pre_error(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    for status in (500, 429):
        yield run.ask(scenario, {"fault": f"status-lines:{status}"}, variant=f"upstream status {status}")


@play("too-long")
def too_long(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"fault": "context-length"})


@play("filtered")
def filtered(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 6, "itl": "1ms", "finish": "content_filter"})


@play("tools")
def tools(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 12, "tools": 2, "reasoning": 3, "itl": "1ms"})
