"""Inputs near those that are known: for the test of every run, and where no coverage-guided fuzzer is installed."""

from collections.abc import Sequence
from random import Random


def mutated(source: Random, data: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """`data` with some bytes changed, lost, repeated, or put in from a word of the format or another input."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(changed) + 1)
        match source.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] = source.randrange(256)
            case 1:
                del changed[at : at + source.randint(1, 20)]
            case 2:
                changed[at:at] = changed[max(0, at - 30) : at] * source.choice((1, 1, 2, 5))
            case 3:
                changed[at:at] = source.choice(others)[:200]
            case 4:
                changed[at:at] = source.randbytes(source.randint(1, 4))
            case _ if words:
                changed[at:at] = source.choice(words)
    return bytes(changed)
