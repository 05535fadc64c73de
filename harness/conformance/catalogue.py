"""The requirements whose words are not in the code yet, from `catalogue.json`. It shrinks until it is gone."""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from harness.conformance.requirement import Basis, Fix, Level, Requirement, Severity


@cache
def entries() -> dict[str, Requirement]:
    """Every such requirement by its id."""
    raw = files(__package__).joinpath("catalogue.json").read_bytes()
    return {entry["id"]: _requirement(entry) for entry in msgspec.json.decode(raw)}


def _requirement(entry: dict[str, Any]) -> Requirement:
    return Requirement(
        entry["id"],
        Level(entry["level"]),
        Severity(entry["severity"]),
        Basis(entry["basis"]),
        entry["statement"],
        references=(entry["reference"],),
        breaks=entry["breaks"],
        fix=Fix(entry["fix"]),
    )
