"""A pool of values that are not independent, such as the gaps of a stream: counted in blocks of successive streams.

The gaps of one stream are alike, and streams that ran at the same time are alike, too. An interval that took a thousand
gaps for a thousand independent values would be far too narrow. So each block of streams counts as one observation: the
share of its gaps at or below the percentile. From how much this share differs between blocks follows how many
independent values would tell as much, and that number takes the place of the number of gaps (Korn and Graubard,
"Confidence intervals for proportions with small expected number of positive counts", Survey Methodology, 1998).
"""

from collections.abc import Sequence
from typing import Final

from streamgauge.metrics.histogram import Histogram, Packed
from streamgauge.metrics.intervals import CONFIDENCE, Interval, error_of_share, normal, ranks, student

LEAST_BLOCKS: Final = 20
"""With fewer blocks there is no interval: with 12 of them, 91 % of simulated intervals held the truth instead of 95 %.
"""
_MOST_BLOCKS: Final = 40


class Pool:
    """Counts of whole numbers, as a whole and by block. `add` takes in a stream.

    A block begins as one stream. Whenever there are 40 blocks, each two neighbours become one. So memory does not grow
    with the run, and a run of 20 streams or more has 20 to 40 blocks of equal size.
    """

    def __init__(self) -> None:
        self._blocks: list[Packed] = []
        self._in_blocks = Histogram()  # all of `_blocks`
        self._newest = Histogram()
        self._in_newest = 0  # streams
        self._size = 1  # streams of a block
        self.streams = 0

    def add(self, values: Sequence[int], zeros: int = 0) -> None:
        """Count the values of a stream, and so many zeros. A stream without a value is not a stream of this pool."""
        if not values and not zeros:
            return
        self._newest.add(values)
        self._newest.add_zeros(zeros)
        self.streams += 1
        self._in_newest += 1
        if self._in_newest == self._size:
            self._in_blocks.merge(self._newest)
            self._blocks.append(Packed.of(self._newest))
            self._newest, self._in_newest = Histogram(), 0
            if len(self._blocks) == _MOST_BLOCKS:
                self._pair()

    @property
    def count(self) -> int:
        return self._in_blocks.count + self._newest.count

    @property
    def whole(self) -> Histogram:
        """All values, as a new histogram."""
        whole = Histogram()
        whole.merge(self._in_blocks)
        whole.merge(self._newest)
        return whole

    def percentile(self, q: float, confidence: float = CONFIDENCE) -> Interval | None:
        """The interval of quantile `q` (0 to 1, exclusive); None with fewer than 20 blocks. An end is None where the
        values set no bound.
        """
        worth = self.worth(q, confidence)
        if worth is None:
            return None
        whole = self.whole
        low, high = ranks(worth, q, confidence)
        return Interval(
            None if low is None else whole.quantile((low - 0.5) / worth),
            None if high is None else whole.quantile((high - 0.5) / worth),
        )

    def worth(self, q: float, confidence: float = CONFIDENCE) -> int | None:
        """How many independent values would tell as much about quantile `q`; None with fewer than 20 blocks."""
        blocks = [block for block in (*self._blocks, Packed.of(self._newest)) if block.count]
        if len(blocks) < LEAST_BLOCKS:
            return None
        value = self.whole.quantile(q)
        assert value is not None
        error = error_of_share([block.at_most(value) for block in blocks], [block.count for block in blocks])
        if not error:
            return self.streams  # nothing shows how much streams differ: they could differ as a whole
        few = (student(confidence, len(blocks) - 1) / normal(confidence)) ** 2
        return max(int(min(q * (1 - q) / error**2, self.count) / few), 1)

    def _pair(self) -> None:
        pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
        self._blocks = [first.merged(second) for first, second in pairs]
        self._size *= 2
