"""Every check, proven both ways, on tapes."""

import random
from collections import defaultdict

import msgspec
import pytest

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.permissions import ENDS_WELL, STREAM
from streamgauge.conformance.result import CheckResult, Evidence, Verdict
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.protocol import dialects
from streamgauge.wire import End
from tests.builders.together import together
from tests.harness.conformance.examples import EXAMPLES, by_check, judge, judged, named
from tests.harness.conformance.tapes import Example, Tape
from tests.harness.conformance.tapes_behaviour import KEY

OF_CHECK = by_check(EXAMPLES)
CHUNKED = by_check(
    one
    for one in EXAMPLES
    if one.check.startswith(("framing.", "text.", "openai-", "anthropic.", "gemini.", "ollama.", "cohere.", "custom."))
    and all(tape.timed is None and len(tape.body) < 10_000 and tape.scenario != "no-stream" for tape in one.tapes)
)
INCONCLUSIVE = by_check(one for one in EXAMPLES if one.verdict is Verdict.INCONCLUSIVE)


def places(result: CheckResult) -> list[Evidence]:
    """The evidence without its times, which the cut decides."""
    return [msgspec.structs.replace(item, arrival_ns=None) for item in result.evidence]


@pytest.mark.parametrize("check", OF_CHECK)
def test_verdict(check: str) -> None:
    """The check says of each of its tapes what the tape was written to make it say."""
    with together() as case:
        for example in OF_CHECK[check]:
            with case(named(example)):
                _, result = judged(example)
                assert result.verdict is example.verdict, result.actual
                assert result.actual


@pytest.mark.parametrize("check", CHUNKED)
def test_verdict_does_not_depend_on_how_the_bytes_are_cut(check: str) -> None:
    """Bytes that arrive one, two or three at a time mean the same."""
    with together() as case:
        for example in CHUNKED[check]:
            _, whole = judged(example)
            for piece in (1, 2, 3):
                with case(f"{named(example)}, {piece} at a time"):
                    _, cut = judge(example, piece)
                    assert (cut.verdict, cut.actual, places(cut)) == (whole.verdict, whole.actual, places(whole))


def test_every_check_is_proven_both_ways() -> None:
    """A check that was never seen to pass, or never seen to object, proves nothing."""
    verdicts = defaultdict(set)
    for example in EXAMPLES:
        verdicts[example.check].add(example.verdict)
    objecting = {Verdict.FAIL, Verdict.WARN}

    # flush.burstiness reports figures, so its best is `info`.
    never_passed = {name for name in CHECKS if not verdicts[name] & {Verdict.PASS}} - {"flush.burstiness"}
    never_objected = {name for name in CHECKS if not verdicts[name] & (objecting | {Verdict.INFO})}
    assert never_passed == set()
    assert never_objected == set()


def test_every_check_reads_scenarios_that_exist() -> None:
    """The registry refuses others when it is filled; this says so for what is there."""
    assert len(CHECKS) >= 45
    assert all(set(check.scenarios) <= SCENARIOS.keys() for check in CHECKS.values())
    assert all(check.expected for check in CHECKS.values())


@pytest.mark.parametrize("check", INCONCLUSIVE)
def test_an_inconclusive_check_says_what_would_make_it_testable(check: str) -> None:
    """No dead end: `needs` names the flag or the position."""
    with together() as case:
        for example in INCONCLUSIVE[check]:
            with case(named(example)):
                _, result = judged(example)
                assert result.needs


@pytest.mark.parametrize("check", OF_CHECK)
def test_findings_can_be_printed(check: str) -> None:
    """No control character of the endpoint's reaches a result, and excerpts are bounded."""
    with together() as case:
        for example in OF_CHECK[check]:
            with case(named(example)):
                _, result = judged(example)
                assert_printable(result)


def assert_printable(result: CheckResult) -> None:
    assert result.actual.isprintable()
    for item in result.evidence:
        assert (item.note or "").isprintable()
        assert (item.excerpt or "").isprintable()
        assert len(item.excerpt or "") <= 1300
        assert KEY.decode() not in f"{item}"


@pytest.mark.parametrize("seed", range(60))
def test_hostile_bytes_break_no_check(seed: int) -> None:
    """Whatever comes, every check gives a verdict of its own, never `error`."""
    source = random.Random(seed)
    pool = [tape.body for example in EXAMPLES for tape in example.tapes if tape.body and len(tape.body) < 2_000]
    body = bytearray(b"".join(source.choices(pool, k=4)))
    for _ in range(source.randrange(30)):
        body[source.randrange(len(body))] = source.randrange(256)
    scenarios = list(SCENARIOS)
    names = [dialect.name for dialect in dialects.DIALECTS]
    tapes = tuple(
        Tape(
            body=bytes(body),
            scenario=scenario,
            end=source.choice([End.COMPLETE, End.CLOSED, End.TIMEOUT, End.RESET]),
            dialect=source.choice([None, *names]),
            status=source.choice([200, 200, 200, 400, 429, None]),
            said="x",
        )
        for scenario in scenarios
    )
    dialect = source.choice(names)
    example = Example("", Verdict.PASS, tapes, {"dialect": dialect, "has_credential": True})

    results = judge_case(example.case(source.choice([None, 1, 7])), CHECKS.values())

    assert [(one.id, one.actual) for one in results if one.verdict is Verdict.ERROR] == []


@pytest.mark.parametrize("check", ["errors.mid-stream-event", "termination.truncation-distinguishable"])
def test_a_stream_that_never_ends_after_an_upstreams_failure_hangs_for_the_seconds_that_were_waited(check: str) -> None:
    hanging = [one for one in EXAMPLES if one.check == check and any(tape.end is End.TIMEOUT for tape in one.tapes)]
    results = [judged(example)[1] for example in hanging]
    assert results
    assert all("the stream hangs: it was still open 60.0 s after its last token" in one.actual for one in results)


def test_where_every_stream_failed_it_is_not_a_stream_that_is_wanted() -> None:
    """`--body, --header, --api-key-env or --dialect` was the advice for an answer that streamed and then broke off."""
    failed = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"x"}}\n\n'
    needs = {}
    for name, tape in {"failed": Tape(body=failed), "no stream": Tape(status=500)}.items():
        example = Example("", Verdict.INCONCLUSIVE, (tape,), {"dialect": "openai-chat"})
        (result,) = judge_case(example.case(), [CHECKS["openai-chat.done-sentinel"]])
        needs[name] = result.needs
    assert needs == {"failed": ENDS_WELL, "no stream": STREAM}
