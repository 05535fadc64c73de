"""The offset between another machine's clock and ours, estimated from round trips alone."""

from dataclasses import dataclass
from typing import Final

_LARGEST_NS: Final = 2**62


@dataclass(frozen=True, slots=True)
class Offset:
    """The other clock − our clock, and how far off that estimate can be; both in ns."""

    offset_ns: int
    error_ns: int

    def __post_init__(self) -> None:
        """Raises ValueError on an offset that two clocks cannot have: it comes from another machine, or from a file."""
        if not (abs(self.offset_ns) <= _LARGEST_NS and 0 <= self.error_ns <= _LARGEST_NS):
            raise ValueError(f"expected a clock's offset within ± {_LARGEST_NS:,} ns, and an error from 0")

    @property
    def matters(self) -> bool:
        """Whether the clocks certainly differ. An offset below its own error must not be corrected."""
        return abs(self.offset_ns) > self.error_ns


def of_round_trip(sent_ns: int, there_ns: int, back_ns: int) -> Offset:
    """The offset from one round trip: sent and received by our clock, answered at `there_ns` by the other clock.

    The answer was given at some time within the round trip, so its middle is off by half of the round trip at most.
    """
    half = max(back_ns - sent_ns, 0) // 2
    return Offset(there_ns - (sent_ns + half), half)


def better(known: Offset | None, new: Offset) -> Offset:
    """The estimate of the faster round trip. Queues only make a round trip longer, so the fastest is the most exact."""
    return new if known is None or new.error_ns < known.error_ns else known
