"""Durations, sizes and counts as text for people, and durations from text to integer nanoseconds."""

import math
import re
from fractions import Fraction
from typing import Final

from streamgauge.errors import UsageError

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
MIB: Final = 1024 * 1024

_SCALE: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": MS,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DURATION: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str, label: str = "duration") -> int:
    """Nanoseconds of `200ms`, `1.5s`, `2m30s` or `0`. Raises UsageError on anything else."""
    stripped = text.strip()
    if stripped == "0":
        return 0
    parts = _DURATION.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        raise UsageError(
            f"{label} {text!r} is not a duration",
            "write a number and a unit: 200ms, 1.5s, 2m30s (a bare 0 is allowed)",
        )
    return sum(round(Fraction(number) * _SCALE[unit]) for number, unit in parts)


LONGEST_NS: Final = 7 * 24 * 3600 * SECOND
"""Longer than any run: a longer wait is a typing error."""


def parse_bounded(text: str, label: str) -> int:
    """Nanoseconds of a duration of at most a week. Raises UsageError on anything else."""
    value = parse_duration(text, label)
    if value > LONGEST_NS:
        raise UsageError(f"{label} {text!r} is longer than a week", "write for example 30s, 10m or 2h")
    return value


def ns_to_ms(value_ns: int | float) -> float:
    """Milliseconds with three decimals: the precision of a kernel stamp."""
    return round(value_ns / MS, 3)


def show_ms(value_ns: int | float | None) -> str:
    """A duration for people: `0.31 ms`, `204 ms`, `2.30 s`; `-` for None."""
    if value_ns is None:
        return "-"
    if math.isinf(value_ns):
        return "∞"
    ms = value_ns / MS
    if abs(ms) < 9_999.5:
        return f"{ms:.{decimals_of_ms(ms)}f} ms"
    return f"{ms / 1000:.2f} s"


def decimals_of_ms(ms: float) -> int:
    """How many decimals of a duration in ms are shown: three digits below 100 ms, and whole ms above."""
    return 2 if abs(ms) < 9.995 else 1 if abs(ms) < 99.95 else 0


def show_bytes(count: int) -> str:
    """A size for people. Exact below 10 KiB, because people recognise buffer sizes by their digits."""
    if count < 10 * 1024:
        return f"{count:,} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.1f} KiB"
    return f"{count / MIB:.1f} MiB"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """`1 stream`, `1,200 streams`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def show_digits(value: float, digits: int = 3) -> str:
    """A number for people, with so many digits and never fewer than its whole ones: `0.123`, `17.4`, `12,345`."""
    return f"{value:,.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:,.{digits}g}"


def two_digits_up(count: float) -> int:
    """A positive count rounded up to two digits: enough for an estimate."""
    step: int = 10 ** max(len(str(int(count))) - 2, 0)
    return math.ceil(count / step) * step
