"""Conversations: TTFT by turn, the time of a session, and how many go on at once."""

from typing import Any

import msgspec

from streamgauge.metrics.sessions import LAST_TURN, Sessions, sessions_of
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
