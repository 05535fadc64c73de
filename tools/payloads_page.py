"""docs/payloads.md, which the code knows: how vendors define payloads. `make docs` writes it, a test compares it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.schemas.definition import ANY, DOCUMENTED, Schema, expected

PAYLOADS_PAGE: Final = Path(__file__).parent.parent / "docs" / "payloads.md"
_FOR: Final = "required for "
_HEAD: Final = """# Payloads

What the checks `*.payload-shape`, `openai-chat.chunk-shape` and `gemini.candidates-shape` demand of payloads, generated
from the code. The definitions are JSON Schemas, written from what the vendors publish.

- **required**: a vendor's SDK breaks, or loses text, without it. **documented**: always there in the vendor's
  definition, and missed by no known SDK. **typed**: it may be missing, but must have its type where it comes.
- Members that are not named may come: vendors add some, and compatible servers have their own.
- What a check of its own judges is not demanded here as well: finish reasons, indices, numbers, errors.
"""


def payloads_page() -> str:
    """The whole page."""
    parts = [_HEAD.strip()]
    for dialect, definition in DEFINITIONS.items():
        parts.append(f"## {dialect}")
        rows = [("event", "member", "", "type"), ("---",) * 4]
        for kind, schema in definition.schemas.items():
            named = "every payload" if kind == ANY else f"`{kind}`"
            rows += [(named if not number else "", *row) for number, row in enumerate(_rows(schema))]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def _rows(schema: Schema) -> list[tuple[str, str, str]]:
    """Each member once; one that several kinds of object require names all of them."""
    bindings: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for place, binding, kind in _members(schema, ""):
        types.setdefault(place, kind)
        told = bindings.setdefault(place, [])
        if not told:
            told.append(binding)
        elif binding.startswith(_FOR) and told[0].startswith(_FOR):
            told.append(binding.removeprefix(_FOR))
    return [(f"`{place}`", ", ".join(dict.fromkeys(told)), types[place]) for place, told in bindings.items()]


def _members(schema: Schema, pointer: str) -> Iterator[tuple[str, str, str]]:
    """The JSON Pointer of each member, how binding it is, and its type. `*` stands for every item of an array."""
    for key, member in schema.get("properties", {}).items():
        binding = "required" if key in schema.get("required", ()) else "typed"
        binding = "documented" if key in schema.get(DOCUMENTED, ()) else binding
        yield f"{pointer}/{key}", binding, expected(member)
        yield from _members(member, f"{pointer}/{key}")
    if "items" in schema:
        yield from _members(schema["items"], f"{pointer}/*")
    for part in schema.get("allOf", ()):
        (value,) = _constants(part["if"])
        for place, binding, kind in _members(part["then"], pointer):
            own = binding == "required" and place.count("/") == pointer.count("/") + 1
            yield place, f"{_FOR}{value}" if own else binding, kind
    for branch in ("then", "else"):
        if branch in schema:
            yield from _members(schema[branch], pointer)


def _constants(schema: Schema) -> list[Any]:
    return [member["const"] for member in schema["properties"].values() if "const" in member]
