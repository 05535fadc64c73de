"""What one answer of a server says of its load: Prometheus' text format (version 0.0.4) or JSON, both foreign."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from streamgauge.protocol.typed import from_json
from streamgauge.serverlane.engine import Engine, Format, engines

# Possessive: with backtracking, a hostile line of 16,000 characters took a minute.
_SERIES: Final = re.compile(
    r"""([A-Za-z_:][A-Za-z0-9_:]*+)[ \t]*+
    (\{(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+\})?+[ \t]*+  # labels
    ([^ \t]++)(?:[ \t]++-?[0-9]++)?+[ \t]*+\r?  # a value and perhaps a time""",
    re.VERBOSE,
)
_LABEL: Final = re.compile(r'[{,]\s*+([A-Za-z_][A-Za-z0-9_]*+)="([^"]*+)"')
_LONGEST: Final = 16_384  # characters of a line; those of real servers have some 300
_LARGEST: Final = 2.0**53
Figure = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
"""A figure of a server, or of a server.jsonl that others may have written: `fmean` can add up any number of them."""


class Seconds(msgspec.Struct, frozen=True):
    """A histogram of the server: how many requests it has counted so far, and their seconds together."""

    count: Figure
    total: Figure


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of one answer; None where the server does not show one. `kv_share` is a fraction."""

    running: Figure | None = None
    waiting: Figure | None = None
    kv_share: Figure | None = None
    generated: Figure | None = None
    queue: Seconds | None = None
    prefill: Seconds | None = None


class _Series(NamedTuple):
    labels: str
    value: float


def engine_of(path: str, body: bytes) -> str | None:
    """The id of the engine that answers so; None when no known one does. `path` decides between JSON answers."""
    found = (
        name
        for name, engine in engines().items()
        if (engine.format is Format.PROMETHEUS or path.rstrip("/").endswith(engine.path))
        and (figures := read(engine, body)) is not None
        and figures.running is not None
    )
    return next(found, None)


def read(engine: Engine, body: bytes) -> Figures | None:
    """The figures in an answer; None where it is not in the engine's format."""
    return _from_json(engine, body) if engine.format is Format.JSON else _from_text(engine, body)


def _from_text(engine: Engine, body: bytes) -> Figures:
    gauges = (engine.running, engine.waiting, engine.running_and_waiting, engine.kv_share, engine.generated)
    wanted = {_name(place) for places in gauges for place in places}
    wanted |= {f"{name}_{end}" for name in (*engine.queue, *engine.prefill) for end in ("sum", "count")}
    series: dict[str, list[_Series]] = {}
    for name, one in _series(body, tuple(wanted)):
        series.setdefault(name, []).append(one)

    def values(places: Sequence[str]) -> list[float] | None:
        chosen = ([one.value for one in series.get(_name(place), []) if _has_labels(place, one.labels)]
                  for place in places)  # fmt: skip
        return next((found for found in chosen if found), None)

    waiting = _sum(values(engine.waiting))
    return Figures(
        running=_running(_sum(values(engine.running)), waiting, _sum(values(engine.running_and_waiting))),
        waiting=waiting,
        kv_share=max(values(engine.kv_share) or [math.nan]) if values(engine.kv_share) else None,
        generated=_sum(values(engine.generated)),
        queue=_seconds(values, engine.queue),
        prefill=_seconds(values, engine.prefill),
    )


def _series(body: bytes, names: tuple[str, ...]) -> Iterator[tuple[str, _Series]]:
    """The series of these names. A line that is not one is passed over, because the next may be whole."""
    for line in body.decode("utf-8", "replace").split("\n"):
        if not line.startswith(names) or len(line) > _LONGEST or not (match := _SERIES.fullmatch(line)):
            continue
        value = _number(match[3])
        if value is not None:
            yield match[1], _Series(match[2] or "", value)


def _number(text: str) -> float | None:
    """A sample's value; None for one that no server counts to, such as NaN or infinity."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


def _name(place: str) -> str:
    return place.partition("{")[0]


def _has_labels(place: str, labels: str) -> bool:
    return set(_LABEL.findall(place)) <= set(_LABEL.findall(labels))


def _sum(values: Iterable[float] | None) -> float | None:
    """The sum; None without values, and above 2^53, which no real server reaches."""
    found = None if values is None else math.fsum(values)
    return found if found is not None and abs(found) <= _LARGEST else None


def _running(running: float | None, waiting: float | None, both: float | None) -> float | None:
    """The running requests. An engine may show only `both`, running and waiting together."""
    return both - (waiting or 0) if running is None and both is not None else running


def _seconds(values: Any, names: Sequence[str]) -> Seconds | None:
    for name in names:
        count, total = _sum(values([f"{name}_count"])), _sum(values([f"{name}_sum"]))
        if count is not None and total is not None:
            return Seconds(count, total)
    return None


def _from_json(engine: Engine, body: bytes) -> Figures | None:
    try:
        content = from_json(body, object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

    def value(places: Sequence[str]) -> float | None:
        return next((found for place in places if (found := _sum(_at(content, place.split(".")))) is not None), None)

    running, waiting, both = (value(places) for places in (engine.running, engine.waiting, engine.running_and_waiting))
    return Figures(running=_running(running, waiting, both), waiting=waiting, generated=value(engine.generated))


def _at(content: Any, path: Sequence[str]) -> list[float] | None:
    """The numbers at a path; None where there is none. An empty list of items is a server without any: no numbers."""
    if not path:
        return [float(content)] if isinstance(content, int | float) and abs(content) <= _LARGEST else None
    if path[0] == "*":
        if not isinstance(content, list):
            return None
        parts = [_at(item, path[1:]) for item in content]
        known = [part for part in parts if part is not None]
        return [number for part in known for number in part] if known or not parts else None
    return _at(content.get(path[0]), path[1:]) if isinstance(content, dict) else None
