"""What takes waiting, load or a second user, against the embedded mock: each knob and fault flips its check."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import msgspec
import pytest

from streamgauge.conformance import run
from streamgauge.conformance.checks.security import MOCK_WORDS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.permissions import NOTHING, Allowed
from streamgauge.conformance.result import CheckResult
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.conformance.selection import select
from streamgauge.conformance.upstream_errors import upstream_errors
from streamgauge.endpoint.client import StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig
from streamgauge.units import MS

CHAT, TOKEN_DONE, JSON_STRING = "/v1/chat/completions", "/api/chat/stream", "/api/chat/stream?message=x"
OLLAMA = "/api/chat"
DIALECTS = {OLLAMA: "ollama", CHAT: "openai-chat", TOKEN_DONE: "token-done", JSON_STRING: "json-string"}
# Heartbeats are expected every 0.3 s instead of 15 s, and everything that waits for them is as much shorter.
PACE = Pace(tokens=16, ttft="1ms", itl="1ms", heartbeat_s=0.3, hold_s=0.6)


def results(
    path: str, patterns: list[str], allowed: Allowed = NOTHING, pace: Pace = PACE, **config: Any
) -> dict[str, CheckResult]:
    """What the checks say of a mock, by id."""
    settings: dict[str, Any] = {"tokens": 16, "ttft": "1ms", "itl": "1ms", **config}
    headers = {"Authorization": "Bearer first-user"}
    with MockServer(MockConfig(**settings)) as server, StreamClient() as client, MockControl(server.url) as mock:
        target = Target(url=server.url + path, dialect=DIALECTS[path], headers=headers)
        case = run.observe(client, target, select(patterns), mock=mock, allowed=allowed, pace=pace)
    return {one.id: one for one in judge_case(case, select(patterns))}


def verdicts(path: str, patterns: list[str], allowed: Allowed = NOTHING, **config: Any) -> dict[str, str]:
    """The same, as words."""
    return {name: one.verdict.value for name, one in results(path, patterns, allowed, **config).items()}


SECOND = Allowed(second_key="second-user")
HONOURED, REGENERATED, SCOPED = "resume.last-event-id-honoured", "resume.no-regeneration", "security.replay-scoped"


@pytest.fixture(scope="module")
def mocked() -> Iterator[MockServer]:
    """A clean mock."""
    with MockServer(MockConfig(tokens=16, ttft="1ms", itl="1ms")) as server:
        yield server


QUIET = ["liveness.heartbeat-idle-15s", "liveness.heartbeat-before-first-token", "liveness.heartbeat-not-masking-stall"]


@pytest.mark.parametrize(
    ("heartbeat", "bound_ms", "expected"),
    [(None, 1100, ["warn", "warn", "not-applicable"]), ("80ms", 3700, ["pass", "pass", "warn"])],
)
def test_heartbeats_keep_a_silent_stream_alive_and_can_hide_a_dead_one(
    heartbeat: str | None, bound_ms: int, expected: list[str]
) -> None:
    """The mock sends them, or not; three long silences are waited through side by side."""
    found = verdicts(CHAT, QUIET, Allowed(long_ns=bound_ms * MS), heartbeat=heartbeat)

    assert found == dict(zip(QUIET, expected, strict=True))


def test_a_wait_that_is_bounded_too_short_says_so() -> None:
    """Not a pass: what --max-duration leaves is too little to judge."""
    found = results(CHAT, [QUIET[0]], Allowed(long_ns=200 * MS), heartbeat="80ms")

    assert found[QUIET[0]].verdict == "inconclusive"
    assert "--max-duration" in (found[QUIET[0]].needs or "")


def test_what_was_not_allowed_is_inconclusive_and_names_its_flag() -> None:
    """Nothing long is waited for without --long."""
    found = results(CHAT, QUIET)

    assert {(one.verdict.value, one.needs) for one in found.values()} == {("inconclusive", "--long")}


LOAD = Allowed(streams=6, second_key="second-user")
CONCURRENCY, RATE, USER, ISOLATION = (
    f"limits.{name}" for name in ("concurrency-429", "rate-429", "per-user-not-global", "parallel-isolation")
)


@pytest.mark.parametrize(
    ("check", "config", "expected"),
    [
        (CONCURRENCY, {"slots": 3, "queue_policy": "reject"}, "pass"),
        (CONCURRENCY, {"key_slots": 3, "faults": ("overload-status",)}, "warn"),
        (CONCURRENCY, {"key_slots": 3, "faults": ("overload-status:500",)}, "warn"),
        (CONCURRENCY, {}, "inconclusive"),
        (RATE, {"key_rate": 5}, "pass"),
        (RATE, {"key_rate": 5, "faults": ("overload-status",)}, "warn"),
        (RATE, {"key_rate": 5, "faults": ("overload-status:502",)}, "warn"),
        (RATE, {}, "inconclusive"),
        (USER, {"key_slots": 3}, "pass"),
        (USER, {"slots": 3, "queue_policy": "reject"}, "warn"),
        (USER, {}, "inconclusive"),
        (ISOLATION, {}, "pass"),
        (ISOLATION, {"faults": ("crossed-streams",)}, "fail"),
    ],
)
def test_limits_are_found_by_many_requests(check: str, config: dict[str, Any], expected: str) -> None:
    """What the mock does when a slot or a quota is used up, and when a token strays."""
    assert verdicts(CHAT, [check], LOAD, **config) == {check: expected}


@pytest.mark.parametrize(("faults", "expected"), [((), "pass"), (("no-retry-after",), "warn")])
def test_a_refusal_says_when_to_come_again(faults: tuple[str, ...], expected: str) -> None:
    """A burst uses the quota up."""
    found = results(CHAT, ["headers.retry-after", RATE], LOAD, key_rate=5, faults=faults)

    assert found["headers.retry-after"].verdict == expected


@pytest.mark.parametrize(
    ("check", "path", "faults", "expected"),
    [
        ("limits.input-size", CHAT, (), "pass"),
        ("limits.input-size", CHAT, ("no-input-limit",), "warn"),
        ("limits.input-size", JSON_STRING, (), "pass"),
        ("limits.input-size", JSON_STRING, ("no-input-limit",), "warn"),
        ("limits.max-output-honoured", CHAT, (), "pass"),
        ("limits.max-output-honoured", CHAT, ("ignores-max-tokens",), "warn"),
        ("limits.max-output-honoured", TOKEN_DONE, ("ignores-max-tokens",), "not-applicable"),
        ("limits.max-output-honoured", OLLAMA, (), "pass"),  # whose limit has another name and place
        ("limits.max-output-honoured", OLLAMA, ("ignores-max-tokens",), "warn"),
    ],
)
def test_limits_of_a_single_request(check: str, path: str, faults: tuple[str, ...], expected: str) -> None:
    """Neither takes an opt-in."""
    assert verdicts(path, [check], faults=faults) == {check: expected}


def test_the_limit_stands_where_a_dialect_that_was_recognised_has_it(mocked: MockServer) -> None:
    """Ollama's is called num_predict, which the request that found out how to ask did not hold."""
    with StreamClient() as client, MockControl(mocked.url) as mock:
        target = settle(client, Target(url=mocked.url + OLLAMA))
        report = run.check(client, target, select(["limits.max-output-honoured"]), mock=mock, pace=PACE)

    assert [one.verdict for one in report.results] == ["pass"]


