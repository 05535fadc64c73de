"""The ordinary stream, and small changes to how it is asked for."""

from collections.abc import Iterator
from typing import Final

from harness.conformance.cases import Observed
from harness.dialects.base import Media
from harness.plays.base import Runner, play

FOREIGN_ORIGIN: Final = "https://evil.example"


@play("happy", "happy-2")
def happy(run: Runner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario)


@play("gzip")
def gzip(run: Runner, scenario: str) -> Iterator[Observed]:
    seen = run.ask(scenario, headers={"Accept-Encoding": "gzip, deflate"})
    seen.offers_gzip = True
    yield seen


@play("http10")
def http10(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Connection": "close"})
    yield run.probe(scenario, spec._replace(http_version="1.0"), stream_id)


@play("accept")
def accept(run: Runner, scenario: str) -> Iterator[Observed]:
    for value in (Media.SSE.value, "*/*", None, "application/json"):
        spec, stream_id = run.request(headers={"Accept": value})
        yield run.probe(scenario, spec, stream_id, variant=f"Accept: {value}" if value else "no Accept")


@play("cors")
def cors(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Origin": FOREIGN_ORIGIN})
    headers = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": spec.method}
    preflight = spec._replace(method="OPTIONS", headers=headers, body=None)
    for asked, told, variant in ((spec, stream_id, "a request"), (preflight, None, "a preflight")):
        seen = run.probe(scenario, asked, told, variant=variant)
        seen.origin = FOREIGN_ORIGIN
        yield seen
