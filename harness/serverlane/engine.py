"""Engines and where each shows its figures: one TOML file each in `engines/`."""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.protocol.typed import from_toml

FOLDER: Final = Path(__file__).parent / "engines"


class Format(StrEnum):
    """How an engine writes its figures."""

    PROMETHEUS = "prometheus"
    JSON = "json"


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An engine: where its figures stand (see engines/__init__.py), and how they can mislead."""

    name: str
    path: str
    format: Format = Format.PROMETHEUS
    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    running_and_waiting: tuple[str, ...] = ()
    kv_share: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    prefill: tuple[str, ...] = ()
    trap: str

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError("`path` does not begin with a slash")
        if self.format is Format.JSON and (self.queue or self.prefill):
            raise ValueError("histograms exist in Prometheus metrics only")


@cache
def engines() -> dict[str, Engine]:
    """Every engine by its id, the name of its file."""
    return {path.stem: from_toml(path.read_bytes(), Engine) for path in sorted(FOLDER.glob("*.toml"))}


def paths() -> Iterator[str]:
    """Where engines show their figures: those that tell most first, each path once."""
    ordered = sorted(
        engines().values(), key=lambda engine: (engine.format is Format.JSON, engine.path != "/metrics", engine.path)
    )
    yield from dict.fromkeys(engine.path for engine in ordered)
