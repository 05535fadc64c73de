"""The ordinary stream, and small variations of its request."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, ScenarioRunner
from streamgauge.endpoint.client import StreamClient
from streamgauge.protocol.dialects.base import Kind
from streamgauge.units import SECOND
from streamgauge.wire import End

FIRST_GRACE_S: Final = 6.0
LONG_TOKENS: Final = 10
LONG_NS: Final = 1 * SECOND  # below it, times do not tell a burst from a flow
LONGER_PROMPT: Final = "Write the numbers from one to one hundred in words, one on each line, and nothing else."
LONGER_TOKENS: Final = 300
WATCHED_NS: Final = SECOND // 4
"""Of a kept connection, after the end of an answer: longer than a client needs to send its next request, and far
shorter than any timeout of idle connections. Those are whole seconds: gunicorn 2, Apache, Node.js, uvicorn and
llama.cpp 5, nginx 75, Kestrel 130.
"""
FOREIGN_ORIGIN: Final = "https://evil.example"


@scenario("happy-2", "another ordinary stream, to compare with the first", concurrency=Concurrency.LAST)
@scenario("happy", "an ordinary stream", concurrency=Concurrency.FIRST)
def happy(run: ScenarioRunner) -> Iterator[Observed]:
    """The first stream has the longest grace, because it shows how long the body stays open after the end marker."""
    patience = run.client.patience
    yield run.ask(patience=patience if run.happy else patience._replace(grace_s=FIRST_GRACE_S))


@scenario("kept", "a stream whose connection is watched for a moment after its end", cost=Cost(2, 2))
def kept(run: ScenarioRunner) -> Iterator[Observed]:
    """Where the endpoint closes it, once more, on a new connection: one close may be a coincidence, such as a limit of
    requests on one connection.
    """
    for variant in ("the first connection", "the second connection"):
        seen = run.ask({"tokens": 2, "ttft": "1ms", "itl": "1ms"}, variant=variant)
        seen.kept = run.client.watch_kept(WATCHED_NS)
        yield seen
        if seen.kept is None or seen.kept.closed_ns is None:
            return


@scenario(
    "gzip",
    "an ordinary stream by a browser on another site, which offers compression",
    concurrency=Concurrency.ALONE,
    cost=Cost(2, 2),
)
def gzip(run: ScenarioRunner) -> Iterator[Observed]:
    """As a page of another site would ask: one request for three questions."""
    headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    seen = run.ask(variant="Accept: */*", headers=headers | {"Origin": FOREIGN_ORIGIN})
    seen.origin = FOREIGN_ORIGIN
    if not seen.streams:  # perhaps only because of its origin
        yield replace(seen, scenario="cors", variant="a request")
        seen = run.ask(variant="Accept: */*", headers=headers)
    seen.offers_gzip = True
    yield seen


@scenario(
    "longer",
    "an answer of some hundred words, where the times of the ordinary one say too little",
    concurrency=Concurrency.ALONE,
    cost=Cost(prompt_chars=len(LONGER_PROMPT), output_tokens=LONGER_TOKENS),
)
def longer(run: ScenarioRunner) -> Iterator[Observed]:
    """Only without a mock, whose streams are long enough."""
    if run.mock is not None or run.happy is None or not run.happy.streams or _is_drawn_out(run.happy):
        return
    limit = LONGER_TOKENS if run.target.takes_limit else None
    spec, stream_id = run.request(prompt=LONGER_PROMPT, max_tokens=limit)
    yield run.observed(spec, stream_id, run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S))


def _is_drawn_out(seen: Observed) -> bool:
    """Whether its content came over at least half a second of an answer of one second.

    A fast model writes a short answer within one burst, as a buffer would.
    """
    times = [seen.transcript.time_of(event) for event, _ in seen.transcript.tokens]
    if len(times) < LONG_TOKENS:
        return False
    return times[-1] - seen.transcript.capture.start_ns >= LONG_NS and times[-1] - times[0] >= LONG_NS // 2


@scenario("http10", "the same request as HTTP/1.0, without Accept")
def http10(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Connection": "close", "Accept": None})
    yield run.probe(spec._replace(http_version="1.0"), stream_id, variant="no Accept")


@scenario("accept", "the same request by a client that accepts only JSON")
def accept(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Accept": "application/json"})
    yield run.probe(spec, stream_id, variant="Accept: application/json")


@scenario("cors", "a preflight from a foreign Origin", cost=Cost(1, 0))
def cors(run: ScenarioRunner) -> Iterator[Observed]:
    spec, _ = run.request()
    headers = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": spec.method}
    preflight = spec._replace(method="OPTIONS", headers=headers, body=None)
    seen = run.probe(preflight, None, variant="a preflight")
    seen.origin = FOREIGN_ORIGIN
    yield seen


@scenario("http2", "the same request over HTTP/2")
def http2(run: ScenarioRunner) -> Iterator[Observed]:
    """HTTP/2 is tried over TLS, where ALPN shows whether it is offered; without TLS only with --http2."""
    if run.target.http2 or not run.target.url.startswith("https"):
        return
    target = msgspec.structs.replace(run.target, http2=True)
    spec, stream_id = run.request()
    with StreamClient.to(target) as client:
        yield run._replace(client=client).probe(spec, stream_id)
        run.client.exchanges += client.exchanges


@scenario("reconnect", "the reconnect of an EventSource after the end of a stream", cost=Cost(2, 2))
def reconnect(run: ScenarioRunner) -> Iterator[Observed]:
    """As an EventSource does, with which a page asks by GET: again after the end, with the last id."""
    spec, stream_id = run.request({"tokens": 4, "ttft": "1ms", "itl": "1ms"})
    if spec.method != "GET":
        return
    first = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(spec, stream_id, first, variant="the first time")
    if not first.is_stream or first.first(Kind.DONE) or first.capture.end is not End.COMPLETE:
        return
    last_id = next((event.id for event in reversed(first.events) if event.id), "")
    again = spec._replace(headers=spec.headers | {"Last-Event-ID": last_id}) if last_id else spec
    transcript = run.client.run(again, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(again, stream_id, transcript, variant="the reconnect")
