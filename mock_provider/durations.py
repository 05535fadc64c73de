"""Parses durations such as `200ms`, `1.5s`, `2m30s` or `0` to integer nanoseconds.

The harness has the same grammar in `streamgauge.units`. The mock does not import the harness; a test compares the two.
"""

import re
from fractions import Fraction
from functools import lru_cache

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# The digits are limited, so that a long text cannot cause slow arithmetic.
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(f"(?:{_PART.pattern})+")
LONGEST_NS = _UNITS_NS["h"]
"""One hour: longer than any stream worth mocking, short enough for a timer on every platform."""


@lru_cache(1024)  # each request names the same few, and Fraction takes 15 µs
def parse_duration(text: str) -> int:
    """Nanoseconds of `text`. Raises ValueError with an example when it is not a duration from 0 to one hour."""
    stripped = text.strip()
    if stripped == "0":
        return 0
    if not _WHOLE.fullmatch(stripped):
        raise ValueError(f"expected a duration such as 200ms, 1.5s, 2m30s or 0, got {text!r}")
    duration_ns = sum(round(Fraction(number) * _UNITS_NS[unit]) for number, unit in _PART.findall(stripped))
    if duration_ns > LONGEST_NS:
        raise ValueError(f"expected a duration of at most 1h, got {text!r}")
    return duration_ns


def parse_option(name: str, text: str) -> int:
    """`parse_duration` of an option's value; the ValueError names the option."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
