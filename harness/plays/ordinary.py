"""The ordinary stream, and small changes to how it is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from harness.conformance.cases import Observed
from harness.plays.base import Runner, play

FOREIGN_ORIGIN: Final = "https://evil.example"


@play("happy", "happy-2")
def happy(run: Runner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario)


@play("gzip")
def gzip(run: Runner, scenario: str) -> Iterator[Observed]:
    """As a page of another site would ask: one request for three questions."""
    headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    seen = run.ask(scenario, variant="Accept: */*", headers=headers | {"Origin": FOREIGN_ORIGIN})
    seen.origin = FOREIGN_ORIGIN
    if not seen.streams:  # perhaps only because of its origin
        yield replace(seen, scenario="cors", variant="a request")
        seen = run.ask(scenario, variant="Accept: */*", headers=headers)
    seen.offers_gzip = True
    yield seen


@play("http10")
def http10(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Connection": "close", "Accept": None})
    yield run.probe(scenario, spec._replace(http_version="1.0"), stream_id, variant="no Accept")


@play("accept")
def accept(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Accept": "application/json"})
    yield run.probe(scenario, spec, stream_id, variant="Accept: application/json")


@play("cors")
def cors(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, _ = run.request()
    headers = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": spec.method}
    preflight = spec._replace(method="OPTIONS", headers=headers, body=None)
    seen = run.probe(scenario, preflight, None, variant="a preflight")
    seen.origin = FOREIGN_ORIGIN
    yield seen
