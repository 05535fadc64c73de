"""Checks one target: runs each scenario that the checks read once, then lets the checks judge the observations.

The happy path goes first: without a stream there is nothing to judge. In sandwich position every prompt carries a
directive. It tells the mock what the scenario needs, and its id joins the request with the mock's ledger.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from streamgauge.conformance import profiles
from streamgauge.conformance.bill import FIRST, Spending, pair_before, scenarios_of
from streamgauge.conformance.cases import HAPPY, Case, Observed, Position
from streamgauge.conformance.clients.client_matrix import compare_clients, stream_of
from streamgauge.conformance.dead_end import DeadEnd, NoLongerAnswers, excuse
from streamgauge.conformance.hop import beside
from streamgauge.conformance.judgement import asks, judge_case
from streamgauge.conformance.matrix import Matrix
from streamgauge.conformance.permissions import LARGER_BUDGET, NOTHING, Allowed
from streamgauge.conformance.profile import Profile
from streamgauge.conformance.registry import Check
from streamgauge.conformance.result import CheckResult, ChecksFile, Verdict
from streamgauge.conformance.scenarios import SCENARIOS, own_load
from streamgauge.conformance.scenarios.cost import Budget
from streamgauge.conformance.scenarios.declaration import Concurrency, Scenario
from streamgauge.conformance.scenarios.runner import ENDLESS_S, Pace, ScenarioRunner, Waiting
from streamgauge.conformance.scenarios.scheduler import AT_ONCE, ObserveScenario, Progress, run_scenarios
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.conformance.upstream_errors import upstream_errors
from streamgauge.conformance.wirelog import exchanges, hidden
from streamgauge.diagnosis.product import products_in
from streamgauge.endpoint.client import StreamClient, not_a_stream
from streamgauge.endpoint.mock_ledger import MockControl, digest_of
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.upstream import UpstreamWatch
from streamgauge.errors import CannotMeasure, OutOfMeans, OutOfTime
from streamgauge.protocol.causality import misread, older_by_ns
from streamgauge.protocol.dialects.choice import SETTLE
from streamgauge.protocol.outcome import Ends
from streamgauge.secrets import is_secret, learn
from streamgauge.units import MS, SECOND
from streamgauge.version import __version__
from streamgauge.wire import End

_CLOCK_ERROR_NS: Final = 1 * MS  # checks of cancellation judge by seconds
REPLAYED: Final = (*HAPPY, "length", "mid-error")
"""The scenarios whose streams are replayed through clients: those that clients are meant to read."""


def check(
    client: StreamClient,
    target: Target,
    selected: Sequence[Check],
    *,
    mock: MockControl | None = None,
    public: bool = False,
    strict: bool = False,
    allowed: Allowed = NOTHING,
    profile: Profile | None = None,
    schema: PayloadSchema | None = None,
    pace: Pace | None = None,
    guessed: bool = False,
    clients: bool = False,
    reference: Target | None = None,
    budget: Budget | None = None,
    progress: Progress = lambda *_: None,
) -> ChecksFile:
    """Observe a settled target and judge it. Raises CannotMeasure when the happy path gives no stream.

    `reference` is the same endpoint without a proxy: it is observed too, and each finding says whether the proxy
    causes it. `guessed`: how to ask was found by trying, so it is not known where the prompt goes. `clients`: also
    replay the streams through popular clients.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    budget = budget or Budget()
    before = budget.spent
    look = partial(
        observe,
        selected=selected,
        mock=mock,
        public=public,
        allowed=allowed,
        profile=profile,
        schema=schema,
        pace=pace,
        guessed=guessed,
        budget=budget,
        progress=progress,
    )
    case = look(client, target)
    happy = case.observed[0]
    if not happy.streams and not happy.broken_framing:
        raise not_a_stream(happy.transcript)
    if reference is not None:
        with client.another() as own:
            direct = look(own, reference)
        if not direct.observed[0].streams:
            raise not_a_stream(direct.observed[0].transcript)
        case.position, case.mock, case.reference = Position.VIA, mock is not None, direct
        case.requests += direct.requests
    learn([allowed.second_key or ""])
    results = [hidden(result) for result in _judged(case, selected)]
    return ChecksFile(
        target=target.masked_url,
        dialect=case.dialect_name,
        dialect_rule=happy.transcript.dialect_rule,
        dialect_doubt=case.doubt,
        profile=case.profile.name,
        one_at_a_time=case.one_at_a_time,
        unfinished=case.unfinished,
        tokens_spent=None if case.has_mock else budget.spent - before,
        position=case.position.value,
        streamgauge=__version__,
        started=started,
        strict=strict,
        requests=case.requests,
        summary=summary_of(results),
        results=results,
        exchanges=exchanges(case, results),
        clients=_matrix(case) if clients else None,
        upstream_errors=upstream_errors(case),
    )