def test_a_load_is_as_large_as_was_allowed(mocked: MockServer) -> None:
    """Six streams at once, each seen by the mock; and nothing of them without the flag."""
    for allowed, count in ((LOAD, 6), (NOTHING, 0)):
        with StreamClient() as client, MockControl(mocked.url) as mock:
            target = Target(url=mocked.url + CHAT)
            case = run.observe(client, target, select([CONCURRENCY]), mock=mock, allowed=allowed, pace=PACE)
        assert len(case.of(["saturate"])) == count
        assert all(one.upstream for one in case.observed)


def test_what_is_printed_of_an_oversized_prompt_is_short(mocked: MockServer) -> None:
    """A million characters are sent, and no result holds them."""
    with StreamClient() as client, MockControl(mocked.url) as mock:
        report = run.check(client, Target(url=mocked.url + CHAT), select(["limits"]), mock=mock, pace=PACE)

    assert len(str(report)) < 40_000


def test_the_second_key_is_in_no_result(mocked: MockServer) -> None:
    """It is sent, and what is quoted of the answers does not show it."""
    key = "second-user-of-the-test"
    allowed = Allowed(streams=2, second_key=key)
    with StreamClient() as client, MockControl(mocked.url) as mock:
        report = run.check(
            client, Target(url=mocked.url + CHAT), select(["limits"]), mock=mock, allowed=allowed, pace=PACE
        )

    assert key not in str(report)


