"""Durations of the mock: the same texts as the harness accepts, with the same values, up to the mock's limit."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamgauge import units
from streamgauge.errors import UsageError
from streamgauge.mock_provider.durations import LONGEST_NS, parse_duration

NUMBERS = st.one_of(st.integers(0, 10**18 - 1).map(str), st.from_regex(r"[0-9]{1,4}\.[0-9]{1,10}", fullmatch=True))
UNITS = st.sampled_from(["ns", "us", "µs", "ms", "s", "m", "h"])
DURATIONS = st.lists(st.tuples(NUMBERS, UNITS).map("".join), min_size=1, max_size=4).map("".join)
SMALL = st.lists(st.tuples(st.integers(0, 59).map(str), UNITS).map("".join), min_size=1, max_size=4).map("".join)


def in_the_harness(text: str) -> int | None:
    """Nanoseconds by the harness; None when it refuses the text or when the value is above the mock's limit."""
    try:
        value = units.parse_duration(text)
    except UsageError:
        return None
    return value if value <= LONGEST_NS else None


def in_the_mock(text: str) -> int | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("0", 0),
        ("1.5s", 1_500_000_000),
        ("20ms", 20_000_000),
        ("7us", 7_000),
        ("7µs", 7_000),
        ("3ns", 3),
        ("2m30s", 150_000_000_000),
        ("1h", 3_600_000_000_000),
        (" 5s ", 5_000_000_000),
    ],
)
def test_a_duration_is_read_in_nanoseconds(text: str, expected_ns: int) -> None:
    assert parse_duration(text) == expected_ns


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1s 2s", "1,5s", "1e3s", "1d", ".5s", "1.s", "٥s", "00"])
def test_an_error_quotes_the_text_and_gives_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 200ms, 1\.5s, 2m30s or 0") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


def test_more_than_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1h, got '1h1ns'"):
        parse_duration("1h1ns")


@given(st.one_of(DURATIONS, SMALL))
@example("0.5ns")
@example("1.5ns")
@example("59m60s")
def test_the_mock_and_the_harness_give_a_duration_the_same_value(text: str) -> None:
    assert in_the_mock(text) == in_the_harness(text)


@given(st.one_of(st.text(max_size=12), st.text("0123456789. nuµmsh", max_size=12)))
@example("1\n")
@example("μs")
@example("1μs")
def test_the_mock_and_the_harness_accept_the_same_texts(text: str) -> None:
    assert in_the_mock(text) == in_the_harness(text)
