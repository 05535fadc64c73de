"""The parts that vendors' definitions are written with. Each gives a JSON Schema (draft 2020-12).

Members that are not named may come: vendors add some, and compatible servers have their own (`provider`, `x_groq`).
"""

from typing import Final

from streamgauge.conformance.schemas.definition import DOCUMENTED, Schema

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
ARRAY: Final[Schema] = {"type": "array"}

Members = dict[str, Schema]


def record(
    required: Members | None = None, documented: Members | None = None, optional: Members | None = None
) -> Schema:
    """An object. Without a `required` member a vendor's SDK breaks. A `documented` one is always there in the vendor's
    definition. An `optional` one must have its type where it comes.
    """
    required, documented, optional = required or {}, documented or {}, optional or {}
    schema: Schema = {"type": "object", "properties": {**required, **documented, **optional}}
    if required:
        schema["required"] = list(required)
    if documented:
        schema[DOCUMENTED] = list(documented)
    return schema


def array_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def exactly(value: str) -> Schema:
    return {"const": value}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def or_null(schema: Schema) -> Schema:
    """The same, or null. Servers that serialize every member of a type write null where OpenAI leaves it out."""
    types = schema["type"]
    return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}


def tagged(required: Members | None = None, *, by: str = "type", **cases: Schema) -> Schema:
    """An object whose member `by` says which of the `cases` it is. Other values may come: vendors add some."""
    return {
        **record({by: STRING, **(required or {})}),
        "allOf": [
            {"if": {"properties": {by: exactly(value)}, "required": [by]}, "then": schema}
            for value, schema in cases.items()
        ],
    }


def unless(members: Members, otherwise: Schema) -> Schema:
    """`otherwise`, except for an object with all these members."""
    return {"if": record(members), "else": otherwise}
