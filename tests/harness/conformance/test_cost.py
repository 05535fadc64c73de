"""What a run costs: declared by each scenario, shown before the run, bounded by a budget."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.bill import bill, bill_in_words, charge_for_settling
from streamgauge.conformance.permissions import LARGER_BUDGET, NOTHING, Allowed
from streamgauge.conformance.result import ChecksFile
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.cost import Budget, Cost, Prices, priced, tokens_of, total
from streamgauge.conformance.scenarios.declaration import Scenario
from streamgauge.conformance.scenarios.runner import Pace, ScenarioRunner
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.units import MS

CHAT = "/v1/chat/completions"
EVERYTHING = Allowed(long_ns=300 * MS, streams=3, big_prompts=True, second_key="second-user")
BRIEF = Pace(tokens=16, ttft="1ms", itl="1ms", heartbeat_s=0.05, hold_s=0.3, stall_s=0.1, step_timeout_s=1.0)
TOKENS = 20


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=TOKENS, ttft="1ms", itl="1ms")) as server:
        yield server


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS.values() if one.part_of is None], ids=lambda scenario: scenario.name
)
@pytest.mark.parametrize("path", [CHAT, "/api/chat/stream?message=x"])
def test_a_scenario_sends_no_more_than_it_declares(mock: MockServer, scenario: Scenario, path: str) -> None:
    headers = {"Authorization": "Bearer first-user"}
    target = Target(url=mock.url + path, headers=headers, mock=mock.url)
    with StreamClient(read_timeout_s=2.0) as client, MockControl(mock.url) as control:
        runner = ScenarioRunner(client, target, control, control.clock(), BRIEF, EVERYTHING, None)
        (happy,) = SCENARIOS["happy"].observe(runner)
        runner = runner._replace(happy=happy, dialect=happy.transcript.dialect)
        before = client.exchanges
        observed = list(scenario.observe(runner))

        assert client.exchanges - before <= scenario.costs(EVERYTHING).requests
    sizes = sum(seen.size or 0 for seen in observed if scenario.opt_in_without_mock)
    assert sizes <= scenario.costs(EVERYTHING).prompt_chars


def check(mock: MockServer, tokens: int | None, allowed: Allowed = NOTHING) -> ChecksFile:
    with StreamClient() as client:
        target = Target(url=mock.url + CHAT, dialect="openai-chat")
        return run.check(client, target, select(), allowed=allowed, budget=Budget(tokens))


@pytest.mark.parametrize("limit", [150, 300, 450])  # every check together costs some 480 to 550 tokens
def test_a_run_stops_before_it_exceeds_its_budget_and_names_what_is_left_out(mock: MockServer, limit: int) -> None:
    checks = check(mock, limit)

    left_out = [one for one in checks.results if one.needs == LARGER_BUDGET]
    assert checks.tokens_spent is not None
    assert 0 < checks.tokens_spent <= limit
    assert left_out
    assert all(f"--max-tokens-spent {limit} leaves too little" in one.actual for one in left_out)
    assert not any(one.verdict in ("fail", "warn", "error") for one in checks.results)


def test_a_big_prompt_does_not_fit_into_a_small_budget(mock: MockServer) -> None:
    checks = check(mock, 50_000, Allowed(big_prompts=True))

    assert [one.id for one in checks.results if one.needs == LARGER_BUDGET] == ["limits.input-size"]


def test_without_a_budget_nothing_is_left_out_and_the_tokens_are_counted(mock: MockServer) -> None:
    checks = check(mock, None)

    assert not any(one.needs == LARGER_BUDGET for one in checks.results)
    assert (checks.tokens_spent or 0) > 5 * TOKENS


def test_a_budget_below_the_first_request_is_refused_before_it(mock: MockServer) -> None:
    with MockControl(mock.url) as control:
        before = len(control.recent())
        with pytest.raises(CannotMeasure, match="not even the first request"):
            check(mock, 5)
        assert len(control.recent()) == before


def test_finding_out_how_to_ask_is_paid_for_too() -> None:
    unsettled = Target(url="http://127.0.0.1:1/ask")
    budget = Budget(500)
    charge_for_settling(budget, unsettled)

    assert 0 < budget.spent < 100
    charge_for_settling(Budget(1), Target(url="http://127.0.0.1:1" + CHAT))  # known by its path: no request
    with pytest.raises(CannotMeasure, match="does not allow to find out how to ask"):
        charge_for_settling(Budget(5), unsettled)


def test_tokens_of_the_mock_are_free(mock: MockServer) -> None:
    with StreamClient() as client, MockControl(mock.url) as control:
        target = Target(url=mock.url + CHAT, dialect="openai-chat", mock=mock.url)
        checks = run.check(client, target, select(["headers"]), mock=control, pace=BRIEF, budget=Budget(1))

    assert checks.tokens_spent is None
    assert not any(one.needs == LARGER_BUDGET for one in checks.results)
    assert "no tokens of a real model" in bill_in_words(bill(target, select(["headers"])))


@pytest.mark.parametrize(
    ("target", "only", "words"),
    [
        ({}, ["http.status-200"], "at most 2 requests, about 84 prompt tokens and 2 answers of a length"),
        (
            {"max_tokens": 16},
            ["http.status-200"],
            "at most 2 requests, about 94 prompt tokens and at most 32 output tokens",
        ),
    ],
)
def test_the_cost_is_known_before_the_first_request(target: dict[str, Any], only: list[str], words: str) -> None:
    lines = bill(Target(url="http://127.0.0.1:1" + CHAT, **target), select(only))

    assert bill_in_words(lines).startswith(words)


def test_a_permission_adds_its_cost_to_the_bill() -> None:
    target = Target(url="http://127.0.0.1:1" + CHAT, max_tokens=16)
    before, after = (total(bill(target, select(), allowed)) for allowed in (NOTHING, Allowed(big_prompts=True)))

    assert after.prompt_tokens - before.prompt_tokens > 1_100_000 / 4
    assert after.requests - before.requests == 2


def test_a_bill_is_the_sum_of_its_declarations() -> None:
    prices = Prices(prompt_tokens=10, output_tokens=100)
    lines = [
        priced("a", "", Cost(3, 2), prices, 60.0),
        priced("b", "", Cost(1, 1, prompt_chars=400, output_tokens=5, longest_s=200), prices, 60.0),
        priced("c", "", Cost(1, 0), prices, 60.0),
    ]

    whole = total(lines)

    assert (whole.requests, whole.prompt_tokens, whole.output_tokens) == (5, 20 + 10 + 100, 200 + 5)
    assert whole.longest_s == 200
    assert total([*lines, priced("d", "", Cost(), prices._replace(output_tokens=None), 1.0)]).output_tokens is None
    assert tokens_of(5) == 2


def test_a_part_costs_nothing_beside_its_whole() -> None:
    part = next(one for one in SCENARIOS.values() if one.part_of is not None)

    assert part.costs(EVERYTHING).requests == 0
    assert replace(part, part_of=None).costs(EVERYTHING).requests > 0
