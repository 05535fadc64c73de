"""The load model as it is written and as it travels."""

import random
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.schedule import Rate, Stage
from streamgauge.loadgen.workload import Abandon, Think, Workload, parse_abandon, parse_think
from streamgauge.units import MS, SECOND
from streamgauge.wire import Capture, Head


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2s", Think(2 * SECOND, 2 * SECOND)),
        ("0", Think(0, 0)),
        ("exp(500ms)", Think(500 * MS, 500 * MS, exponential=True)),
        (" uniform(1s, 3s) ", Think(SECOND, 3 * SECOND)),
    ],
)
def test_a_think_time_is_read(text: str, expected: Think) -> None:
    assert parse_think(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2", "exp(2)", "exp(1s,2s)", "uniform(3s,1s)", "uniform(1s)", "normal(1s,2s)", "999h"]
)
def test_what_is_no_think_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_think(text)


def test_pauses_have_their_distribution() -> None:
    rng = random.Random(1)
    exponential = [parse_think("exp(2s)").draw_s(rng) for _ in range(5_000)]
    uniform = [parse_think("uniform(1s,3s)").draw_s(rng) for _ in range(5_000)]
    assert sum(exponential) / 5_000 == pytest.approx(2, rel=0.1)
    assert sum(pause > 2 for pause in exponential) / 5_000 == pytest.approx(0.368, abs=0.03)
    assert 1 <= min(uniform) < 1.01 < 2.99 < max(uniform) <= 3
    assert parse_think("0").draw_s(rng) == parse_think("exp(0s)").draw_s(rng) == 0
    assert parse_think("2s").draw_s(rng) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10%@tokens:5..50", Abandon(0.1, by_tokens=True, low=5, high=50)),
        ("2.5%@tokens:7", Abandon(0.025, by_tokens=True, low=7, high=7)),
        ("100%@2s..5s", Abandon(1.0, by_tokens=False, low=2 * SECOND, high=5 * SECOND)),
        ("10%@1.5s..2.5s", Abandon(0.1, by_tokens=False, low=1_500 * MS, high=2_500 * MS)),
        ("10%@0", Abandon(0.1, by_tokens=False, low=0, high=0)),
    ],
)
def test_an_abandonment_is_read(text: str, expected: Abandon) -> None:
    assert parse_abandon(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "10%", "10@5s", "0%@5s", "101%@5s", "%@5s", "10%@", "10%@5", "10%@tokens:0", "10%@tokens:", "10%@tokens:5s",
        "10%@tokens:9..5", "10%@5s..2s", "10%@5s..", "10%@..5s", "10%@1s..2s..3s", "10%@tokens:1..2..3", "²%@1s",
    ],
)  # fmt: skip
def test_what_is_no_abandonment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_abandon(text)
    assert caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_think, parse_abandon, lambda text: parse_abandon(f"10%@{text}")):
        with suppress(UsageError):
            parse(text)


def test_the_share_of_streams_leaves_within_the_bounds_and_the_seed_decides_which() -> None:
    abandon = parse_abandon("10%@tokens:5..50")
    first = [abandon.leave(1, str(number)) for number in range(5_000)]
    leaving = [leave.tokens for leave in first if leave is not None]
    assert len(leaving) / 5_000 == pytest.approx(0.1, abs=0.02)
    assert set(leaving) == set(range(5, 51))
    assert first == [abandon.leave(1, str(number)) for number in range(5_000)]
    assert first != [abandon.leave(2, str(number)) for number in range(5_000)]
    assert parse_abandon("100%@2s").leave(1, "0") == Leave(after_ns=2 * SECOND)


@given(st.integers(1, 64), st.integers(0, 1000))
def test_processes_share_the_cap(processes: int, more: int) -> None:
    workload = Workload(length_ns=SECOND, processes=processes, max_streams=processes + more)
    caps = [workload.cap(worker) or 0 for worker in range(processes)]
    assert sum(caps) == processes + more
    assert max(caps) - min(caps) <= 1


def test_a_workload_travels_described() -> None:
    workload = Workload(
        length_ns=60 * SECOND, seed=7, think=parse_think("exp(2s)"), stages=(Stage(3, SECOND),), rate=Rate(20, 1.0),
        max_streams=5, abandon=parse_abandon("10%@tokens:5..50"),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(workload), type=Workload) == workload


@pytest.mark.parametrize(
    ("workload", "model", "is_open"),
    [
        (Workload(length_ns=1, users=5), "5 users", False),
        (Workload(length_ns=1, stages=(Stage(5, SECOND), Stage(9, 2 * SECOND))), "users by stages 5:1s,9:2s", False),
        (Workload(length_ns=1, rate=Rate(20)), "20/s, Poisson", True),
        (Workload(length_ns=1, rate=Rate(0.5, 0)), "0.5/s, constant", True),
        (Workload(length_ns=1, rate=Rate(20, 2.5)), "20/s, gamma with CV 2.5", True),
        (Workload(length_ns=1, replay="/a/trace.csv"), "replay of trace.csv", True),
        (
            Workload(length_ns=1, replay="t.csv", rate=Rate(2)),
            "replay of t.csv, sessions started at 2/s, Poisson",
            True,
        ),
        (
            Workload(length_ns=1, replay="t.csv", users=5, by_users=True),
            "replay of t.csv by 5 users, session by session",
            False,
        ),
    ],
)
def test_a_model_is_named(workload: Workload, model: str, is_open: bool) -> None:
    assert (workload.model, workload.is_open) == (model, is_open)


@pytest.mark.parametrize(
    ("options", "replica"),
    [
        ({}, None),
        ({"replica_header": "X-Replica"}, "replica-1"),
        ({"replica_header": "X-Other"}, None),
        ({"replica_address": True}, "10.0.0.7:80"),
    ],
)
def test_a_replica_is_named_by_a_field_of_its_answer_or_by_its_address(
    options: dict[str, Any], replica: str | None
) -> None:
    workload = Workload(length_ns=SECOND, **options)
    answered = Capture(start_ns=0, peer="10.0.0.7:80", head=Head(200, "OK", "1.1", (("X-Replica", "replica-1"),)))
    assert workload.replica_of(answered) == replica
    assert workload.replica_of(Capture(start_ns=0, peer="10.0.0.7:80")) is None