def _judged(case: Case, selected: Sequence[Check]) -> list[CheckResult]:
    """The results; with a reference, each finding says whether it is there without the proxy too."""
    results = judge_case(case, selected)
    if case.reference is None:
        return results
    return [beside(one, direct) for one, direct in zip(results, judge_case(case.reference, selected), strict=True)]


def _matrix(case: Case) -> Matrix:
    streams = [stream_of(seen.transcript, seen.label) for seen in case.of(REPLAYED)]
    return compare_clients([stream for stream in streams if stream is not None], case.dialect, case.method)


def credentials(target: Target) -> list[str]:
    """The values of the headers with a secret name, with and without the name of their scheme."""
    values = [value for name, value in target.headers.items() if is_secret(name)]
    return values + [value.partition(" ")[2] for value in values]


def summary_of(results: Sequence[CheckResult]) -> dict[str, int]:
    """How many of each verdict, zeros included."""
    return {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}


def observe(
    client: StreamClient,
    target: Target,
    selected: Sequence[Check],
    *,
    mock: MockControl | None = None,
    public: bool = False,
    allowed: Allowed = NOTHING,
    profile: Profile | None = None,
    schema: PayloadSchema | None = None,
    pace: Pace | None = None,
    guessed: bool = False,
    budget: Budget | None = None,
    progress: Progress = lambda *_: None,
) -> Case:
    """Run the scenarios that the selected checks read; only the first one when it gives no stream.

    Raises CannotMeasure when the first stream does not come from the mock: its ledger would have nothing to say.
    `profile` None is the one that follows from the dialect. `budget` bounds the tokens that a real model may cost.
    """
    offset = None if mock is None else mock.clock(_CLOCK_ERROR_NS)
    watch = None if mock is None else UpstreamWatch.begin(mock)
    pace = pace or Pace()
    allowed = replace(allowed, promise=target.promise, reads_state=target.state_url is not None)
    runner = ScenarioRunner(client, target, mock, offset, pace, allowed, target.reader())
    case = Case(
        position=Position.DIRECT if mock is None else Position.SANDWICH,
        allowed=allowed.opt_ins,
        promise=target.promise,
        reads_state=target.state_url is not None,
        public=public,
        has_credential=any(is_secret(name) for name in target.headers),
        credentials=frozenset(digest_of(value) for value in credentials(target) if value),
        endpoint_is_mock=runner.asks_the_mock,
        dialect=target.reader(),
        takes_limit=target.takes_limit,
        schema=schema,
        ends=Ends(target.end),
        heartbeat_ns=round(pace.heartbeat_s * SECOND),
    )
    spending = Spending(budget or Budget(), target, allowed, free=mock is not None)
    case.left_out = spending.left_out
    progress(SCENARIOS[FIRST].summary, 0, 1)
    before = client.exchanges
    reserved = spending.reserve(SCENARIOS[FIRST])
    if reserved is None:
        raise CannotMeasure(f"not even the first request: {spending.left_out[FIRST]}", LARGER_BUDGET)
    case.observed += SCENARIOS[FIRST].observe(runner)
    spending.settle(reserved, case.observed)
    case.requests = client.exchanges - before
    happy = case.observed[0]
    case.method = happy.method
    if not happy.streams or happy.broken_framing:
        return case
    if watch is not None and happy.upstream is None:
        raise watch.nothing_seen()
    case.dialect = target.reader() or happy.transcript.dialect
    case.doubt = happy.transcript.dialect_doubt or _misread(happy) or _undecided(case)
    vendor = case.dialect is not None and case.dialect.vendor is not None
    case.place_guessed = guessed and not vendor and not happy.upstream
    # An uncertain dialect gets the plain profile: no vendor exceptions.
    products = products_in([happy.transcript.capture.head])
    case.profile = profile or profiles.of_dialect(None if case.doubt else case.dialect, products)
    runner = runner._replace(dialect=case.dialect, happy=happy)
    silence_s = None
    if happy.transcript.capture.end is End.TIMEOUT:
        silence_s = min(ENDLESS_S, client.patience.silence_s)
        runner = runner._replace(deadline_s=ENDLESS_S)

    exchanges_made: list[int] = []

    def still_answers() -> bool:
        with client.another() as own, suppress(OutOfTime):
            answered = runner._replace(client=own).answers()
            exchanges_made.append(own.exchanges)
            return answered
        return True  # the time of the whole check is over, which says nothing about the endpoint

    dead_end = DeadEnd(still_answers)

    def observe_one(scenario: Scenario, waiting: Waiting, at_most_s: float | None = None) -> list[Observed]:
        """The observations of a scenario; none when the time is over, or when this machine has not the means for its
        streams: neither is the endpoint's. `at_most_s` is how long a silence may last.
        """
        reserved = spending.reserve(scenario)
        if reserved is None:
            return []
        observed: list[Observed] = []
        with (
            client.another(read_timeout_s=at_most_s or silence_s, watch=dead_end) as own,
            suppress(OutOfTime, NoLongerAnswers),
        ):
            try:
                observed = list(scenario.observe(runner._replace(client=own, waiting=waiting)))
            except OutOfMeans as error:
                case.beyond_means[scenario.name] = error.message
            exchanges_made.append(own.exchanges)
        spending.settle(reserved, observed)
        case.out_of_time = case.out_of_time or client.out_of_time
        case.dead_end = dead_end.reason
        return [] if client.out_of_time else observed

    observe_shortly = partial(observe_one, at_most_s=min(runner.probe_deadline_s, client.patience.silence_s))
    _observe_all(case, happy, _to_run(case, selected, allowed), observe_one, observe_shortly, progress)
    if dead_end.reason is not None:
        excuse(case.observed, dead_end.reason)
    case.requests += sum(exchanges_made)
    return case


