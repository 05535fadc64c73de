"""How an input says the way in which it is to be played, and the shape of a target."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple


class Target(NamedTuple):
    """`run` takes any bytes, and raises only when the code under test is wrong about them.

    `seeds` are inputs to begin with, `words` what its format is made of. `share` is its part of the time of a fuzzing
    run, `near` the number of inputs near the seeds that each run of the tests plays.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    share: int = 1
    near: int = 300


class Choices:
    """The first bytes of an input decide how the rest is played, so that one input has one meaning."""

    def __init__(self, data: bytes, wanted: int) -> None:
        self._taken = iter(data[:wanted].ljust(wanted, b"\0"))
        self.rest = data[wanted:]

    def below(self, limit: int) -> int:
        return next(self._taken) % limit


def pieces(data: bytes, way: int) -> list[bytes]:
    """Whole, or in pieces of so many bytes, or in growing ones."""
    if way == 0:
        return [data]
    if way < 8:
        return [data[at : at + way] for at in range(0, len(data), way)]
    found, at = [], 0
    for size in count(1):
        if at >= len(data):
            return found
        found.append(data[at : at + size])
        at += size
    raise AssertionError


def own_name(name: str) -> str:
    """A name for a file or a folder that no other process uses."""
    return f"streamgauge-fuzz-{os.getpid()}-{name}"


def as_file(data: bytes, name: str) -> Path:
    """A file with this content, for code that takes a path. The next call in this process replaces it."""
    path = Path(gettempdir(), own_name(name))
    path.write_bytes(data)
    return path
