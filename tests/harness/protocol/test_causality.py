"""A token that is older than its write was not read rightly."""

from streamgauge.protocol.causality import misread, older_by_ns
from streamgauge.units import MS


def test_a_first_token_before_its_write_is_older() -> None:
    assert older_by_ns(1 * MS, 402 * MS) == 401 * MS
    assert "401 ms before the upstream wrote" in misread("raw-text", 401 * MS)


def test_a_first_token_after_its_write_is_not_older_and_neither_is_one_within_the_clocks_error() -> None:
    assert older_by_ns(402 * MS, 402 * MS) is None
    assert older_by_ns(402 * MS - MS, 402 * MS) is None
    assert older_by_ns(500 * MS, 402 * MS) is None


def test_without_a_token_on_one_side_nothing_is_said() -> None:
    assert older_by_ns(None, 402 * MS) is None
    assert older_by_ns(1 * MS, None) is None
