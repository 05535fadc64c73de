"""One measurement that a search asks for."""

from enum import StrEnum

import msgspec

from streamgauge.capacity.axis import Axis


class Purpose(StrEnum):
    """Why a point is measured. Only the first six decide the interval."""

    DOUBLE = "double"
    GIVEN = "given load"
    BISECT = "bisect"
    LONGER = "longer"
    REPEAT = "repeat"
    RETEST = "retest"
    OVERLOAD = "overload"
    FROM_ABOVE = "from above"
    RATE = "equivalent rate"
    SUSTAIN = "sustain"

    @property
    def is_bound(self) -> bool:
        """Whether the point can become an end of the interval."""
        return self not in (Purpose.OVERLOAD, Purpose.FROM_ABOVE, Purpose.RATE, Purpose.SUSTAIN)


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A load to hold for `seconds`, after `warmup_s` at the same load. `rests` says whether the endpoint drains before.

    Two probes with the same seed ask for the same prompts and lengths (common random numbers).
    """

    axis: Axis
    load: float
    seconds: float
    warmup_s: float
    seed: int
    purpose: Purpose
    rests: bool = True

    @property
    def shown(self) -> str:
        return self.axis.show(self.load)
