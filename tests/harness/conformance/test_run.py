"""The runner against the embedded mock: clean shapes find nothing, every fault is found."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from streamgauge.conformance import profiles, run
from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks.errors_framing import MESSAGE_BEGINS, MESSAGE_GOES_ON
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.scenarios import upstream
from streamgauge.conformance.scenarios.texts import MARKS, TEXTS
from streamgauge.conformance.selection import select
from streamgauge.conformance.upstream_errors import upstream_errors
from streamgauge.endpoint.client import StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.mock_provider import text as mock_text
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.faults import errors as mock_errors
from streamgauge.mock_provider.proxy import ProxyConfig
from streamgauge.transport.memory import MemoryBudget
from tests.builders.h2_server import H2Server
from tests.builders.shapes import FOUND, HURRIED, INHERENT, PACE, PROFILES, SHAPES, UNMET, VENDORS
from tests.builders.tapes import chunk, head
from tests.builders.wire_server import Do, Pulse, Step, WireServer


@pytest.fixture
def client() -> Iterator[StreamClient]:
    with StreamClient(read_timeout_s=10.0) as made:
        yield made


def observe(client: StreamClient, base: str, shape: str, patterns: Sequence[str], mock_url: str) -> Case:
    """The scenarios that some checks read, through what may hold them back."""
    target = Target(url=base + SHAPES[shape], dialect=shape)
    with MockControl(mock_url) as mock:
        return run.observe(client, target, select(patterns), mock=mock, pace=HURRIED)


def findings(case: Case, patterns: Sequence[str]) -> dict[str, CheckResult]:
    """What the checks object to."""
    return {one.id: one for one in judge_case(case, select(patterns)) if one.verdict in FOUND}


@pytest.fixture(scope="module")
def clean_mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=16, ttft="1ms", itl="1ms")) as mock:
        yield mock


@pytest.mark.parametrize("shape", SHAPES)
def test_a_clean_shape_has_no_findings_beyond_its_own_nature(
    client: StreamClient, clean_mock: MockServer, shape: str
) -> None:
    """No fail at all, and only the warnings that the shape itself deserves."""
    target = Target(url=clean_mock.url + SHAPES[shape], dialect=shape)

    with MockControl(clean_mock.url) as mock:
        checks = run.check(client, target, select(), mock=mock, pace=PACE)

    bad = {one.id: one.actual for one in checks.results if one.verdict in (Verdict.FAIL, Verdict.ERROR)}
    warned = {one.id for one in checks.results if one.verdict is Verdict.WARN}
    assert bad == {}
    assert warned == INHERENT.get(shape, set())
    assert checks.position == "sandwich"
    assert checks.dialect == shape
    assert checks.requests < 72


def test_answers_that_this_client_has_no_memory_for_leave_their_checks_undecided(clean_mock: MockServer) -> None:
    target = Target(url=clean_mock.url + SHAPES["openai-chat"], dialect="openai-chat")
    small = MemoryBudget(300_000, kept_share_bytes=0)

    with MockControl(clean_mock.url) as mock, StreamClient.to(target, memory=small) as client:
        checks = run.check(client, target, select(), mock=mock, pace=PACE)

    assert [one.id for one in checks.results if one.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)] == []
    undecided = [one for one in checks.results if "could not measure: this process has no memory left" in one.actual]
    assert undecided
    assert {one.verdict for one in undecided} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_clean_shape_is_recognised_without_being_told(
    client: StreamClient, clean_mock: MockServer, shape: str
) -> None:
    """Detection and declaration lead to the same verdicts."""
    url = clean_mock.url + SHAPES[shape]
    if shape in ("token-done", "event-text"):
        target = Target(url=url, method="POST", body='{"message": "{{prompt}}"}')
    elif shape in VENDORS or shape in ("ai-sdk-ui", "langgraph"):
        target = settle(client, Target(url=url))
    else:
        target = Target(url=url)

    checks = run.check(client, target, select(("framing", "text", "custom", "termination", "headers")))

    assert checks.dialect == shape
    assert checks.dialect_rule
    assert checks.dialect_doubt is None
    assert [one.id for one in checks.results if one.verdict in (Verdict.FAIL, Verdict.ERROR)] == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_clean_vendor_of_openai_s_dialect_has_no_findings_in_its_profile(client: StreamClient, name: str) -> None:
    """What Azure, Mistral and others do differently is theirs to do."""
    path, profile = PROFILES[name]
    with (
        MockServer(MockConfig(tokens=16, ttft="1ms", itl="1ms", profile=name)) as server,
        MockControl(server.url) as mock,
    ):
        checks = run.check(
            client,
            Target(url=server.url + path),
            select(),
            mock=mock,
            pace=PACE,
            profile=None if profile is None else profiles.by_name(profile),
        )

    bad = {one.id: one.actual for one in checks.results if one.verdict in (*UNMET, Verdict.ERROR)}
    assert bad == {}
    assert checks.profile == (profile or "openai")


@pytest.mark.parametrize(
    ("knob", "wanted"),
    [
        ({"one_behind": True}, {"flush.lockstep", "flush.no-one-behind"}),
        ({"until_close": True}, {"flush.lockstep"}),
        ({"hold_bytes": 4096}, {"flush.lockstep"}),
        ({}, set()),
    ],
    ids=["one-behind", "until-close", "hold-bytes", "pass-through"],
)
def test_a_proxy_in_between_is_judged_by_what_it_does(
    client: StreamClient, clean_mock: MockServer, knob: dict[str, object], wanted: set[str]
) -> None:
    """The sandwich: harness, proxy, mock; only the right checks object."""
    patterns = ["flush.lockstep", "flush.no-one-behind"]

    with BufferingProxy(ProxyConfig(upstream=clean_mock.url, **knob)) as proxy:  # type: ignore[arg-type]
        case = observe(client, proxy.url, "openai-chat", patterns, clean_mock.url)

    assert findings(case, patterns).keys() == wanted


FAILING = ["errors.partial-event-terminated-first", "errors.retry-amplification"]


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"on_break": "error"}, ["pass", "pass"]),
        ({"on_break": "glued"}, ["fail", "pass"]),
        ({"retries": 3}, ["not-applicable", "info"]),
    ],
    ids=["error", "glued", "retries"],
)
def test_a_proxy_that_tells_of_a_failing_upstream(
    client: StreamClient, clean_mock: MockServer, knobs: dict[str, Any], expected: list[str]
) -> None:
    """How it ends a stream that breaks off, and how often it asks."""
    with BufferingProxy(ProxyConfig(upstream=clean_mock.url, **knobs)) as proxy:
        case = observe(client, proxy.url, "token-done", FAILING, clean_mock.url)

    assert [one.verdict.value for one in judge_case(case, select(FAILING))] == expected


def test_a_proxy_that_hears_no_client_leave(client: StreamClient, clean_mock: MockServer) -> None:
    """Whichever way the client leaves."""
    patterns = ["cancel.before-first-token", "cancel.abort-variants"]

    with BufferingProxy(ProxyConfig(upstream=clean_mock.url, ignore_abort=True)) as proxy:
        case = observe(client, proxy.url, "openai-chat", patterns, clean_mock.url)

    assert findings(case, patterns).keys() == set(patterns)


@pytest.mark.parametrize("name", ["silent", "accept-close", "html-200", "status"])
def test_an_endpoint_without_a_stream_is_one_message(name: str) -> None:
    """Not fifty failures."""
    config = MockConfig(faults=(name,))

    with MockServer(config) as mock, StreamClient(read_timeout_s=0.7) as hurried, pytest.raises(CannotMeasure):
        run.check(hurried, Target(url=mock.url + SHAPES["openai-chat"]), select())


def test_nothing_listens(client: StreamClient) -> None:
    """The message names the address."""
    with pytest.raises(CannotMeasure, match="cannot connect"):
        run.check(client, Target(url="http://127.0.0.1:1/v1/chat/completions"), select())


def test_credentials_are_left_out_and_spoilt_and_never_shown(client: StreamClient) -> None:
    """The probes without them are refused; no result quotes them."""
    key = "sk-very-secret-0123456789"
    headers = {"Authorization": f"Bearer {key}"}
    with MockServer(MockConfig(api_key=key, tokens=4, ttft="1ms", itl="1ms")) as mock:
        target = Target(url=mock.url + SHAPES["openai-chat"], headers=headers)
        checks = run.check(client, target, select(("http", "security")))

    by_id = {one.id: one for one in checks.results}
    assert by_id["http.unauthenticated-401"].verdict is Verdict.PASS
    assert key not in str(checks)


def test_only_what_the_selected_checks_read_is_requested(client: StreamClient, clean_mock: MockServer) -> None:
    """One check of the happy path takes two requests, not all of them."""
    target = Target(url=clean_mock.url + SHAPES["openai-chat"])

    checks = run.check(client, target, select(("http.status-200",)))

    assert checks.requests == 2


def test_a_default_run_makes_few_requests(client: StreamClient, clean_mock: MockServer) -> None:
    """Every check, nothing opted in: at most 30, as the mock counts them too."""
    target = Target(url=clean_mock.url + SHAPES["openai-chat"])

    with MockControl(clean_mock.url) as mock:
        before = len(mock.recent())
        checks = run.check(client, target, select(), mock=mock, pace=PACE)
        streams = len(mock.recent()) - before

    assert checks.requests < 72
    assert streams <= checks.requests


def test_verdicts_do_not_depend_on_how_busy_the_machine_is(client: StreamClient, clean_mock: MockServer) -> None:
    """The same with the processors taken by others, and observed in the same order."""
    target = Target(url=clean_mock.url + SHAPES["openai-chat"], dialect="openai-chat")

    def observed() -> tuple[list[str], dict[str, tuple[Verdict, str]]]:
        with MockControl(clean_mock.url) as mock:
            case = run.observe(client, target, select(), mock=mock, pace=PACE)
        return [seen.label for seen in case.observed], {
            one.id: (one.verdict, one.actual) for one in judge_case(case, select())
        }

    alone = observed()
    with busy(processes=os.cpu_count() or 1):
        beside_others = observed()

    assert beside_others[0] == alone[0]
    changed = {name: (told, beside_others[1][name]) for name, told in alone[1].items()}
    assert {name: both for name, both in changed.items() if both[0][0] is not both[1][0]} == {}


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that do nothing but count."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_the_end_of_the_whole_checks_time_is_not_held_against_the_endpoint() -> None:
    token = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    stop = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    chunked = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Connection: close")
    good: list[Step] = [Do.REQUEST, chunked + chunk(token) + chunk(stop) + b"0\r\n\r\n"]
    drip: list[Step] = [Do.REQUEST, chunked, Pulse(chunk(b": wait\n\n"))]
    checks = select(("http", "termination.explicit-end"))
    with WireServer(good, *[drip] * 40) as server, StreamClient(total_s=1.5) as client:
        target = Target(url=f"http://127.0.0.1:{server.port}/v1/chat/completions")
        case = run.observe(client, target, checks)
    assert case.out_of_time
    assert [seen.scenario for seen in case.observed] == ["happy"]
    late = [one for one in judge_case(case, checks) if "the time of the whole check was over" in (one.actual or "")]
    assert late
    assert {(one.verdict, one.needs) for one in late} == {(Verdict.INCONCLUSIVE, "--max-time DURATION")}


def test_progress_is_told(client: StreamClient, clean_mock: MockServer) -> None:
    """Each scenario is announced, and the count ends at its total."""
    told: list[tuple[str, int, int]] = []
    target = Target(url=clean_mock.url + SHAPES["openai-chat"])

    run.check(client, target, select(("framing",)), progress=lambda *step: told.append(step))

    assert told[0][1:] == (0, 1)
    assert told[-1][1] == told[-1][2]


def test_the_texts_that_the_mock_is_asked_for_are_the_mocks() -> None:
    """Stated on both sides, so compared here."""
    said = [token for kind, mark in zip(TEXTS, MARKS, strict=False) for token in (mark, *TEXTS[kind])] + [MARKS[-1]]
    source = mock_text.token_texts("everything", 0)

    assert said == [next(source) for _ in said]


def test_the_message_that_the_mock_is_asked_for_is_the_mocks() -> None:
    """Stated on both sides, and taken to pieces by errors.message-framed."""
    assert upstream.LINES == mock_errors.LINES
    assert MESSAGE_BEGINS.decode() in upstream.LINES.splitlines()[0]
    assert all(mark.decode() in upstream.LINES for mark in MESSAGE_GOES_ON)


def test_a_connection_field_over_http2_is_found() -> None:
    """The answer is refused for it, as browsers do."""

    def script(server: H2Server, stream: int) -> None:
        server.h2.config.validate_outbound_headers = server.h2.config.normalize_outbound_headers = False
        fields = [(":status", "200"), ("content-type", "text/event-stream"), ("connection", "keep-alive")]
        server.h2.send_headers(stream, fields, end_stream=True)
        server.flush()

    check = "http.h2-no-connection-headers"
    with H2Server(script) as server:
        target = Target(url=server.url, http2=True)
        with StreamClient.to(target) as own:
            case = run.observe(own, target, select([check]))

    (found,) = judge_case(case, select([check]))
    assert found.verdict is Verdict.FAIL
    assert "'connection'" in found.actual


def test_broken_chunks_make_one_finding(client: StreamClient) -> None:
    """The missing end marker and what else the rest of the body would have shown are its consequences."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("bad-chunk-size",))) as mock:
        target = Target(url=mock.url + SHAPES["openai-chat"], dialect="openai-chat")
        result = run.check(client, target, select(()), pace=HURRIED)

    verdicts = {one.id: one.verdict for one in result.results}
    assert verdicts.pop("http.chunked-framing") is Verdict.FAIL
    assert set(verdicts.values()) <= {Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE, Verdict.PASS}
    assert [check for check, verdict in verdicts.items() if verdict is Verdict.PASS] == ["http.unambiguous-framing"]