def _undecided(case: Case) -> str | None:
    """The doubt when the ordinary stream had only errors, heartbeats and comments."""
    if case.dialect is not None:
        return None
    return f"the dialect is not known, because the ordinary stream has only errors, heartbeats or comments; {SETTLE}"


def _misread(happy: Observed) -> str | None:
    """The doubt when the first token is older than the write of it in the mock's ledger."""
    upstream, tokens = happy.upstream, happy.transcript.tokens
    if upstream is None or not upstream.token_ns or not upstream.arrivals_ns or not tokens:
        return None
    reported_ns = happy.transcript.time_of(tokens[0][0]) - happy.transcript.capture.start_ns
    older_ns = older_by_ns(reported_ns, upstream.token_ns[0] - upstream.arrivals_ns[-1])
    dialect = happy.transcript.dialect
    return misread(None if dialect is None else dialect.name, older_ns) if older_ns else None


def _observe_all(
    case: Case,
    happy: Observed,
    scenarios: Sequence[Scenario],
    observe_one: ObserveScenario,
    observe_shortly: ObserveScenario,
    progress: Progress,
) -> None:
    """Run the scenarios after the first: whether two may run at once, then the ordinary ones, then the costly ones."""
    costly = [one for one in scenarios if one.concurrency is Concurrency.COSTLY]
    todo = [one for one in scenarios if one not in costly]
    first = pair_before(todo)
    total = 1 + len(first) + len(todo) + len(costly)
    pair = run_scenarios(first, observe_one, progress, done=1, total=total)
    case.one_at_a_time = own_load.serves_one_at_a_time(happy, pair)
    at_once = AT_ONCE if case.one_at_a_time is None else 1
    case.observed += pair
    case.observed += run_scenarios(todo, observe_one, progress, done=1 + len(first), total=total, at_once=at_once)
    if happy.transcript.capture.end is not End.TIMEOUT and case.dead_end is None:  # else it fails alone, too
        _repeat_alone(case, happy, todo, observe_one, observe_shortly, progress)
    case.observed += run_scenarios(costly, observe_one, progress, done=total - len(costly), total=total)


def _repeat_alone(
    case: Case,
    happy: Observed,
    scenarios: Sequence[Scenario],
    observe_one: ObserveScenario,
    observe_shortly: ObserveScenario,
    progress: Progress,
) -> None:
    """Ask again, one after another, what failed to come while this run kept the endpoint busy.

    Once several have failed alone as well, this run was not the cause. The others are then asked with less patience: an
    answer replaces what failed to come, and another failure confirms it.
    """
    failures = 0
    repeated = own_load.to_repeat(scenarios, case.observed, happy)
    for scenario in repeated:
        if case.dead_end is not None:
            return
        progress(f"again, alone: {scenario.summary}", len(scenarios), len(scenarios) + 1)
        time.sleep(own_load.rest_s(case.observed, happy))
        confirmed = failures >= own_load.ENOUGH_FAILURES
        again = (observe_shortly if confirmed else observe_one)(scenario, nullcontext)
        if not again:  # too few tokens are left
            continue
        own_load.note_crowding(again, case.observed, happy)
        fails = own_load.fails_again(again, happy)
        failures = failures + 1 if fails else 0
        if confirmed and fails:
            continue  # the first answer had more patience
        case.observed = own_load.without([scenario], case.observed) + again


def _to_run(case: Case, selected: Sequence[Check], allowed: Allowed) -> list[Scenario]:
    """The scenarios after the first that the checks read and that can run, in the order of SCENARIOS."""
    names = {name for check in selected if asks(case, check) for name in check.scenarios} - {FIRST}
    return scenarios_of(names, mock=case.has_mock, allowed=allowed)
