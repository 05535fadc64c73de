"""The ordinary stream, and small changes to how it is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.base import DEADLINE_S, ScenarioRunner, play
from streamgauge.endpoint.client import StreamClient
from streamgauge.protocol.dialects.base import Kind
from streamgauge.wire import End

FOREIGN_ORIGIN: Final = "https://evil.example"


@play("happy", "happy-2")
def happy(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    yield run.ask(scenario)


@play("gzip")
def gzip(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
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
def http10(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Connection": "close", "Accept": None})
    yield run.probe(scenario, spec._replace(http_version="1.0"), stream_id, variant="no Accept")


@play("accept")
def accept(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Accept": "application/json"})
    yield run.probe(scenario, spec, stream_id, variant="Accept: application/json")


@play("cors")
def cors(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    spec, _ = run.request()
    headers = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": spec.method}
    preflight = spec._replace(method="OPTIONS", headers=headers, body=None)
    seen = run.probe(scenario, preflight, None, variant="a preflight")
    seen.origin = FOREIGN_ORIGIN
    yield seen


@play("http2")
def http2(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """Over TLS, where ALPN says whether it is offered; in clear text it has to be asked for."""
    if run.target.http2 or not run.target.url.startswith("https"):
        return
    target = msgspec.structs.replace(run.target, http2=True)
    spec, stream_id = run.request()
    with StreamClient.to(target) as client:
        yield run._replace(client=client).probe(scenario, spec, stream_id)
        run.client.exchanges += client.exchanges


@play("reconnect")
def reconnect(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """As an EventSource does, with which a page asks by GET: again after the end, with the last id."""
    spec, stream_id = run.request({"tokens": 4, "ttft": "1ms", "itl": "1ms"})
    if spec.method != "GET":
        return
    first = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(scenario, spec, stream_id, first, variant="the first time")
    if not first.is_stream or first.first(Kind.DONE) or first.capture.end is not End.COMPLETE:
        return
    last_id = next((event.id for event in reversed(first.events) if event.id), "")
    again = spec._replace(headers=spec.headers | {"Last-Event-ID": last_id}) if last_id else spec
    transcript = run.client.run(again, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(scenario, again, stream_id, transcript, variant="the reconnect")