@pytest.mark.parametrize(
    ("path", "fault", "expected"),
    [
        (TOKEN_DONE, None, ["not-applicable", "not-applicable", "not-applicable"]),
        (JSON_STRING, None, ["not-applicable", "warn", "not-applicable"]),
        (TOKEN_DONE, "resumable", ["pass", "pass", "pass"]),
        (TOKEN_DONE, "resume-gap", ["warn", "pass", "pass"]),
        (TOKEN_DONE, "resume-unscoped", ["pass", "pass", "fail"]),
        (TOKEN_DONE, "ids", ["warn", "warn", "pass"]),
        (TOKEN_DONE, "retry", ["not-applicable", "warn", "not-applicable"]),
        (JSON_STRING, "resumable", ["pass", "pass", "pass"]),
        (CHAT, "resumable", ["pass", "pass", "pass"]),
    ],
)
def test_a_stream_is_taken_up_again(path: str, fault: str | None, expected: list[str]) -> None:
    """By the user it belongs to, after the last event, without a second generation, or not so."""
    found = verdicts(path, [HONOURED, REGENERATED, SCOPED], SECOND, faults=(fault,) if fault else ())

    assert found == dict(zip([HONOURED, REGENERATED, SCOPED], expected, strict=True))


class Relay(BaseHTTPRequestHandler):
    """An application in front of the mock, with a path of its own, that passes every answer on as it is."""

    upstream = ""

    def do_POST(self) -> None:
        """One answer, ended by closing the connection."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with httpx.Client(verify=False, trust_env=False) as client:
            try:
                answer = client.post(self.upstream, content=body, headers={"Content-Type": "application/json"})
            except httpx.TransportError:
                answer = httpx.Response(502, json={"title": "no answer"})
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_an_application_that_passes_the_models_errors_on(mocked: MockServer) -> None:
    """The mock's own words arrive by way of another path: the application does not keep them for itself."""
    handler = type("ToMock", (Relay,), {"upstream": mocked.url + TOKEN_DONE})
    patterns = ["security.no-raw-provider-error"]
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        StreamClient() as client,
        MockControl(mocked.url) as mock,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(url=f"http://127.0.0.1:{server.server_port}/app", method="POST", dialect="token-done")
        target = msgspec.structs.replace(target, body='{"message":"{{prompt}}"}')
        (result,) = judge_case(run.observe(client, target, select(patterns), mock=mock, pace=PACE), select(patterns))
        server.shutdown()

    assert result.verdict == "fail"
    assert result.actual.startswith("the body contains the model's own error text")


@pytest.mark.parametrize(
    ("faults", "expected"), [((), "pass"), (("secret-in-error",), "fail"), (("stack-trace",), "fail")]
)
def test_a_providers_words_are_known(faults: tuple[str, ...], expected: str) -> None:
    """The mock as an application: its own words are its own, those of a provider are not."""
    check = "security.no-raw-provider-error"

    assert verdicts(TOKEN_DONE, [check], faults=faults) == {check: expected}


def test_the_mocks_words_are_the_mocks() -> None:
    """Stated on both sides, so compared here."""
    with MockServer(MockConfig()) as server, httpx.Client(verify=False, trust_env=False) as client:
        heard = [
            client.post(server.url + TOKEN_DONE, json={"message": f"[[mock tokens=2 ttft=0 itl=0 fault={fault}]]"}).text
            for fault in ("error-lines:1", "status-lines:500")
        ]

    assert all(word in text for word in MOCK_WORDS for text in heard)


