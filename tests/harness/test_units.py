"""Durations and sizes between integers and text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.units import MS, SECOND, ns_to_ms, parse_duration, show_bytes, show_digits, show_ms

UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": MS, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200ms", 200 * MS),
        ("1.5s", 1_500 * MS),
        ("2m30s", 150 * SECOND),
        ("1h", 3600 * SECOND),
        ("0", 0),
        (" 5s ", 5 * SECOND),
        ("0.1ms", 100_000),
        ("1.1ns", 1),
    ],
)
def test_a_duration_is_read_in_nanoseconds(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "ms", "-1s", "1s2", "1 s", "1,5s", "1e3s", "s1", "1d", ".5s", "1.s", "٥s", "inf", "9" * 500 + "s"]
)
def test_a_text_that_is_not_a_duration_is_a_usage_error_that_quotes_it(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration(text, "--timeout")
    assert caught.value.message.startswith(f"--timeout {text!r} is not")
    assert "200ms" in (caught.value.hint or "")


@given(st.lists(st.tuples(st.integers(0, 10**17), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_whole_numbers_are_exact_and_parts_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * UNITS[unit] for number, unit in parts)


@given(st.integers(0, 10**15))
def test_decimals_of_a_second_are_exact(ns: int) -> None:
    assert parse_duration(f"{ns // SECOND}.{ns % SECOND:09}s") == ns


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_usage_error(text: str) -> None:
    try:
        value = parse_duration(text)
    except UsageError:
        return
    assert value >= 0


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (None, "-"),
        (0, "0.00 ms"),
        (312_345, "0.31 ms"),
        (9_994_000, "9.99 ms"),
        (9_996_000, "10.0 ms"),
        (99_940_000, "99.9 ms"),
        (99_960_000, "100 ms"),
        (204 * MS, "204 ms"),
        (9_999 * MS, "9999 ms"),
        (10_000 * MS, "10.00 s"),
        (-2 * MS, "-2.00 ms"),
    ],
)
def test_a_duration_is_shown_with_the_digits_it_deserves(ns: int | None, expected: str) -> None:
    assert show_ms(ns) == expected


def test_milliseconds_keep_a_microsecond() -> None:
    assert ns_to_ms(1_234_567) == 1.235


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (4096, "4,096 B"), (10_239, "10,239 B"), (10_240, "10.0 KiB"), (3 * 1024 * 1024, "3.0 MiB")],
)
def test_small_sizes_keep_their_digits(count: int, expected: str) -> None:
    assert show_bytes(count) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.12345, "0.123"), (17.44, "17.4"), (999.4, "999"), (999.6, "1,000"), (12_345.6, "12,346"), (0, "0")],
)
def test_a_number_is_never_shown_in_powers_of_ten(value: float, expected: str) -> None:
    assert show_digits(value) == expected
