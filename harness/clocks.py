"""How far another clock is from ours, from round trips alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offset:
    """The other clock − our clock, and how far off that estimate can be; both in ns."""

    offset_ns: int
    error_ns: int

    @property
    def matters(self) -> bool:
        """Whether the clocks certainly differ: less than its own error is no offset that could be corrected."""
        return abs(self.offset_ns) > self.error_ns


def of_round_trip(sent_ns: int, there_ns: int, back_ns: int) -> Offset:
    """The offset by one round trip: sent and back by our clock, `there_ns` by the other's in between.

    The answer was given somewhere within the round trip, so its middle is off by half of it at most.
    """
    half = max(back_ns - sent_ns, 0) // 2
    return Offset(there_ns - (sent_ns + half), half)


def better(known: Offset | None, new: Offset) -> Offset:
    """The estimate of the faster round trip: queues only ever add to one, so the fastest is the truest."""
    return new if known is None or new.error_ns < known.error_ns else known
