"""Makes the requests that feed the checks: each scenario once, whatever number of checks reads it.

The happy path goes first: without a stream there is nothing to judge. In sandwich position every prompt carries a
directive, so that the mock plays what the scenario needs and its ledger can be joined by id.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from harness import __version__
from harness import plays as _played  # noqa: F401 - importing it registers the plays
from harness.client import StreamClient, not_a_stream
from harness.compat import compare, stream_of
from harness.conformance import checks as _registered  # noqa: F401 - importing it declares the checks
from harness.conformance import guesses, profiles
from harness.conformance.cases import Case, Observed, Position
from harness.conformance.hop import beside
from harness.conformance.matrix import Matrix
from harness.conformance.optins import NOTHING, Allowed
from harness.conformance.profiles import Profile
from harness.conformance.registry import Check, asks, judge
from harness.conformance.result import CheckResult, ChecksFile, Verdict
from harness.conformance.scenarios import HAPPY, SCENARIOS, Scenario
from harness.conformance.schema import PayloadSchema
from harness.conformance.wirelog import Hide, exchanges, hidden, hiding
from harness.plays.base import PLAYS, Pace, Runner
from harness.plays.floor import Progress, Waiting, perform
from harness.secrets import is_secret
from harness.target import Target
from harness.truth import Mock
from harness.units import SECOND

REPLAYED: Final = (*HAPPY, "length", "mid-error")
"""The scenarios whose streams are replayed through clients: those that the endpoint means to be read."""


def check(
    client: StreamClient,
    target: Target,
    selected: Sequence[Check],
    *,
    mock: Mock | None = None,
    public: bool = False,
    strict: bool = False,
    allowed: Allowed = NOTHING,
    profile: Profile | None = None,
    schema: PayloadSchema | None = None,
    pace: Pace | None = None,
    guessed: bool = False,
    clients: bool = False,
    reference: Target | None = None,
    progress: Progress = lambda *_: None,
) -> ChecksFile:
    """Observe a settled target and judge it. Raises CannotMeasure when the happy path gives no stream.

    `reference` is the same endpoint without a proxy: everything is observed there too, and each finding says whether
    it is the proxy's.

    `guessed`: it was settled by trying, so where the prompt goes is not known.
    `clients`: its streams are also replayed through the clients that people use.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
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
        progress=progress,
    )
    case = look(client, target)
    happy = case.observed[0]
    if not happy.streams:
        raise not_a_stream(happy.transcript)
    if reference is not None:
        with client.another() as own:
            direct = look(own, reference)
        if not direct.observed[0].streams:
            raise not_a_stream(direct.observed[0].transcript)
        case.position, case.mock, case.reference = Position.VIA, mock is not None, direct
        case.requests += direct.requests
    played = {seen.scenario for seen in case.observed}
    reads = {one.id: [name for name in one.reads if name in played] for one in selected}
    hide = hiding([*credentials(target), allowed.second_key or ""])
    results = [msgspec.structs.replace(hidden(one, hide), scenarios=reads[one.id]) for one in _judged(case, selected)]
    return ChecksFile(
        target=target.masked_url,
        dialect=case.dialect_name,
        dialect_rule=happy.transcript.dialect_rule,
        dialect_doubt=case.doubt,
        profile=case.profile.name,
        position=case.position.value,
        streamgauge=__version__,
        started=started,
        strict=strict,
        requests=case.requests,
        summary=summary_of(results),
        results=results,
        exchanges=exchanges(case, results, hide),
        clients=_matrix(case, hide) if clients else None,
    )


def _judged(case: Case, selected: Sequence[Check]) -> list[CheckResult]:
    """The results; with a reference, each finding says whether it is there without the proxy too."""
    results = judge(case, selected)
    if case.reference is None:
        return results
    return [beside(one, direct) for one, direct in zip(results, judge(case.reference, selected), strict=True)]


def _matrix(case: Case, hide: Hide) -> Matrix:
    streams = [stream_of(seen.transcript, seen.label) for seen in case.of(REPLAYED)]
    return compare([stream for stream in streams if stream is not None], case.dialect, case.method, hide=hide)


def credentials(target: Target) -> list[str]:
    """The values that must not come back in a report, with and without the name of their scheme."""
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
    mock: Mock | None = None,
    public: bool = False,
    allowed: Allowed = NOTHING,
    profile: Profile | None = None,
    schema: PayloadSchema | None = None,
    pace: Pace | None = None,
    guessed: bool = False,
    progress: Progress = lambda *_: None,
) -> Case:
    """Run the scenarios that the selected checks read; only the first one when it gives no stream.

    `profile` None is the one that follows from the dialect.
    """
    offset = None if mock is None else mock.clock()
    pace = pace or Pace()
    runner = Runner(client, target, mock, offset, pace, allowed, target.reader())
    case = Case(
        position=Position.DIRECT if mock is None else Position.SANDWICH,
        allowed=allowed.opt_ins,
        public=public,
        has_credential=any(is_secret(name) for name in target.headers),
        endpoint_is_mock=runner.asks_the_mock,
        dialect=target.reader(),
        takes_limit=target.takes_limit,
        schema=schema,
        heartbeat_ns=round(pace.heartbeat_s * SECOND),
    )
    progress(SCENARIOS["happy"].summary, 0, 1)
    before = client.exchanges
    case.observed += PLAYS["happy"](runner, "happy")
    case.requests = client.exchanges - before
    happy = case.observed[0]
    case.method = happy.method
    if not happy.streams:
        return case
    case.dialect = target.reader() or happy.transcript.dialect
    case.doubt = guesses.doubt(happy.transcript)
    vendor = case.dialect is not None and case.dialect.path is not None
    case.place_guessed = guessed and not vendor and not happy.upstream
    # What is in doubt has no vendor whose habits could be excused.
    case.profile = profile or profiles.of_dialect(None if case.doubt else case.dialect)
    runner = runner._replace(dialect=case.dialect, happy=happy)

    def play(scenario: Scenario, waiting: Waiting) -> list[Observed]:
        with client.another() as own:
            seen = list(PLAYS[scenario.name](runner._replace(client=own, waiting=waiting), scenario.name))
            counts.append(own.exchanges)
            return seen

    counts: list[int] = []
    todo = _to_play(case, selected)
    case.observed += perform(todo, play, progress, done=1, total=len(todo) + 1)
    case.requests += sum(counts)
    return case


def _to_play(case: Case, selected: Sequence[Check]) -> list[Scenario]:
    """The scenarios that the checks read and that can be played, but for the first, in their order."""
    read = {name for one in selected if asks(case, one) for name in one.reads} - {"happy"}
    mock = case.has_mock
    possible = [name for name, one in SCENARIOS.items() if not one.missing(mock=mock, allowed=case.allowed)]
    wanted = {SCENARIOS[name].part_of or name for name in possible if name in read}
    return [one for name, one in SCENARIOS.items() if name in wanted]
