"""A fixed delay."""

from dataclasses import dataclass
from random import Random

from streamgauge.mock_provider.durations import parse_duration


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always `delay_ns`."""

    delay_ns: int

    def draw_ns(self, random: Random) -> int:  # noqa: ARG002 (the protocol's signature)
        """The fixed delay."""
        return self.delay_ns


def parse(arguments: list[str]) -> Fixed:
    """`fixed(200ms)`, or plain `200ms`."""
    if len(arguments) != 1:
        raise ValueError(f"expected one duration, as in fixed(200ms), got {len(arguments)}")
    return Fixed(parse_duration(arguments[0]))
