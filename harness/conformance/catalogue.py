"""The catalogue of requirements: `catalogue.json`, the single source of every check's identity, level and wording."""

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One requirement. `needs` are the codes of the catalogue: P passive, A active probe, U control of the upstream."""

    id: str
    group: str
    level: Literal["MUST", "SHOULD", "MAY"]
    severity: Literal["critical", "high", "medium", "low", "info"]
    basis: str
    needs: list[str]
    statement: str
    provoke: str
    detect: str
    reference: str
    breaks: str | None = None
    fix: str | None = None


@cache
def entries() -> dict[str, Entry]:
    """Every requirement by its id, in the order of the file."""
    raw = files(__package__).joinpath("catalogue.json").read_bytes()
    return {entry.id: entry for entry in msgspec.json.decode(raw, type=list[Entry])}
