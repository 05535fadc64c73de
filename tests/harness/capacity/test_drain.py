"""The pause between two points."""

from streamgauge.capacity.drain import drain, gauge_of
from streamgauge.endpoint.target import Target


def test_without_a_gauge_it_is_a_pause() -> None:
    found = drain(None, 0.0, 60)

    assert found.left is None
    assert found.seconds < 60


def test_it_waits_until_the_endpoint_has_nothing_left() -> None:
    left = [3, 1, 0]

    assert drain(lambda: left.pop(0), 0.0, 60).left == 0
    assert left == []


def test_after_its_limit_it_says_what_is_left() -> None:
    assert drain(lambda: 2, 0.0, 0.0).left == 2


def test_a_gauge_that_says_nothing_ends_the_pause() -> None:
    assert drain(lambda: None, 0.0, 60).left is None


def test_an_endpoint_without_mock_and_metrics_has_no_gauge() -> None:
    with gauge_of(Target(url="http://127.0.0.1:9/"), None) as gauge:
        assert gauge is None
