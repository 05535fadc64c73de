"""Makes the requests that feed the checks: each scenario once, whatever number of checks reads it.

The happy path goes first: without a stream there is nothing to judge. In sandwich position every prompt carries a
directive, so that the mock plays what the scenario needs and its ledger can be joined by id.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from harness import __version__, lockstep
from harness.cancelling import upstream_of
from harness.client import StreamClient, not_a_stream
from harness.conformance import checks as _registered  # noqa: F401 - importing it declares the checks
from harness.conformance.cases import Case, Observed, Position, Step
from harness.conformance.optins import NOTHING, Allowed
from harness.conformance.registry import Check, judge
from harness.conformance.result import CheckResult, ChecksFile, Verdict
from harness.conformance.scenarios import SCENARIOS
from harness.dialects.base import Media
from harness.secrets import is_secret
from harness.stream import StreamReader, Transcript
from harness.target import RequestSpec, Target, directive
from harness.transport.connection import Close
from harness.truth import Mock

DEADLINE_S: Final = 120.0
PROBE_DEADLINE_S: Final = 15.0
LEAVE_AFTER_TOKENS: Final = 5
LEAVE_EARLY_S: Final = 0.5
CANCEL_WAIT_S: Final = 11.0
EARLY_WAIT_S: Final = 4.0
FOREIGN_ORIGIN: Final = "https://evil.example"

# What the mock streams for `text=KIND` from seed 0: stated here again, because the two sides share no code. A test
# compares them.
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "unicode": (" café", " naïve", " straße", " 日本語", " да", " €", " 🌍", " 👩‍💻"),
    "newlines": (" one\n", "\n", "\n\n", " two\nthree", "\nfour", " five\n\nsix\n", " seven"),
    "whitespace": (" ", "  ", "\t", " left", "right ", "  both  ", "\ttab\t", "none"),
    "separators": (" a\u2028b", "\u2029", " c\u0085d", "\x0b", " e\x0cf", "g"),
    "injection": (
        " x\n\ndata: [DONE]\n\n",
        " y\nevent: done\ndata: {}\n\n",
        "\nid: 7\nretry: 1\n",
        "data: forged",
        ": comment",
        "[DONE]",
        '","done":true,"x":"',
    ),
    "big": (" " + "0123456789abcdef" * 6_400, " small"),
}


class Pace(NamedTuple):
    """The mock's ordinary stream: long enough for flush.incremental to tell a burst from a flow."""

    tokens: int = 40
    ttft: str = "50ms"
    itl: str = "30ms"
    step_timeout_s: float = lockstep.STEP_TIMEOUT_S


Keys = Mapping[str, str | int]
"""What a directive says beyond its id."""

Progress = Callable[[str, int, int], None]
"""What is being tried, and how many scenarios of how many are done."""


