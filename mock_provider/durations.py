"""Durations as people write them (`200ms`, `1.5s`, `0`) and as the code keeps them: integer nanoseconds."""

import re

_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
# Digits are bounded, because a float of some hundreds is infinite, and that has no integer.
_PATTERN = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(ns|us|ms|s|m)", re.ASCII)
# One hour: longer than any stream worth mocking, short enough for a timer on every platform.
LONGEST_NS = 3_600_000_000_000


def parse_duration(text: str) -> int:
    """Nanoseconds of `text`; ValueError with what is accepted when it is not a duration of 0 to one hour."""
    if text == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a duration such as 200ms, 1.5s or 0, got {text!r}")
    duration_ns = round(float(match[1]) * _UNITS_NS[match[2]])
    if duration_ns > LONGEST_NS:
        raise ValueError(f"expected a duration of at most 60m, got {text!r}")
    return duration_ns
