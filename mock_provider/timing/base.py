"""The protocol of a timing model, and helpers of their parsers."""

import re
from random import Random
from statistics import NormalDist
from typing import Protocol

from streamgauge.mock_provider.durations import LONGEST_NS

STANDARD_NORMAL = NormalDist()
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,9})?", re.ASCII)
_BELOW_ONE = 1 - 2**-53


class Delay(Protocol):
    """A source of delays."""

    def draw_ns(self, random: Random) -> int:
        """The next delay in nanoseconds, never negative."""


def bounded_ns(delay_ns: float) -> int:
    """A drawn delay in whole nanoseconds, at most one hour: a heavy tail must not overflow a timer."""
    return round(min(max(delay_ns, 0.0), LONGEST_NS))


def standard_normal(random: Random, least: float = 0.0) -> float:
    """A draw of N(0, 1) from the quantiles `least` to 1.

    By inversion of `random()`, the only method whose numbers Python promises to keep for ever; `gauss()` may change.
    """
    quantile = least + random.random() * (1 - least)
    return STANDARD_NORMAL.inv_cdf(min(max(quantile, 2**-1000), _BELOW_ONE))


def two(arguments: list[str], usage: str) -> tuple[str, str]:
    """The two arguments of a model; ValueError shows `usage`."""
    if len(arguments) != 2:
        raise ValueError(f"expected two arguments, as in {usage}, got {len(arguments)}")
    return arguments[0], arguments[1]


def positive_number(text: str, name: str, most: float) -> float:
    """A number above 0 and at most `most`; ValueError otherwise."""
    if not _NUMBER.fullmatch(text) or not 0 < float(text) <= most:
        raise ValueError(f"{name}: expected a number above 0, at most {most:g}, got {text!r}")
    return float(text)
