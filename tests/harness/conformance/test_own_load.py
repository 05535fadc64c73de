"""The requests of a run do not speak against the endpoint that they keep busy."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import NOTHING, Allowed
from streamgauge.conformance.result import ChecksFile, Verdict
from streamgauge.conformance.scenarios import SCENARIOS, own_load
from streamgauge.conformance.scenarios.declaration import Concurrency
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.units import MS
from streamgauge.wire import End
from tests.builders.single_server import Model, serving
from tests.harness.conformance.tapes import Tape
from tests.harness.conformance.tapes_behaviour import TOKEN

SLOW = Model(first_s=0.1, gap_s=0.03, chars_per_s=1_000)
BIG = 10_000


def checked(
    url: str, only: Sequence[str] = (), skip: Sequence[str] = (), *, allowed: Allowed = NOTHING, timeout_s: float = 20.0
) -> ChecksFile:
    with StreamClient(read_timeout_s=timeout_s) as client:
        return run.check(client, Target(url=url, dialect="openai-chat"), select(only, skip), allowed=allowed)


def objections(checks: ChecksFile) -> dict[str, str]:
    bad = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)
    return {one.id: one.actual for one in checks.results if one.verdict in bad}


@pytest.mark.parametrize("stubborn", [False, True], ids=["stops for a client that leaves", "works on"])
def test_a_server_with_one_thread_gets_no_false_finding(stubborn: bool) -> None:
    began = time.monotonic()

    with serving(SLOW._replace(stubborn=stubborn)) as server:
        checks = checked(server.url)

    assert objections(checks) == {}
    assert checks.one_at_a_time is not None
    assert "when the first answer was complete" in checks.one_at_a_time
    assert time.monotonic() - began < 60
    assert max(server.prompt_sizes) < BIG


def test_a_server_with_many_threads_is_not_taken_for_one_with_one() -> None:
    with serving(SLOW._replace(threads=True)) as server:
        checks = checked(server.url)

    assert objections(checks) == {}
    assert checks.one_at_a_time is None


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("policy", ["queue", "reject"])
def test_a_server_with_few_slots_gets_no_false_finding(slots: int, policy: Any) -> None:
    config = MockConfig(slots=slots, queue_policy=policy, ttft="100ms", itl="30ms", tokens=20)
    with MockServer(config) as mock:
        checks = checked(mock.url + "/v1/chat/completions")

    assert objections(checks) == {}
    assert (checks.one_at_a_time is not None) == (slots == 1)


def test_a_mock_with_one_slot_is_no_excuse_in_the_sandwich() -> None:
    with MockServer(MockConfig(slots=1, faults=("no-terminal",))) as mock, MockControl(mock.url) as control:
        target = Target(url=mock.url + "/v1/chat/completions", dialect="openai-chat")
        with StreamClient() as client:
            checks = run.check(client, target, select(), mock=control, pace=Pace(tokens=16, ttft="20ms", itl="10ms"))

    assert checks.one_at_a_time is not None
    assert "openai-chat.done-sentinel" in objections(checks)


@pytest.mark.parametrize(
    ("only", "skip", "allowed", "big"),
    [
        ((), (), NOTHING, False),
        ((), (), Allowed(big_prompts=True), True),
        ((), ("limits.*",), Allowed(big_prompts=True), False),
        (("security.no-secret-leak",), (), Allowed(big_prompts=True), False),
        (("headers",), (), Allowed(big_prompts=True), False),
        (("limits.input-size",), (), Allowed(big_prompts=True), True),
    ],
)
def test_a_big_prompt_needs_a_permission_and_a_check_that_reads_it(
    only: Sequence[str], skip: Sequence[str], allowed: Allowed, big: bool
) -> None:
    with serving(Model(first_s=0.01, gap_s=0.001, threads=True)) as server:
        checked(server.url, only, skip, allowed=allowed)

    assert any(size > BIG for size in server.prompt_sizes) == big


def test_a_big_prompt_comes_last_and_alone_and_its_slowness_is_no_finding() -> None:
    """It takes 100 s to read here; nothing waits behind it, and no answer within the time limit proves nothing."""
    with serving(SLOW) as server:
        checks = checked(server.url, ["http", "cancel", "limits"], allowed=Allowed(big_prompts=True), timeout_s=1.5)
        assert objections(checks) == {}
        assert server.prompt_sizes[-1] > BIG
    result = next(one for one in checks.results if one.id == "limits.input-size")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "a model may still be reading it" in result.actual


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_what_costs_much_is_last_and_needs_a_permission_without_the_mock(scenario: Any) -> None:
    if scenario.concurrency is Concurrency.COSTLY:
        assert scenario.opt_in_without_mock or scenario.opt_in
    else:
        assert not scenario.opt_in_without_mock
    assert scenario.missing(mock=True, allowed=frozenset()) == [one.value for one in scenario.opt_in]


def stream(start_ms: int, first_ms: int, end_ms: int, **more: Any) -> Observed:
    seen = Tape(timed=((first_ms, TOKEN), (end_ms, TOKEN)), end_ms=end_ms, **more).play()
    capture = seen.transcript.capture
    shift = start_ms * MS
    for name in ("start_ns", "sent_ns", "end_ns"):
        if (value := getattr(capture, name)) is not None:
            setattr(capture, name, value + shift)
    capture.reads = [read._replace(t_ns=read.t_ns + shift) for read in capture.reads]
    return seen


ALONE = stream(0, 100, 1_000)


@pytest.mark.parametrize(
    ("pair", "one_at_a_time"),
    [
        ((stream(0, 100, 1_000), stream(0, 120, 1_020)), False),
        ((stream(0, 100, 1_000), stream(0, 1_100, 2_000)), True),
        ((stream(0, 1_100, 2_000), stream(0, 100, 1_000)), True),
        ((stream(0, 100, 1_000), stream(0, 400, 1_300)), False),  # slower, but at the same time
        ((stream(0, 10, 12), stream(0, 13, 15)), False),  # too short to tell
        ((stream(0, 100, 1_000), stream(0, 0, 1, status=429)), True),
        ((stream(0, 100, 1_000), Tape(status=None, end=End.TIMEOUT).play()), True),
        ((), False),
    ],
)
def test_one_at_a_time_is_told_by_when_the_second_begins(pair: Sequence[Observed], one_at_a_time: bool) -> None:
    assert (own_load.serves_one_at_a_time(ALONE, pair) is not None) == one_at_a_time


def test_whole_answers_at_once_are_not_one_after_another() -> None:
    """A server that sends each answer in one piece: both come late, and at the same time."""
    whole = stream(0, 990, 1_000)

    assert own_load.serves_one_at_a_time(whole, (stream(0, 990, 1_000), stream(0, 1_010, 1_020))) is None
    assert own_load.serves_one_at_a_time(whole, (stream(0, 990, 1_000), stream(0, 1_990, 2_000))) is not None


@pytest.mark.parametrize(("count", "said"), [(1, "busy with 1 stream that"), (2, "busy with 2 streams that")])
def test_streams_that_this_run_left_explain_a_silence_for_as_long_as_their_answers_take(count: int, said: str) -> None:
    left = [stream(0, 100, 200, end=End.CANCELLED) for _ in range(count)]
    soon, late = stream(300, 400, 1_300, status=None, end=End.TIMEOUT), stream(60_000, 60_001, 60_002, end=End.TIMEOUT)

    own_load.note_crowding((soon, late), left, ALONE)
    assert said in (soon.crowded or "")
    assert late.crowded is None
