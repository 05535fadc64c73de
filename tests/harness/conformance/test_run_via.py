"""Two paths to one endpoint: each finding says which hop it belongs to."""

from typing import Any

import msgspec
import pytest

from streamgauge.conformance import run
from streamgauge.conformance.batch import through
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.hop import beside, changed_headers
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import CheckResult, ChecksFile, Verdict
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.selection import select
from streamgauge.diagnosis.product import fixes_for
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig
from tests.harness.conformance.tapes import Example, Tape, headers, ledger

CHAT = "/v1/chat/completions"
PACE = Pace(tokens=16, ttft="1ms", itl="5ms", step_timeout_s=0.3)


def found(mock: bool = True, faults: tuple[str, ...] = (), **knobs: Any) -> ChecksFile:
    """What the checks say of a proxy in front of the mock."""
    patterns = ["flush.*", "framing.line-endings"]
    with (
        MockServer(MockConfig(tokens=16, ttft="1ms", itl="5ms", faults=faults)) as server,
        BufferingProxy(ProxyConfig(upstream=server.url, **knobs)) as proxy,
        StreamClient(read_timeout_s=2) as client,
        MockControl(server.url) as control,
    ):
        direct = Target(url=server.url + CHAT, dialect="openai-chat")
        return run.check(
            client,
            through(direct, proxy.url),
            select(patterns),
            mock=control if mock else None,
            reference=direct,
            pace=PACE,
        )


def result(checks: ChecksFile, check_id: str) -> CheckResult:
    return next(one for one in checks.results if one.id == check_id)


@pytest.mark.parametrize(
    ("mock", "knobs", "verdict"),
    [
        (True, {}, "pass"),
        (True, {"hold_bytes": 4096}, "warn"),
        (False, {}, "pass"),
        (False, {"until_close": True}, "warn"),
    ],
    ids=["clean", "holds", "clean-without-mock", "holds-without-mock"],
)
def test_a_hop_that_holds_tokens_is_told_from_one_that_does_not(
    mock: bool, knobs: dict[str, Any], verdict: str
) -> None:
    """By lockstep with the mock, by arrivals without."""
    checks = found(mock, **knobs)

    assert checks.position == "via"
    assert result(checks, "flush.proxy-delta").verdict == verdict
    assert any("the hop adds via" in (item.note or "") for item in result(checks, "flush.proxy-delta").evidence)


def test_a_finding_of_the_proxys_is_told_from_one_of_the_endpoints() -> None:
    """The proxy holds tokens back, the endpoint has odd line ends."""
    checks = found(hold_bytes=4096, faults=("cr",))

    proxys, endpoints = result(checks, "flush.lockstep"), result(checks, "framing.line-endings")
    assert proxys.actual.endswith("(only through the proxy)")
    assert proxys.evidence[-1].scenario == "direct"
    assert endpoints.actual.endswith("(the endpoint does the same without the proxy)")


def test_a_fix_is_for_the_hop_that_the_finding_belongs_to() -> None:
    """The same header is missing on both paths; only one of them goes through nginx."""
    check = CHECKS["errors.retry-amplification"]
    fixes = fixes_for(check.id)
    text = b'data: {"token":"a","done":false}\n\n' * 10
    twice = ledger()._replace(requests=2, arrivals_ns=(0, 10**9))

    def judged(server: str) -> CheckResult:
        heads = Tape(headers=headers(server=server))
        (one,) = judge_case(
            Example("", Verdict.WARN, (heads, Tape(body=text, scenario="mid-cut", upstream=twice))).case(), [check]
        )
        return one

    assert {"nginx", "aspnet"} <= judged("nginx").fixes.keys()
    assert beside(judged("nginx"), judged("Kestrel")).fixes == {"aspnet": fixes["aspnet"]}
    clean = msgspec.structs.replace(judged("Kestrel"), verdict=Verdict.PASS)
    assert beside(judged("nginx"), clean).fixes == {"nginx": fixes["nginx"]}


def test_a_direct_path_without_a_stream_cannot_be_compared_with(clean: MockServer) -> None:
    with StreamClient() as client, pytest.raises(CannotMeasure, match="cannot connect to 127"):
        run.check(
            client,
            Target(url=clean.url + CHAT, dialect="openai-chat"),
            select(["http.status-200"]),
            reference=Target(url="http://127.0.0.1:1/v1/chat/completions", dialect="openai-chat"),
        )


@pytest.fixture
def clean() -> Any:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as server:
        yield server


@pytest.mark.parametrize(
    ("url", "via", "wanted"),
    [
        ("http://a/chat?message=x", "http://b", "http://b/chat?message=x"),
        ("http://a/chat?message=x", "https://b:1/proxied", "https://b:1/proxied?message=x"),
        ("http://a/chat", "http://b/", "http://b/chat"),
    ],
)
def test_an_address_without_a_path_stands_for_the_targets(url: str, via: str, wanted: str) -> None:
    assert through(Target(url=url), via).url == wanted


def test_what_differs_from_answer_to_answer_is_no_change() -> None:
    """Dates and ids of requests say nothing about the hop."""
    direct = Tape(headers=(("Date", "1"), ("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"))).play()
    via = Tape(headers=(("Date", "2"), ("Content-Type", "text/plain"), ("Server", "nginx"))).play()

    assert changed_headers(direct, via) == [
        "adds server: nginx",
        "takes x-accel-buffering away",
        "changes content-type: text/event-stream to text/plain",
    ]


def test_a_pass_needs_no_comparison() -> None:
    one = CheckResult(
        id="x.y",
        group="x",
        verdict=Verdict.PASS,
        level="MUST",
        severity="high",
        basis="spec",
        statement="s",
        actual="a",
    )

    assert beside(one, one) is one
