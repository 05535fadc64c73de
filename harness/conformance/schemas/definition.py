"""Judges a payload by a vendor's definition of it: what does not fit, and where.

A definition is a JSON Schema for each type of event, in the few keywords of `build.py`. The package jsonschema judges
the user's own schemas. It is optional, and a check may not depend on what is installed. A test compares the two.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.conformance.payloads import kind_of

Schema = dict[str, Any]
ANY: Final = "*"
"""The schema of payloads whose type has none of its own."""
DOCUMENTED: Final = "x-documented"
"""Keyword: members that the vendor's definition always has, and whose absence breaks no known SDK."""
_ARTICLES: Final = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_QUOTED: Final = 40


class Breach(NamedTuple):
    """A value that does not fit. `pointer` is a JSON Pointer (RFC 6901). `documented`: only a documented member is
    missing, which no known SDK needs.
    """

    pointer: str
    found: str
    expected: str
    documented: bool = False

    def __str__(self) -> str:
        return f"{self.pointer or 'the payload'} is {self.found}, expected {self.expected}"


class Definition(NamedTuple):
    """The schemas of a dialect's payloads, by the payload's member `type`."""

    schemas: Mapping[str, Schema]

    def breaches(self, payload: Any, kind: str = "") -> list[Breach]:
        """What does not fit in a payload of type `kind`, each place once; nothing for a type that is not defined."""
        schema = self.schemas.get(kind) or self.schemas.get(ANY)
        by_place: dict[str, Breach] = {}
        for breach in _breaches(schema, payload, "") if schema is not None else ():
            by_place.setdefault(breach.pointer, breach)
        return list(by_place.values())

    def covers(self, kind: str) -> bool:
        """Whether payloads of this type have a schema."""
        return kind in self.schemas or ANY in self.schemas


def _breaches(schema: Schema, value: Any, pointer: str) -> Iterator[Breach]:
    """Its recursion ends with the schema's, however deep the payload is."""
    if not _has_type(schema, value) or value not in _words(schema, value):
        yield Breach(pointer, _shown(schema, value), expected(schema))
        return
    if isinstance(value, dict):
        yield from _member_breaches(schema, value, pointer)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _breaches(schema["items"], item, f"{pointer}/{index}")
    for part in schema.get("allOf", ()):
        yield from _breaches(part, value, pointer)
    if "if" in schema:
        branch = "then" if next(_breaches(schema["if"], value, pointer), None) is None else "else"
        yield from _breaches(schema.get(branch, {}), value, pointer)


def _member_breaches(schema: Schema, value: dict[str, Any], pointer: str) -> Iterator[Breach]:
    properties: dict[str, Schema] = schema.get("properties", {})
    for keyword in ("required", DOCUMENTED):
        for key in schema.get(keyword, ()):
            if key not in value:
                wanted = expected(properties.get(key, {}))
                yield Breach(f"{pointer}/{key}", "missing", wanted, documented=keyword == DOCUMENTED)
    for key, member in properties.items():
        if key in value:
            yield from _breaches(member, value[key], f"{pointer}/{key}")


def _has_type(schema: Schema, value: Any) -> bool:
    types = _types(schema)
    kind = kind_of(value)
    if kind in types or not types:
        return True
    # JSON Schema: 1.0 is an integer too.
    return kind == "number" and "integer" in types and (isinstance(value, int) or value.is_integer())


def _words(schema: Schema, value: Any) -> list[Any]:
    """The values that a schema allows; without such a list, the value itself."""
    return [schema["const"]] if "const" in schema else schema.get("enum", [value])


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def expected(schema: Schema) -> str:
    """The value that a schema expects, in words."""
    if "const" in schema:
        return _json(schema["const"])
    if "enum" in schema:
        return " or ".join(map(_json, schema["enum"]))
    return " or ".join(_ARTICLES[name] for name in _types(schema)) or "a value"


def _shown(schema: Schema, value: Any) -> str:
    """A value where its type fits or is a number, else its type."""
    if _has_type(schema, value) or kind_of(value) in ("number", "boolean"):
        return _json(value)
    return _ARTICLES[kind_of(value)]


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"