SHAPE = {"type": "object", "properties": {"token": {"type": "string"}, "done": {}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("faults", "expected"),
    [((), "pass"), (("heartbeat-data",), "pass"), (("bad-json",), "fail"), (("merged-events",), "fail")],
)
def test_payloads_are_held_against_a_schema(faults: tuple[str, ...], expected: str) -> None:
    """The caller's own; an event without data has no payload, and error events are not in this one."""
    schema = PayloadSchema(json.dumps({"events": {"message": SHAPE}}).encode(), "f.json")
    config = MockConfig(tokens=16, ttft="1ms", itl="1ms", faults=faults)
    with MockServer(config) as server, StreamClient() as client, MockControl(server.url) as mock:
        target = Target(url=server.url + TOKEN_DONE, dialect="token-done")
        case = run.observe(client, target, select(["custom.schema"]), mock=mock, schema=schema, pace=PACE)

    (result,) = judge_case(case, select(["custom.schema"]))
    assert result.verdict == expected


EARLY_HEAD = "flush.headers-early"


@pytest.mark.parametrize(("faults", "expected"), [((), "pass"), (("late-head",), "warn")])
def test_a_head_that_comes_with_the_first_token(faults: tuple[str, ...], expected: str) -> None:
    """The first token takes longer than the silence that is borne."""
    found = verdicts(CHAT, [EARLY_HEAD], Allowed(long_ns=1100 * MS), faults=faults)

    assert found == {EARLY_HEAD: expected}


RELEASED = "cancel.slot-released"


@pytest.mark.parametrize(("faults", "expected"), [((), "pass"), (("leaks-slots",), "fail")])
def test_slots_that_are_left_are_free_again(faults: tuple[str, ...], expected: str) -> None:
    """Three of four streams fit, in every round or in the first only."""
    # Each is asked for while the others are held, and let go of before the next round, on a busy machine too.
    unhurried = PACE._replace(hold_s=1.2)
    found = verdicts(CHAT, [RELEASED], Allowed(streams=4), pace=unhurried, faults=faults, key_slots=3)

    assert found == {RELEASED: expected}


STALLED = "cancel.slow-reader-bounded"
UNENDED = ["errors.upstream-timeout", "termination.max-duration"]
BRIEF = Pace(tokens=16, ttft="1ms", itl="1ms", heartbeat_s=0.05, stall_s=0.5)


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, {STALLED: "pass", UNENDED[0]: "fail", UNENDED[1]: "warn"}),
        ({"until_close": True}, {STALLED: "warn", UNENDED[0]: "fail", UNENDED[1]: "warn"}),
        ({"cut_idle_ms": 100}, {STALLED: "pass", UNENDED[0]: "warn", UNENDED[1]: "warn"}),
        ({"cut_idle_ms": 100, "on_break": "error"}, {STALLED: "pass", UNENDED[0]: "pass", UNENDED[1]: "warn"}),
        ({"cut_after_ms": 300, "on_break": "error"}, {UNENDED[0]: "pass", UNENDED[1]: "pass"}),
    ],
    ids=["pass-through", "until-close", "cut-idle", "error-when-idle", "error-after-so-long"],
)
def test_a_proxy_with_a_stalled_reader_and_a_silent_upstream(knobs: dict[str, Any], expected: dict[str, str]) -> None:
    """What it takes in for a client that does not read, and whether it gives an upstream up."""
    patterns = list(expected)
    with (
        MockServer(MockConfig()) as server,
        BufferingProxy(ProxyConfig(upstream=server.url, **knobs)) as proxy,
        StreamClient() as client,
        MockControl(server.url) as mock,
    ):
        target = Target(url=proxy.url + CHAT, dialect="openai-chat")
        allowed = Allowed(long_ns=1_200 * MS)  # three times what the check wants: a busy machine takes its part of it
        case = run.observe(client, target, select(patterns), mock=mock, allowed=allowed, pace=BRIEF)

    assert {one.id: one.verdict.value for one in judge_case(case, select(patterns))} == expected
    if "errors.upstream-timeout" in patterns:
        assert [row.upstream for row in upstream_errors(case)] == ["no answer"]
