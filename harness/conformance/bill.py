"""The bill of a run: which scenarios it will run, what they cost at most, and what it has spent."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.payloads import reported_tokens
from streamgauge.conformance.permissions import LARGER_BUDGET, NOTHING, Allowed
from streamgauge.conformance.registry import Check
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.concurrent import PAIR
from streamgauge.conformance.scenarios.cost import Budget, Cost, Line, Prices, in_words, priced, tokens_of, total
from streamgauge.conformance.scenarios.declaration import Concurrency, Scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S
from streamgauge.endpoint.prompt_places import limit_in
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.wire import End

FIRST: Final = "happy"
OPTION: Final = "--max-tokens-spent"
SPARE: Final = 1.25
"""An answer may be longer than the longest before it; so much longer is expected."""


def scenarios_of(names: Iterable[str], *, mock: bool, allowed: Allowed) -> list[Scenario]:
    """Those scenarios that can run, the parts as their wholes, in the order of SCENARIOS."""
    wanted = set(names)
    read = [scenario for scenario in SCENARIOS.values() if scenario.name in wanted]
    possible = [scenario for scenario in read if not scenario.missing(mock=mock, allowed=allowed.opt_ins)]
    to_run = {scenario.part_of or scenario.name for scenario in possible}
    return [scenario for name, scenario in SCENARIOS.items() if name in to_run]


def pair_before(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """The scenario that tells whether two of these may run at once; none where only one would."""
    beside_others = [one for one in scenarios if one.concurrency in (Concurrency.SHARED, Concurrency.IDLE)]
    return [SCENARIOS[PAIR]] if len(beside_others) > 1 else []


def bill(target: Target, selected: Sequence[Check], allowed: Allowed = NOTHING, *, paths: int = 1) -> list[Line]:
    """What a run costs at most, a line for each scenario, before anything is known of the endpoint.

    `paths` is 2 where the endpoint is also asked without its proxy.
    """
    mock = target.mock is not None
    allowed = replace(allowed, promise=target.promise, reads_state=target.state_url is not None)
    asked_for = target.alternatives()
    prices = prices_of(asked_for[0], free=mock)
    names = {name for check in selected for name in check.scenarios} - {FIRST}
    rest = scenarios_of(names, mock=mock, allowed=allowed)
    lines = []
    if len(asked_for) > 1:
        tries = Cost(len(asked_for), len(asked_for))
        lines.append(priced("settle", "finding out how to ask", tries, prices, DEADLINE_S))
    for scenario in (SCENARIOS[FIRST], *pair_before(rest), *rest):
        cost = scenario.costs(allowed)
        if not cost.requests:
            continue
        cost = cost._replace(requests=paths * cost.requests, answers=paths * cost.answers)
        lines.append(priced(scenario.name, scenario.summary, cost, prices, DEADLINE_S))
    return lines


def bill_in_words(lines: Sequence[Line]) -> str:
    """The total of several bills."""
    unlimited = sum(line.requests for line in lines if line.output_tokens is None)
    return in_words(total(lines), unlimited)


def prices_of(target: Target, *, free: bool) -> Prices:
    """What an ordinary request costs, as far as the request shows it."""
    spec = target.request()
    text = (spec.prompt or "") if spec.body is None else spec.body.decode("utf-8", "replace")
    return Prices(tokens_of(len(text)), limit_in(None if spec.body is None else text), free)


def charge_for_settling(budget: Budget, target: Target) -> None:
    """Count the prompts of the requests that find out how to ask. Raises CannotMeasure when too few tokens are left."""
    tries = target.alternatives()
    tokens = len(tries) * prices_of(tries[0], free=False).prompt_tokens if len(tries) > 1 else 0
    if not budget.reserve(tokens):
        raise CannotMeasure(
            f"{OPTION} {budget.limit:,} does not allow to find out how to ask: about {tokens:,} tokens",
            "say how to ask with --body, --method or --dialect, or give " + LARGER_BUDGET,
        )
    budget.settle(tokens, tokens)


class Spending:
    """What a run spends at one endpoint. It learns the length of answers from those that come."""

    def __init__(self, budget: Budget, target: Target, allowed: Allowed, *, free: bool) -> None:
        self._budget = budget
        self._allowed = allowed
        self._prices = prices_of(target, free=free)
        self._longest_answer = 0
        self.left_out: dict[str, str] = {}

    def reserve(self, scenario: Scenario) -> int | None:
        """The tokens set aside for a scenario; None, and a note in `left_out`, where too few are left."""
        line = priced(scenario.name, scenario.summary, scenario.costs(self._allowed), self._expected(), 0.0)
        tokens = line.prompt_tokens + (line.output_tokens or 0)
        if self._budget.reserve(tokens):
            return tokens
        left = f"{OPTION} {self._budget.limit:,}"
        self.left_out[scenario.name] = f"{left} leaves too little for it: about {tokens:,} tokens"
        return None

    def settle(self, reserved: int, observed: Sequence[Observed]) -> None:
        """Count what the answers of a scenario have cost."""
        spent = 0
        whole = {id(seen.transcript): seen for seen in observed}  # several observations may show one answer
        for seen in whole.values():
            output = output_of(seen)
            self._longest_answer = max(self._longest_answer, output)
            if seen.transcript.capture.end is End.CANCELLED:  # the model may write on
                output = max(output, self._longest_answer)
            if seen.streams or output:
                spent += self._prompt_of(seen) + output
        self._budget.settle(reserved, 0 if self._prices.free else spent)

    def _prompt_of(self, seen: Observed) -> int:
        return max(self._prices.prompt_tokens, tokens_of(seen.size or 0))

    def _expected(self) -> Prices:
        if self._prices.output_tokens is not None:
            return self._prices
        return self._prices._replace(output_tokens=round(SPARE * self._longest_answer))


def output_of(seen: Observed) -> int:
    """The tokens of an answer as the endpoint counts them, else as its events and its characters let expect."""
    reported = reported_tokens(seen.transcript)
    transcript = seen.transcript
    return reported if reported is not None else max(len(transcript.tokens), tokens_of(len(transcript.text)))
