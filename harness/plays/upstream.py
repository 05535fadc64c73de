"""Failures of the upstream, which the mock is asked to play."""

from collections.abc import Iterator

from harness.conformance.cases import Observed
from harness.plays.base import Runner, play


@play("mid-error")
def mid_error(run: Runner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 12, "itl": "1ms", "fault": "error-event:5"})


@play("mid-rst")
def mid_rst(run: Runner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario, {"tokens": 12, "itl": "1ms", "fault": "rst:5"})


@play("pre-error")
def pre_error(run: Runner, scenario: str) -> Iterator[Observed]:
    for status in (500, 429):
        yield run.ask(scenario, {"fault": f"status:{status}"}, variant=f"upstream status {status}")