def check(
    client: StreamClient,
    target: Target,
    selected: Sequence[Check],
    *,
    mock: Mock | None = None,
    public: bool = False,
    strict: bool = False,
    allowed: Allowed = NOTHING,
    pace: Pace | None = None,
    progress: Progress = lambda *_: None,
) -> ChecksFile:
    """Observe a settled target and judge it. Raises CannotMeasure when the happy path gives no stream."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    case = observe(client, target, selected, mock=mock, public=public, allowed=allowed, pace=pace, progress=progress)
    happy = case.observed[0]
    if not happy.streams:
        raise not_a_stream(happy.transcript)
    results = judge(case, selected)
    return ChecksFile(
        target=target.masked_url,
        dialect=case.dialect_name,
        position=case.position.value,
        streamgauge=__version__,
        started=started,
        strict=strict,
        requests=len(case.observed),
        summary=summary_of(results),
        results=results,
    )


def summary_of(results: Sequence[CheckResult]) -> dict[str, int]:
    """How many of each verdict, zeros included."""
    return {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}


def observe(
    client: StreamClient,
    target: Target,
    selected: Sequence[Check],
    *,
    mock: Mock | None = None,
    public: bool = False,
    allowed: Allowed = NOTHING,
    pace: Pace | None = None,
    progress: Progress = lambda *_: None,
) -> Case:
    """Run the scenarios that the selected checks read; only the first one when it gives no stream."""
    runner = _Runner(client, target, mock, pace or Pace(), allowed)
    case = Case(
        position=Position.DIRECT if mock is None else Position.SANDWICH,
        allowed=allowed.opt_ins,
        public=public,
        has_credential=any(is_secret(name) for name in target.headers),
        endpoint_is_mock=mock is not None and urlsplit(mock.url).netloc == urlsplit(target.url).netloc,
        dialect=target.reader(),
    )
    progress(SCENARIOS["happy"].summary, 0, 1)
    case.observed += runner.play("happy")
    happy = case.observed[0]
    case.method = happy.method
    if not happy.streams:
        return case
    case.dialect = runner.dialect = target.reader() or happy.transcript.dialect
    wanted = {name for one in selected if one.applies(case) is None for name in one.reads} - {"happy"}
    possible = [one for one in SCENARIOS.values() if not one.missing(mock=mock is not None, allowed=allowed.opt_ins)]
    todo = [one for one in possible if one.name in wanted]
    for done, scenario in enumerate(todo, 1):
        progress(scenario.summary, done, len(todo) + 1)
        case.observed += runner.play(scenario.name)
    progress("done", len(todo) + 1, len(todo) + 1)
    return case


class _Runner:
    def __init__(self, client: StreamClient, target: Target, mock: Mock | None, pace: Pace, allowed: Allowed) -> None:
        self._client = client
        self._target = target
        self._mock = mock
        self._pace = pace
        self._allowed = allowed
        self._offset = None if mock is None else mock.clock()
        self.dialect = target.reader()

    def play(self, scenario: str) -> list[Observed]:
        """Every request of one scenario."""
        return list(_PLAYS[scenario](self, scenario))

    # The ordinary stream, and small changes to how it is asked for.

    def _happy(self, scenario: str) -> Iterator[Observed]:
        yield self._ask(scenario)

    def _gzip(self, scenario: str) -> Iterator[Observed]:
        yield self._ask(scenario, headers={"Accept-Encoding": "gzip, deflate"}, offers_gzip=True)

    def _http10(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request(headers={"Connection": "close"})
        yield self._probe(scenario, spec._replace(http_version="1.0"), stream_id)

    def _accept(self, scenario: str) -> Iterator[Observed]:
        for value in (Media.SSE.value, "*/*", None, "application/json"):
            spec, stream_id = self._request(headers={"Accept": value})
            yield self._probe(scenario, spec, stream_id, variant=f"Accept: {value}" if value else "no Accept")

    def _cors(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request(headers={"Origin": FOREIGN_ORIGIN})
        yield self._probe(scenario, spec, stream_id, variant="a request", origin=FOREIGN_ORIGIN)
        headers = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": spec.method}
        preflight = spec._replace(method="OPTIONS", headers=headers, body=None)
        yield self._probe(scenario, preflight, None, variant="a preflight", origin=FOREIGN_ORIGIN)

    # Requests that ought to be refused.

    def _head(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request()
        yield self._probe(scenario, _without_body(spec, "HEAD"), stream_id)

    def _wrong_method(self, scenario: str) -> Iterator[Observed]:
        spec, _ = self._request()
        yield self._probe(scenario, _without_body(spec, "PUT" if spec.method == "GET" else "GET"), None)

    def _bad_json(self, scenario: str) -> Iterator[Observed]:
        spec, _ = self._request()
        for body, variant in ((b'{"message": ', "a cut-off body"), (b"[]", "an array"), (b"", "an empty body")):
            yield self._probe(scenario, spec._replace(body=body), None, variant=variant)

    def _text_plain(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request(headers={"Content-Type": "text/plain"})
        yield self._probe(scenario, spec, stream_id, variant="a body labelled text/plain")

    def _invalid(self, scenario: str) -> Iterator[Observed]:
        spec, _ = self._request()
        if spec.prompt is None:
            return
        yield self._probe(scenario, self._target.request(" "), None, variant="a blank prompt")
        if spec.body is not None and (body := _without_prompt(spec)) is not None:
            yield self._probe(scenario, spec._replace(body=body), None, variant="a missing prompt")

    def _no_auth(self, scenario: str) -> Iterator[Observed]:
        secret = {name: value for name, value in self._target.headers.items() if is_secret(name)}
        if not secret:
            return
        for variant, headers in (
            ("no credential", dict.fromkeys(secret)),
            ("a wrong credential", {name: f"{value}x" for name, value in secret.items()}),
        ):
            spec, stream_id = self._request(headers=headers)
            yield self._probe(scenario, spec, stream_id, variant=variant)

    def _no_stream(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request({"tokens": 4})
        body = _json_object(spec.body)
        if body is not None and "stream" in body:
            body = {name: value for name, value in body.items() if name != "stream_options"} | {"stream": False}
            yield self._probe(scenario, spec._replace(body=msgspec.json.encode(body)), stream_id)

    # Streams that the mock is asked to play.

    def _said(self, scenario: str) -> Iterator[Observed]:
        pieces = TEXTS[scenario]
        keys: Keys = {"text": scenario, "tokens": len(pieces), "seed": 0, "itl": "1ms"}
        yield self._ask(scenario, keys, said="".join(pieces))

    def _mid_error(self, scenario: str) -> Iterator[Observed]:
        yield self._ask(scenario, {"tokens": 12, "itl": "1ms", "fault": "error-event:5"})

    def _mid_rst(self, scenario: str) -> Iterator[Observed]:
        yield self._ask(scenario, {"tokens": 12, "itl": "1ms", "fault": "rst:5"})

    def _pre_error(self, scenario: str) -> Iterator[Observed]:
        for status in (500, 429):
            yield self._ask(scenario, {"fault": f"status:{status}"}, variant=f"upstream status {status}")

    def _cancel_mid(self, scenario: str) -> Iterator[Observed]:
        def enough(reader: StreamReader) -> Close | None:
            return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

        spec, stream_id = self._request({"tokens": 300, "itl": "30ms"})
        transcript = self._client.run(spec, dialect=self.dialect, deadline_s=DEADLINE_S, on_token=enough)
        yield self._observed(scenario, spec, stream_id, transcript, wait_s=CANCEL_WAIT_S)

    def _cancel_early(self, scenario: str) -> Iterator[Observed]:
        spec, stream_id = self._request({"ttft": "8s", "tokens": 5})
        leave = (LEAVE_EARLY_S, Close.FIN)
        transcript = self._client.run(spec, dialect=self.dialect, deadline_s=DEADLINE_S, leave_after=leave)
        yield self._observed(scenario, spec, stream_id, transcript, wait_s=EARLY_WAIT_S)

    def _lockstep(self, scenario: str) -> Iterator[Observed]:
        assert self._mock is not None
        tokens = lockstep.TOKENS
        spec, stream_id = self._request({"script": "lockstep", "tokens": tokens, "ttft": "0", "itl": "0"})
        assert stream_id is not None
        timeout_s = self._pace.step_timeout_s
        played = lockstep.play(self._client, spec, self.dialect, self._mock, stream_id, tokens, timeout_s)
        observed = self._observed(scenario, spec, stream_id, played.transcript)
        observed.steps = tuple(Step(step.released, step.seen, step.timed_out) for step in played.log)
        if not played.passed and not played.one_behind:
            keys: Keys = {"script": "lockstep", "tokens": lockstep.MEASURE_TOKENS, "ttft": "0", "itl": "0"}
            again, again_id = self._request(keys)
            assert again_id is not None
            observed.held_bytes = lockstep.measure_buffer(self._client, again, self.dialect, self._mock, again_id)
        yield observed

    # One exchange.

    def _request(
        self, keys: Keys = MappingProxyType({}), *, headers: Mapping[str, str | None] | None = None
    ) -> tuple[RequestSpec, str | None]:
        """The request, and the id of its directive: only with a mock, whose ordinary pace the keys replace."""
        if self._mock is None:
            return self._target.request(headers=headers), None
        stream_id = uuid4().hex[:12]
        told: dict[str, str | int] = {"id": stream_id, "tokens": self._pace.tokens}
        told |= {"ttft": self._pace.ttft, "itl": self._pace.itl, **keys}
        return self._target.request(f"{self._target.prompt} {directive(**told)}", headers=headers), stream_id

    def _ask(
        self,
        scenario: str,
        keys: Keys = MappingProxyType({}),
        *,
        variant: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        offers_gzip: bool = False,
        said: str | None = None,
    ) -> Observed:
        """A stream, read to its end."""
        spec, stream_id = self._request(keys, headers=headers)
        transcript = self._client.run(spec, dialect=self.dialect, deadline_s=DEADLINE_S)
        observed = self._observed(scenario, spec, stream_id, transcript, variant=variant)
        observed.offers_gzip, observed.said = offers_gzip, said
        return observed

    def _probe(
        self,
        scenario: str,
        spec: RequestSpec,
        stream_id: str | None,
        *,
        variant: str | None = None,
        origin: str | None = None,
    ) -> Observed:
        """An answer of which the head and the first token tell enough."""
        transcript = self._client.run(spec, dialect=None, deadline_s=PROBE_DEADLINE_S, on_token=_first_token)
        observed = self._observed(scenario, spec, stream_id, transcript, variant=variant)
        observed.origin = origin
        return observed

    def _observed(
        self,
        scenario: str,
        spec: RequestSpec,
        stream_id: str | None,
        transcript: Transcript,
        *,
        variant: str | None = None,
        wait_s: float = 0.0,
    ) -> Observed:
        upstream = None
        if self._mock is not None and self._offset is not None and stream_id is not None:
            upstream = upstream_of(self._mock.entries(stream_id, wait_s), self._offset)
        return Observed(
            scenario=scenario,
            transcript=transcript,
            variant=variant,
            method=spec.method,
            url=spec.masked_url,
            request_body=spec.body,
            prompt=spec.prompt or "",
            curl=spec.curl(),
            upstream=upstream,
        )


_PLAYS: Final[dict[str, Callable[[_Runner, str], Iterator[Observed]]]] = {
    "happy": _Runner._happy,
    "happy-2": _Runner._happy,
    "gzip": _Runner._gzip,
    "http10": _Runner._http10,
    "head": _Runner._head,
    "wrong-method": _Runner._wrong_method,
    "bad-json": _Runner._bad_json,
    "text-plain": _Runner._text_plain,
    "invalid": _Runner._invalid,
    "accept": _Runner._accept,
    "no-auth": _Runner._no_auth,
    "no-stream": _Runner._no_stream,
    "cors": _Runner._cors,
    "lockstep": _Runner._lockstep,
    **dict.fromkeys(TEXTS, _Runner._said),
    "mid-error": _Runner._mid_error,
    "mid-rst": _Runner._mid_rst,
    "pre-error": _Runner._pre_error,
    "cancel-mid": _Runner._cancel_mid,
    "cancel-early": _Runner._cancel_early,
}


def _first_token(reader: StreamReader) -> Close | None:
    return Close.FIN if reader.token_events else None


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
    told = msgspec.json.encode(spec.prompt)[1:-1]
    kept = {name: value for name, value in body.items() if told not in msgspec.json.encode(value)}
    return msgspec.json.encode(kept) if len(kept) < len(body) else None
