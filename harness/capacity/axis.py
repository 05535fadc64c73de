"""The load that a search varies: users or conversations of a closed loop, or arrivals per second of an open loop."""

from enum import StrEnum
from math import floor, log10
from typing import Final

from streamgauge.units import show_digits

_DIGITS: Final = 3  # of a rate: finer steps than one in a thousand mean nothing


class Axis(StrEnum):
    """What a load counts. Users and sessions are whole numbers; a rate is streams per second.

    A session is a conversation of several turns. So many are going on at once, their pauses included.
    """

    USERS = "users"
    RATE = "rate"
    SESSIONS = "sessions"

    @property
    def is_whole(self) -> bool:
        """Whether a load is a number of users, each in a closed loop."""
        return self is not Axis.RATE

    @property
    def least(self) -> float:
        """The smallest load that is worth a measurement."""
        return 1 if self.is_whole else 0.01

    def middle(self, low: float, high: float) -> float:
        """The load between two loads at which a bisection goes on."""
        middle = (low + high) / 2
        return floor(middle) if self.is_whole else rounded(middle)

    def scaled(self, load: float, factor: float) -> float:
        """A multiple of a load, at least the smallest load."""
        return max(floor(load * factor) if self.is_whole else rounded(load * factor), self.least)

    def tolerance(self, low: float, precision: float) -> float:
        """How far two ends may be apart when the search is done: `precision` of the lower end, at least 1 if whole."""
        return max(floor(low * precision), 1) if self.is_whole else max(low * precision, self.least)

    def show(self, load: float) -> str:
        """A load with its unit."""
        if self is Axis.RATE:
            return f"{show_digits(load, 4)} streams/s"
        return f"1 {self.value.removesuffix('s')}" if load == 1 else f"{load:,.0f} {self.value}"


def rounded(rate: float) -> float:
    """A rate with three digits."""
    return round(rate, _DIGITS - 1 - floor(log10(rate))) if rate > 0 else 0.0
