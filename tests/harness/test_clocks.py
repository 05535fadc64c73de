"""The offset of a clock from round trips: never further off than it says."""

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.clocks import Offset, better, of_round_trip

TIMES = st.integers(0, 10**9)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=20))
def test_the_true_offset_is_within_the_bound(true_ns: int, ways: list[tuple[int, int]]) -> None:
    best = None
    sent = 10**18
    for there, back in ways:
        best = better(best, of_round_trip(sent, sent + there + true_ns, sent + there + back))
        sent += there + back
    assert best is not None
    # Halves of odd times are rounded.
    assert abs(best.offset_ns - true_ns) <= best.error_ns + 1
    assert best.error_ns == min((there + back) // 2 for there, back in ways)


def test_an_offset_within_its_error_is_none() -> None:
    assert not Offset(100, 100).matters
    assert Offset(-101, 100).matters
