"""The loads of each axis."""

import pytest

from streamgauge.capacity.answer import answer
from streamgauge.capacity.axis import Axis
from streamgauge.capacity.probe import Purpose
from tests.harness.capacity.points import holds, run


@pytest.mark.parametrize(
    ("axis", "load", "shown"),
    [
        (Axis.USERS, 1, "1 user"),
        (Axis.SESSIONS, 1, "1 session"),
        (Axis.SESSIONS, 1_200, "1,200 sessions"),
        (Axis.RATE, 2.5, "2.5 streams/s"),
        (Axis.RATE, 12_300, "12,300 streams/s"),
    ],
)
def test_a_load_is_shown_with_its_unit(axis: Axis, load: float, shown: str) -> None:
    assert axis.show(load) == shown


def test_sessions_are_searched_as_whole_numbers_and_answered_in_the_same_words() -> None:
    search = run(holds(8), axis=Axis.SESSIONS, confirm_rate=True)

    assert answer(search).headline == "between 8 sessions (passed) and 9 sessions (failed)"
    assert all(point.load == int(point.load) for point in search.points)
    assert search.of(Purpose.RATE) == [], "an arrival is no session"


def test_every_user_has_begun_a_second_session_before_a_point_counts() -> None:
    search = run(holds(2), axis=Axis.SESSIONS, seen=lambda _: {"session_s": 12.0}, most=4.0)

    assert [point.probe.warmup_s for point in search.points[:3]] == [1.0, 12.0, 12.0]
