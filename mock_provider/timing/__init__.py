"""When each step of a stream is due, as an offset from the request's arrival.

Step k (0 to tokens-1) is token k, due at prefill + ttft + k gaps. Step `tokens` is the end of the stream, because a
model's end-of-sequence token takes a decoding step as well. A new model of delays is one file and one line in `MODELS`.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Final

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.timing import fixed, gamma, lognormal, normal, uniform
from streamgauge.mock_provider.timing.base import Delay

MODELS: dict[str, Callable[[list[str]], Delay]] = {
    "fixed": fixed.parse,
    "uniform": uniform.parse,
    "normal": normal.parse,
    "lognormal": lognormal.parse,
    "gamma": gamma.parse,
}

_UNSEEDED: Final = Random(0)
_MODEL = re.compile(r"([a-z]+)\(([^()]*)\)", re.ASCII)


@lru_cache(256)
def parse_delay(text: str) -> Delay:
    """Reads `200ms` or `model(argument,...)`; ValueError says what is accepted."""
    match = _MODEL.fullmatch(text.strip())
    if match is None or match[1] not in MODELS:
        try:
            return fixed.parse([text])
        except ValueError as error:
            raise ValueError(f"{error}, or a model ({', '.join(MODELS)}) as in lognormal(20ms,0.5)") from None
    return MODELS[match[1]]([argument.strip() for argument in match[2].split(",")])


def unchanged(gap_ns: int) -> int:
    """The gap of a server that is equally fast under any load."""
    return gap_ns


class Timeline:
    """Offsets of the steps of one stream, drawn from its seed and id; they must be asked for in rising order.

    `stretch` lengthens a drawn gap by the load at its beginning (see `capacity`).
    """

    def __init__(
        self,
        ttft: Delay,
        itl: Delay,
        seed: int,
        stream: str = "",
        *,
        prefill_ns: int = 0,
        stretch: Callable[[int], int] = unchanged,
    ) -> None:
        self._itl, self._stretch = itl, stretch
        # Two generators, so that the number of draws for ttft does not change the gaps.
        self._random = _generator(itl, seed, stream, "itl")
        self._step = 0
        self._offset_ns = prefill_ns + ttft.draw_ns(_generator(ttft, seed, stream, "ttft"))
        # With fixed gaps the offset is a product; no gap has to be drawn.
        self._every_ns = itl.delay_ns if isinstance(itl, fixed.Fixed) and stretch is unchanged else None

    def begin(self, first_ns: Callable[[int], int]) -> None:
        """Change when the first token comes. All later steps move with it. Call it before the first step is taken."""
        self._offset_ns = first_ns(self._offset_ns)

    def offset_ns(self, step: int) -> int:
        """Nanoseconds from the arrival to `step`; the step before the first token (-1) is due at once."""
        if step < 0:
            return 0
        if self._every_ns is not None:
            return self._offset_ns + step * self._every_ns
        while self._step < step:
            self._step += 1
            self._offset_ns += self._stretch(self._itl.draw_ns(self._random))
        return self._offset_ns


def _generator(delay: Delay, seed: int, stream: str, purpose: str) -> Random:
    """A fixed delay draws nothing, and to seed a generator takes 10 µs, twice for each request."""
    return _UNSEEDED if isinstance(delay, fixed.Fixed) else identity.generator(seed, stream, purpose)
