"""When each step of a stream is due, as an offset from the request's arrival.

Step k (k = 0 .. tokens-1) is token k, at ttft + k gaps; step `tokens` is the end of the stream, because a model's
end-of-sequence token takes a decoding step as well. A model of delays is one file and one line in `MODELS`.
"""

from collections.abc import Callable
from random import Random

from mock_provider.timing import fixed
from mock_provider.timing.base import Delay

MODELS: dict[str, Callable[[list[str]], Delay]] = {
    "fixed": fixed.parse,
}


def parse_delay(text: str) -> Delay:
    """`200ms`, or `model:argument:...`; ValueError says what is accepted."""
    name, *arguments = text.split(":")
    if not arguments:
        return fixed.parse([text])
    if name not in MODELS:
        raise ValueError(f"expected a duration such as 200ms, or a model ({', '.join(MODELS)}), got {text!r}")
    return MODELS[name](arguments)


class Timeline:
    """Offsets of the steps of one stream; ask for them in rising order."""

    def __init__(self, ttft: Delay, itl: Delay, seed: int) -> None:
        self._itl = itl
        self._random = Random(seed)
        self._step = 0
        self._offset_ns = ttft.draw_ns(self._random)

    def offset_ns(self, step: int) -> int:
        """Nanoseconds from arrival to step `step`; a step before the first token (-1) is due at once."""
        if step < 0:
            return 0
        while self._step < step:
            self._step += 1
            self._offset_ns += self._itl.draw_ns(self._random)
        return self._offset_ns
