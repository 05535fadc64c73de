"""The history of a search: a JSONL file with its settings in the first line, and a point in each further line.

It is replaced as a whole after each point, so a reader never sees half of a line. A search that was interrupted goes on
from it: the points are given to a new search, which asks the same questions.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from streamgauge.capacity.point import Observation
from streamgauge.capacity.probe import Probe
from streamgauge.errors import UsageError
from streamgauge.files import read_regular
from streamgauge.protocol.numbers import out_of_range
from streamgauge.protocol.typed import from_json
from streamgauge.rundir.runs import replace
from streamgauge.version import __version__

SCHEMA: Final = 1
NAME: Final = "history.jsonl"
_LEAST: Final = 1e-7  # rates and times are rounded to six digits behind the point; the inverse of 1e-300 is too large


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a search. A history can only be continued with the same ones."""

    schema: int = SCHEMA
    streamgauge: str = __version__
    target: str
    settings: dict[str, Any]


class Taken(msgspec.Struct, frozen=True):
    """A point: the load that was offered and what was observed. The verdict follows from both."""

    probe: Probe
    observation: Observation


class History:
    """The file, written after each point."""

    def __init__(self, directory: Path, header: Header) -> None:
        self.path = directory / NAME
        self._lines = [msgspec.json.encode(header)]

    def add(self, probe: Probe, observation: Observation) -> None:
        """Add a point. Raises UsageError when the file cannot be written."""
        self._lines.append(msgspec.json.encode(Taken(probe, observation)))
        self.write()

    def write(self) -> None:
        """Replace the file. Raises UsageError when it cannot be written."""
        replace(self.path, b"\n".join(self._lines) + b"\n")


def read_history(directory: Path, header: Header) -> list[Taken]:
    """The points of a history with the same settings. Raises UsageError when there is none, or when it does not fit."""
    path = directory / NAME
    try:
        lines = read_regular(path).splitlines()
    except OSError as error:
        raise UsageError(
            f"--resume: {path} cannot be read: {error.strerror}", "give the --out of the search that was interrupted"
        ) from None
    try:
        earlier = from_json(lines[0] if lines else b"", Header)
        points = [_taken(line) for line in lines[1:] if line]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"--resume: {path} cannot be read: {error}", "start again without --resume") from None
    if earlier.schema != SCHEMA:
        raise UsageError(
            f"--resume: {path} has schema {earlier.schema}, and this version reads schema {SCHEMA}",
            "start again without --resume",
        )
    if differing := _differing(earlier, header):
        raise UsageError(
            f"--resume: the earlier search had other settings: {'; '.join(differing)}",
            "give the same ones, or start again without --resume",
        )
    return points


def _taken(line: bytes) -> Taken:
    found = from_json(line, Taken)
    if wrong := out_of_range(msgspec.json.decode(line)) or _contradiction(found.observation):
        raise ValueError(wrong)
    return found


def _contradiction(seen: Observation) -> str | None:
    """What no search writes, because nothing can be calculated with it; None without such a thing."""
    counts = (
        seen.requests, seen.ok, seen.refused, seen.broken, seen.cut, seen.prompt_tokens, seen.output_tokens,
        *seen.replicas.values(),
    )  # fmt: skip
    known = [x for x in (seen.streams_per_s, seen.tokens_per_s, seen.residence_s, seen.in_flight) if x is not None]
    if min(*counts, *known, seen.seconds) < 0:
        return "a point has fewer than no streams, tokens or seconds"
    if any(0 < figure < _LEAST for figure in known):
        return f"a point has a figure below {_LEAST:g}"
    if seen.little is not None and seen.in_flight is None:
        return "a point has a residual of Little's law and no streams in flight"
    return None


def _differing(earlier: Header, now: Header) -> list[str]:
    found = [] if earlier.target == now.target else [f"target {earlier.target}"]
    decoded = msgspec.json.decode(msgspec.json.encode(now.settings))
    names = sorted(earlier.settings.keys() | decoded.keys())
    return found + [
        f"{name} {earlier.settings.get(name)!r}, now {decoded.get(name)!r}"
        for name in names
        if earlier.settings.get(name) != decoded.get(name)
    ]
