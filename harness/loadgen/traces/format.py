"""What a format of traces declares: the columns that identify it, its unit of time, and how a row becomes requests."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.time_unit import Evidence
from streamgauge.loadgen.traces.values import Time

Timed = tuple[Time | None, Request]
"""A request and its time as it stands in the file; None when the format gives it no time."""


class TraceFormat(NamedTuple):
    """`columns`: a file is of this format if it has one of these sets of columns, in lower case.

    `read` gives the requests of a row. `whole` is used instead where a row can only be understood with the others.
    `times_per_group`: the times of each group of sessions count from its own start.
    """

    key: str
    name: str
    columns: tuple[frozenset[str], ...]
    fields: str
    time: Callable[["Seen"], Evidence]
    time_text: str
    read: Callable[[Row, "Options"], Iterable[Timed]]
    whole: Callable[[Iterator[Row], "Options"], Iterable[Timed]] | None = None
    times_per_group: bool = False

    def rows(self, rows: Iterator[Row], options: "Options") -> Iterator[Timed]:
        if self.whole is not None:
            yield from self.whole(rows, options)
            return
        for row in rows:
            yield from self.read(row, options)


class Options(NamedTuple):
    """How to read a file, as far as the user says it. `block_tokens` None: the size that the format defines."""

    block_tokens: int | None = None
    columns: Mapping[str, str] = {}

    def block(self, size: int) -> int:
        return self.block_tokens or size


class Seen(NamedTuple):
    """What the timestamps of a file look like, for a format whose unit depends on it."""

    columns: frozenset[str]
    fractions: bool


def names(text: str) -> frozenset[str]:
    """The names in a text, separated by commas."""
    return frozenset(name.strip().lower() for name in text.split(","))


def always(unit: str) -> Callable[[Seen], Evidence]:
    """The unit is part of the format's definition."""
    return lambda _: Evidence(unit, firm=True)
