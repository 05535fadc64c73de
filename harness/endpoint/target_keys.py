"""The keys of a target file, said where one of them is wrong."""

import difflib
import re
import typing
from typing import Final

import msgspec

INTERNAL: Final = frozenset({"answers_in"})
"""Fields that a run fills in for its own later requests: nobody writes them, so no hint lists them."""

_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`(?: - at `\$\.([\w.]+)`)?")


def keys_of(table: type[msgspec.Struct]) -> list[str]:
    """The keys that a user may write in this table."""
    return [field.name for field in msgspec.structs.fields(table) if field.name not in INTERNAL]


def meant_by(error: str, file: type[msgspec.Struct]) -> str | None:
    """The key that an unknown one was meant to be, and all keys of its table; None for another error.

    `error` is msgspec's text, `file` the type of the whole file.
    """
    found = _UNKNOWN.search(error)
    if found is None or (table := _table_at(found[2] or "", file)) is None:
        return None
    known = keys_of(table)
    near = difflib.get_close_matches(found[1].replace("-", "_"), known, n=1, cutoff=0.5)
    name = f"[{found[2]}]" if found[2] else "a target"
    return f"{f'did you mean {near[0]}? ' if near else ''}the keys of {name} are {', '.join(known)}"


def _table_at(path: str, table: type[msgspec.Struct]) -> type[msgspec.Struct] | None:
    """The type of the table at a dotted path; None where the path leaves the known tables."""
    for name in filter(None, path.split(".")):
        field = next((one for one in msgspec.structs.fields(table) if one.name == name), None)
        kinds = [] if field is None else [field.type, *typing.get_args(field.type)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)), None)
        if inner is None:
            return None
        table = inner
    return table
