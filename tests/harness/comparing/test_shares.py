"""Differences of shares: Newcombe's interval where every resample is the same."""

import random

import pytest

from streamgauge.comparing.shares import newcombe


def test_newcombes_interval_is_the_one_of_his_paper() -> None:
    """Newcombe 1998, table II, row (a): 56/70 against 48/80, method 10."""
    found = newcombe(48, 80, 56, 70)
    assert found.point == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-4)
    assert found.high == pytest.approx(0.3339, abs=5e-4)


def test_no_failure_on_either_side_still_has_an_interval() -> None:
    found = newcombe(0, 384, 0, 384)
    assert found.point == 0
    assert -0.0101 < found.low < 0 < found.high < 0.0101


def test_the_interval_holds_the_true_difference_in_95_of_100() -> None:
    rng, inside = random.Random(4), 0
    for _ in range(1_000):
        a, b = (sum(rng.random() < share for _ in range(120)) for share in (0.02, 0.05))
        inside += not newcombe(a, 120, b, 120).excludes(0.03)
    assert 930 <= inside <= 980
