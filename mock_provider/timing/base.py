"""The one thing a timing model must do."""

from random import Random
from typing import Protocol


class Delay(Protocol):
    """A source of delays."""

    def draw_ns(self, random: Random) -> int:
        """The next delay in nanoseconds, never negative."""
