"""The prefix cache of one replica: blocks of words, each known by all words up to its end, as in vLLM.

The least recently used block goes first, and of one prompt the last block: a prefix stays usable when its end is gone.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Prefix(NamedTuple):
    """A prompt as the cache sees it: its whole blocks, its tokens, and how many of these the cache has."""

    blocks: tuple[int, ...]
    tokens: int
    cached: int


class PrefixCache:
    """At most `capacity` blocks of `block` tokens."""

    def __init__(self, capacity: int, block: int) -> None:
        self.capacity, self.block = capacity, block
        self._blocks: OrderedDict[int, None] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        """Number of blocks in use."""
        return len(self._blocks)

    def find(self, texts: Iterable[str]) -> Prefix:
        """Look a conversation up; the last token is never taken from the cache, because the model must read one."""
        words = [word for text in texts for word in text.split()]
        blocks = tuple(self._keys(words))
        usable = max(0, len(words) - 1) // self.block
        hits = 0
        while hits < usable and blocks[hits] in self._blocks:
            hits += 1
        return Prefix(blocks, len(words), hits * self.block)

    def add(self, prefix: Prefix) -> None:
        """Keep the blocks of a prompt that is being read."""
        for key in reversed(prefix.blocks[: self.capacity]):
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self.capacity:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        """Forget all blocks."""
        self._blocks.clear()

    def _keys(self, words: Sequence[str]) -> Iterator[int]:
        key = 0
        for end in range(self.block, len(words) + 1, self.block):
            key = hash((key, tuple(words[end - self.block : end])))
            yield key
