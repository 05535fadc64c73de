"""Before a run: how many streams it will give, and whether they can decide its objectives."""

from pathlib import Path

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptSource, source
from streamgauge.loadgen.prompts.options import plan_from
from streamgauge.loadgen.sample_size import check_classes, expected, expected_streams
from streamgauge.loadgen.schedule import Rate, Stage
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.workload import Think, Workload
from streamgauge.metrics.concurrency import Alone
from streamgauge.metrics.slo import parse_slo
from streamgauge.units import SECOND

ALONE = Alone(ttft_ms=200, e2e_ms=1_000)


@pytest.mark.parametrize(
    ("workload", "streams"),
    [
        (Workload(users=10, length_ns=30 * SECOND), 300),
        (Workload(users=10, length_ns=40 * SECOND, warmup_ns=10 * SECOND), 300),
        (Workload(users=10, length_ns=30 * SECOND, think=Think(SECOND, 3 * SECOND)), 100),
        (Workload(users=10, length_ns=30 * SECOND, think=Think(2 * SECOND, 2 * SECOND, exponential=True)), 100),
        (Workload(stages=(Stage(10, 10 * SECOND), Stage(50, 10 * SECOND)), length_ns=20 * SECOND), 600),
        (
            Workload(
                stages=(Stage(10, 10 * SECOND), Stage(50, 10 * SECOND)), length_ns=20 * SECOND, warmup_ns=12 * SECOND
            ),
            400,
        ),
        (Workload(rate=Rate(20, cv=0), length_ns=30 * SECOND, warmup_ns=10 * SECOND), 400),
    ],
)
def test_the_streams_of_a_run_are_foreseen(workload: Workload, streams: int) -> None:
    assert expected_streams(workload, ALONE) == streams


def test_the_later_turns_of_a_replay_are_foreseen_too(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,session_id\n0,a\n1,b\n2,a\n3,a\n")
    waiting = Workload(replay=str(trace), trace=TraceControls(closed=True), length_ns=30 * SECOND)
    assert expected_streams(waiting, None) == 4


def test_a_run_that_is_too_short_for_its_objective_says_so_and_how_long_it_should_be() -> None:
    slos = [parse_slo("ttft p99 < 500ms"), parse_slo("ttft p95 < 500ms")]
    found = expected(Workload(users=5, length_ns=30 * SECOND), slos, ALONE)

    assert found is not None
    assert str(found) == (
        "at most about 150 streams expected (5 users; one stream alone took 1000 ms). To be met at 95% confidence, "
        "without a stream beyond the limit: ttft p99 < 500ms needs 299, ttft p95 < 500ms needs 59. ttft p99 < 500ms "
        "can only be missed or stay undecided: give --duration 60s"
    )


def test_a_run_that_is_long_enough_says_only_what_is_needed() -> None:
    found = expected(Workload(rate=Rate(20), length_ns=60 * SECOND), [parse_slo("error_rate < 1%")], None)
    assert found is not None
    assert str(found).endswith("error_rate < 1% needs 381.")


@pytest.mark.parametrize("slo", ["ttft < 1s", "e2e max < 1s", "output_tokens_per_s > 5", "error_rate <= 0%"])
def test_an_objective_for_the_run_itself_needs_no_sample(slo: str) -> None:
    assert expected(Workload(users=5, length_ns=SECOND), [parse_slo(slo)], ALONE) is None


def test_nothing_is_said_where_nothing_can_be_foreseen() -> None:
    slos = [parse_slo("ttft p95 < 1s")]
    assert expected(Workload(users=5, length_ns=SECOND), slos, Alone(ttft_ms=None, e2e_ms=None)) is None
    assert expected(Workload(users=5, length_ns=SECOND), [], ALONE) is None


def prompts(**options: str) -> PromptSource:
    return source(plan_from(**options))  # type: ignore[arg-type]


def test_the_streams_that_an_objective_for_a_class_needs_are_those_of_its_class() -> None:
    load = Workload(users=10, length_ns=60 * SECOND)
    slos = [parse_slo("ttft p95 < 500ms where prompt <= 100"), parse_slo("ttft p95 < 2s")]
    found = expected(load, slos, ALONE, prompts(prompt_tokens="U(1,1000)"))

    assert found is not None
    assert "ttft p95 < 500ms where prompt <= 100 needs 59 of the about 59 of its class" in str(found)
    assert str(found).endswith("of its class, ttft p95 < 2000ms needs 59.")
    assert "expected" in str(expected(load, slos, ALONE, prompts(prompt_tokens="50")))


def test_a_run_with_too_few_streams_of_a_class_says_how_long_it_should_be() -> None:
    load = Workload(users=10, length_ns=10 * SECOND)
    found = expected(load, [parse_slo("ttft p95 < 1s where output > 90")], ALONE, prompts(output_tokens="U(1,100)"))
    assert found is not None
    assert "where output > 90 can only be missed or stay undecided: give --duration" in str(found)


def test_a_class_of_a_trace_has_the_streams_that_the_trace_gives_it(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,session_id,input_length\n0,a,10\n1,b,20\n2,a,3000\n3,a,4000\n", encoding="utf-8")
    load = Workload(replay=str(trace), trace=TraceControls(closed=True, unit_ns=SECOND), length_ns=30 * SECOND)
    for text, members in (("turn > 1", 2), ("turn = 1", 2), ("prompt > 3.5k", 1), ("prompt <= 20 and turn = 1", 2)):
        found = expected(load, [parse_slo(f"ttft p50 < 1s where {text}")], None, prompts())
        assert f"of the about {members} of its class" in str(found)


def test_a_class_that_the_load_cannot_have_is_refused_before_the_run() -> None:
    load = Workload(users=5, length_ns=SECOND)
    with pytest.raises(UsageError, match="no stream of this load has a number of its turn"):
        check_classes(load, [parse_slo("ttft p95 < 1s where turn > 1")], prompts())
    with pytest.raises(UsageError, match="no stream of this load has a number of output tokens") as error:
        check_classes(load, [parse_slo("goodput > 90% where output > 10")], prompts())
    assert "--output-tokens" in (error.value.hint or "")
    check_classes(load, [parse_slo("ttft p95 < 1s where prompt > 1")], prompts())


def test_a_class_of_a_scenario_of_the_users_own_is_not_foreseen() -> None:
    slos = [parse_slo("ttft p95 < 1s where turn > 1")]
    assert expected(Workload(users=5, length_ns=SECOND), slos, ALONE) is None


def test_the_sessions_that_an_objective_needs_are_foreseen(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,session_id\n0,a\n1,b\n2,a\n3,a\n", encoding="utf-8")
    load = Workload(replay=str(trace), trace=TraceControls(closed=True, unit_ns=SECOND), length_ns=30 * SECOND)
    found = expected(load, [parse_slo("session_error_rate < 40%")], None, prompts())
    assert "session_error_rate < 40% needs 6 of the about 2 sessions" in str(found)
    with pytest.raises(UsageError, match="no stream of this load has a number of its turn"):
        check_classes(Workload(users=5, length_ns=SECOND), [parse_slo("session_error_rate < 5%")], prompts())