@pytest.mark.parametrize("fault", ["coding-identity", "length-beside-chunks", "folded-header"])
def test_a_broken_head_makes_one_finding_and_leaves_the_rest_undecided(client: StreamClient, fault: str) -> None:
    """Not five findings of one cause, and not a run that cannot measure."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=(fault,))) as mock:
        target = Target(url=mock.url + SHAPES["token-done"], dialect="token-done")
        result = run.check(client, target, select(()), pace=HURRIED)

    verdicts = {one.id: one.verdict for one in result.results}
    assert verdicts.pop("http.unambiguous-framing") is Verdict.FAIL
    assert set(verdicts.values()) == {Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE}
    undecided = [one for one in result.results if one.verdict is Verdict.INCONCLUSIVE]
    assert {one.id for one in undecided if "the body cannot be read" not in one.actual} == {"http.http10-no-chunked"}


MATRIX = ["errors.rate-limit-kept", "errors.caller-fault-kept", "errors.gateway-key-hidden", "errors.pre-stream-status"]


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, ["pass", "pass", "not-applicable", "pass"]),
        ({"errors_as": 500}, ["fail", "fail", "not-applicable", "pass"]),
        ({"errors_as": 200}, ["not-applicable", "not-applicable", "not-applicable", "fail"]),
        ({"key": "own"}, ["pass", "pass", "warn", "pass"]),
        ({"key": "own", "errors_as": 502}, ["fail", "fail", "pass", "pass"]),
    ],
    ids=["passes all on", "all are 500", "all are 200", "own key", "own key and all are 502"],
)
def test_the_matrix_of_upstream_errors(
    client: StreamClient, clean_mock: MockServer, knobs: dict[str, Any], expected: list[str]
) -> None:
    with BufferingProxy(ProxyConfig(upstream=clean_mock.url, **knobs)) as proxy:
        case = observe(client, proxy.url, "openai-chat", MATRIX, clean_mock.url)

    verdicts = {one.id: one.verdict.value for one in judge_case(case, select(MATRIX))}
    assert [verdicts[check] for check in MATRIX] == expected
    rows = upstream_errors(case)
    assert [row.upstream for row in rows] == [
        *("400", "404", "401", "403", "408", "429", "500", "502", "503", "529"),
        *("cut before the head", "connection refused"),
    ]
    assert [row.tries for row in rows] == [1] * 11 + [None]
    assert [row.status for row in rows[-2:]] == [502, 502]
    assert [row.upstream for row in rows if row.upstream_retry_after] == ["429", "503"]
    if not knobs:
        assert [row.retry_after for row in rows if row.upstream_retry_after] == ["1", "1"]
        assert {row.body for row in rows[:10]} == {"JSON: error {message, type, param, code}"}


def test_the_mock_takes_connections_again_after_it_refused_one(client: StreamClient, clean_mock: MockServer) -> None:
    target = Target(url=clean_mock.url + SHAPES["token-done"], dialect="token-done")
    with MockControl(clean_mock.url) as mock:
        with mock.refusing(30.0), client.another() as other:
            refused = other.run(target.request())
        again = client.run(target.request())

    assert (refused.outcome.value, again.outcome.value) == ("connect_error", "ok")
