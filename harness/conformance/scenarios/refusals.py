"""Requests that ought to be refused, or answered in another way than with a stream."""

from collections.abc import Iterator

import msgspec

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import scenario
from streamgauge.conformance.scenarios.runner import ScenarioRunner
from streamgauge.endpoint.mock_ledger import digest_of
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.secrets import is_secret


@scenario("head", "HEAD on the same URL", cost=Cost(1, 0))
def head(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request()
    yield run.probe(_without_body(spec, "HEAD"), stream_id)


@scenario("wrong-method", "the method that the endpoint does not serve", cost=Cost(1, 0))
def wrong_method(run: ScenarioRunner) -> Iterator[Observed]:
    spec, _ = run.request()
    yield run.probe(_without_body(spec, "PUT" if spec.method == "GET" else "GET"), None)


@scenario("bad-json", "bodies that are not what the endpoint accepts", cost=Cost(1, 0))
def bad_json(run: ScenarioRunner) -> Iterator[Observed]:
    """JSON of the wrong shape is what `invalid` sends."""
    spec, _ = run.request()
    yield run.probe(spec._replace(body=b'{"message": '), None, variant="a cut-off body")


@scenario("text-plain", "the valid body labelled text/plain")
def text_plain(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request(headers={"Content-Type": "text/plain"})
    yield run.probe(spec, stream_id, variant="a body labelled text/plain")


@scenario("invalid", "a missing and a blank prompt", cost=Cost(2, 2))
def invalid(run: ScenarioRunner) -> Iterator[Observed]:
    spec, _ = run.request()
    if spec.prompt is None:
        return
    yield run.probe(run.target.request(" "), None, variant="a blank prompt")
    if spec.body is not None and (body := _without_prompt(spec)) is not None:
        yield run.probe(spec._replace(body=body), None, variant="a missing prompt")


@scenario("no-auth", "without and with a wrong credential", cost=Cost(2, 2))
def no_auth(run: ScenarioRunner) -> Iterator[Observed]:
    secret = {name: value for name, value in run.target.headers.items() if is_secret(name)}
    if not secret:
        return
    for variant, headers in (
        ("no credential", dict.fromkeys(secret)),
        ("a wrong credential", {name: f"{value}x" for name, value in secret.items()}),
    ):
        spec, stream_id = run.request(headers=headers)
        seen = run.probe(spec, stream_id, variant=variant)
        wrong = [value for value in headers.values() if value is not None]
        seen.credentials = frozenset(digest_of(key) for value in wrong for key in (value, value.partition(" ")[2]))
        yield seen


@scenario("no-stream", "the same request with stream: false")
def no_stream(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request({"tokens": 4})
    body = _json_object(spec.body)
    if body is not None and "stream" in body:
        body = {name: value for name, value in body.items() if name != "stream_options"} | {"stream": False}
        yield run.probe(spec._replace(body=msgspec.json.encode(body)), stream_id)


def _without_body(spec: RequestSpec, method: str) -> RequestSpec:
    headers = {name: value for name, value in spec.headers.items() if name.lower() != "content-type"}
    return spec._replace(method=method, body=None, headers=headers)


def _json_object(body: bytes | None) -> dict[str, object] | None:
    try:
        value = msgspec.json.decode(body or b"")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def _without_prompt(spec: RequestSpec) -> bytes | None:
    """The body without the top-level field that holds the prompt; None when that field cannot be told."""
    body = _json_object(spec.body)
    if body is None or not spec.prompt:
        return None
    prompt = msgspec.json.encode(spec.prompt)[1:-1]
    kept = {name: value for name, value in body.items() if prompt not in msgspec.json.encode(value)}
    return msgspec.json.encode(kept) if len(kept) < len(body) else None
