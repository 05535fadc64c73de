"""Conversations: TTFT by turn, the time of a session, and how many go on at once."""

import random
from typing import Any

import msgspec
import pytest

from streamgauge.errors import UsageError
from streamgauge.metrics.abort_rules import parse_abort
from streamgauge.metrics.sessions import LAST_TURN, Sessions, TurnsCompleted, sessions_of
from streamgauge.metrics.slo import NO_SESSION, SloResult, SloVerdict, parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from tests.builders.made import made


def turn(session: str | None, number: int | None, *token_ms: float, **fields: Any) -> StreamRecord:
    own = {name: fields.pop(name) for name in ("asked_prompt_tokens", "warmup", "intended_ns") if name in fields}
    return msgspec.structs.replace(made(*token_ms, **fields), session=session, turn=number, **own)


def figures(*records: StreamRecord) -> Sessions:
    found = sessions_of(records)
    assert found is not None
    return found


def test_streams_without_a_session_have_no_figures() -> None:
    assert sessions_of([made(1, 2), made(3)]) is None


def test_ttft_is_told_apart_by_turn() -> None:
    found = figures(
        turn("a", 1, 100, 120, asked_prompt_tokens=10, intended_ns=5),
        turn("a", 2, 30, 50, start_ms=500, asked_prompt_tokens=50),
        turn("b", 1, 200, 220, start_ms=100, asked_prompt_tokens=20, intended_ns=6),
        turn("b", 2, start_ms=900, outcome=Outcome.TRUNCATED),
        made(1),
    )
    assert [(row.turn, row.streams, row.failed, row.prompt_tokens) for row in found.turns] == [
        (1, 2, 0, 15.0), (2, 2, 1, 50.0),
    ]  # fmt: skip
    assert [row.ttft_ms.max if row.ttft_ms else None for row in found.turns] == [200, 30]
    assert (found.sessions, found.succeeded, found.streams, found.waiting) == (2, 1, 4, 2)


def test_the_time_of_a_session_is_from_its_first_start_to_its_last_end() -> None:
    found = figures(turn("a", 2, 30, 50, start_ms=500), turn("a", 1, 100, 120), turn("b", 1, 10, start_ms=2000))
    assert found.time_ms is not None
    assert (found.time_ms.count, found.time_ms.max, found.time_ms.p50) == (2, 550, 10)
    assert found.busy_ms is not None
    assert found.busy_ms.max == 50 + 120


def test_a_session_that_failed_or_was_cut_has_no_time_and_one_whose_user_left_has() -> None:
    found = figures(
        turn("a", 1, 5, outcome=Outcome.INCOMPLETE),
        turn("b", 1, 7, outcome=Outcome.CANCELLED),
        turn("c", 1, 9, outcome=Outcome.TRUNCATED),
        turn("d", 1, 9, warmup=True),
    )
    assert found.time_ms is not None
    assert (found.time_ms.count, found.time_ms.max) == (1, 7)
    assert found.succeeded == 2
    assert found.turns[0].failed == 2


def test_a_session_goes_on_during_its_pauses() -> None:
    found = figures(
        turn("a", 1, 10), turn("a", 2, 10, start_ms=1000), turn("b", 1, 10, start_ms=500),
        turn("c", 1, 10, start_ms=1500),
    )  # fmt: skip
    assert found.most_open == 2


def test_late_turns_share_a_row() -> None:
    rows = figures(*(turn("a", number, 1) for number in range(1, LAST_TURN + 3))).turns
    assert (rows[-1].turn, rows[-1].and_later, rows[-1].streams) == (LAST_TURN, True, 3)
    assert not figures(turn("a", LAST_TURN, 1)).turns[-1].and_later


def test_a_session_succeeded_failed_or_was_not_finished() -> None:
    records = [
        turn("good", 1, 10), turn("good", 2, 10),
        turn("failed", 1, 10), turn("failed", 2, 10, outcome=Outcome.HTTP_ERROR), turn("failed", 3, 10),
        turn("cut", 1, 10), turn("cut", 2, 10, outcome=Outcome.INCOMPLETE),
        turn("in a pause", 1, 10),
    ]  # fmt: skip
    found = sessions_of(records, {"good": 2, "in a pause": 3}.get)
    assert found is not None
    assert (found.succeeded, found.failed, found.unfinished, found.ended) == (1, 1, 2, 2)
    assert found.turns_completed == TurnsCompleted(mean=1.5, p50=1, max=2)
    assert found.time_ms is not None
    assert found.time_ms.count == 1


def test_cached_prompt_tokens_are_told_apart_by_turn() -> None:
    def cached(number: int, prompt: int | None, tokens: int | None) -> StreamRecord:
        return msgspec.structs.replace(turn("a", number, 10), usage_prompt_tokens=prompt, usage_cached_tokens=tokens)

    found = figures(cached(1, 100, 0), cached(1, 300, 0), cached(2, 200, 150), cached(3, None, None))
    assert [row.cached_share for row in found.turns] == [0, 0.75, None]


def with_failed(sessions: int, failed: int, *slos: str) -> list[SloResult]:
    totals = Totals(map(parse_slo, slos))
    bad = set(random.Random(1).sample(range(sessions), failed))
    outcomes = [Outcome.TRUNCATED if number in bad else Outcome.OK for number in range(sessions)]
    records = (turn(str(n), 1, 10, start_ms=n, outcome=outcome) for n, outcome in enumerate(outcomes))
    totals.sessions = sessions_of(records)
    return totals.summary().slo_results


def test_an_objective_on_sessions_counts_sessions() -> None:
    met, missed, few = (
        with_failed(400, 4, "session_error_rate < 5%")[0],
        with_failed(400, 60, "session_error_rate < 5%")[0],
        with_failed(20, 0, "session_error_rate < 5%")[0],
    )
    assert (met.verdict, met.measured, met.count) == (SloVerdict.MET, "1%", "400 sessions")
    assert (missed.verdict, missed.measured) == (SloVerdict.MISSED, "15%")
    assert (few.verdict, few.needed) == (SloVerdict.UNDECIDED, 73)
    assert few.reason == "20 sessions are too few: 73 without a miss would decide it"


def test_no_failed_session_is_a_fact_of_the_run() -> None:
    assert with_failed(20, 0, "session_error_rate <= 0%")[0].verdict is SloVerdict.MET
    assert with_failed(20, 1, "session_error_rate <= 0%")[0].verdict is SloVerdict.MISSED


def test_an_objective_on_sessions_without_a_session_is_undecided() -> None:
    totals = Totals([parse_slo("session_error_rate < 5%")])
    totals.add(made(10, 20))
    found = totals.summary().slo_results[0]
    assert (found.verdict, found.reason) == (SloVerdict.UNDECIDED, NO_SESSION)


def test_sessions_that_fail_together_are_worth_fewer() -> None:
    burst = figures(
        *(
            turn(str(number), 1, 10, start_ms=number, outcome=Outcome.TRUNCATED if number % 100 < 20 else Outcome.OK)
            for number in range(400)
        )
    )
    assert burst.dependence > 4


@pytest.mark.parametrize("text", ["session_error_rate > 5%", "session_error_rate > 5% for 10s"])
def test_a_run_cannot_be_stopped_by_its_sessions(text: str) -> None:
    with pytest.raises(UsageError, match="expected the name of a metric"):
        parse_abort(text)


def test_sessions_have_no_class_of_streams() -> None:
    with pytest.raises(UsageError, match="nothing more, because session_error_rate has no classes"):
        parse_slo("session_error_rate < 5% where turn > 1")
