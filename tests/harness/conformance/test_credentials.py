"""Whose key reaches the upstream decides who has to check it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig
from tests.builders.shapes import PACE
from tests.builders.single_server import Model, serving

KEY = {"Authorization": "Bearer the-users-key"}
CHECK = "http.unauthenticated-401"


@contextmanager
def behind_a_gateway(config: MockConfig) -> Iterator[tuple[str, MockControl]]:
    """A gateway that passes requests on with all their headers."""
    with (
        MockServer(config) as server,
        BufferingProxy(ProxyConfig(upstream=server.url)) as proxy,
        MockControl(server.url) as mock,
    ):
        yield proxy.url + "/v1/chat/completions", mock


def judged(url: str, mock: MockControl | None = None) -> CheckResult:
    target = Target(url=url, dialect="openai-chat", headers=KEY)
    with StreamClient() as client:
        checks = run.check(client, target, select([CHECK]), mock=mock, pace=PACE)
    return checks.results[0]


def test_a_gateway_that_passes_keys_on_is_not_accused_where_the_upstream_takes_every_key() -> None:
    with behind_a_gateway(MockConfig(tokens=5, ttft="1ms", itl="1ms")) as (url, mock):
        result = judged(url, mock)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "passes the caller's key on" in result.actual
    assert result.needs is not None
    assert "--api-key" in result.needs


def test_a_gateway_that_passes_keys_on_is_judged_by_an_upstream_that_checks_them() -> None:
    with behind_a_gateway(MockConfig(tokens=5, ttft="1ms", itl="1ms", api_key="the-users-key")) as (url, mock):
        assert judged(url, mock).verdict in (Verdict.PASS, Verdict.WARN)


@pytest.mark.parametrize("only", [[CHECK], []])
def test_an_open_endpoint_is_one_finding(only: list[str]) -> None:
    """The server of this test never looks at the key."""
    with serving(Model(first_s=0.01, gap_s=0.001, threads=True)) as server, StreamClient() as client:
        target = Target(url=server.url, dialect="openai-chat", headers=KEY)
        checks = run.check(client, target, select(only))

    found = [one for one in checks.results if one.verdict in (Verdict.FAIL, Verdict.WARN)]
    assert [one.id for one in found] == [CHECK]
    assert "the endpoint is open" in found[0].actual
    assert "--public" in found[0].actual
