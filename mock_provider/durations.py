"""Durations as people write them (`200ms`, `1.5s`, `2m30s`, `0`), parsed to integer nanoseconds.

The grammar is that of the harness (`streamgauge.units`), which the mock does not import; a test compares the two.
"""

import re
from fractions import Fraction

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# The number of digits is bounded, so that a long text costs no long arithmetic.
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(f"(?:{_PART.pattern})+")
LONGEST_NS = _UNITS_NS["h"]
"""One hour: longer than any stream worth mocking, short enough for a timer on every platform."""


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
