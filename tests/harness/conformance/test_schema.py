"""The caller's schema: what the file may be, and what it says of payloads."""

import json
from typing import Any

import pytest

from streamgauge.conformance.schema import PayloadSchema
from streamgauge.errors import UsageError

TOKEN = {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}


def schema(document: Any) -> PayloadSchema:
    return PayloadSchema(json.dumps(document).encode(), "f.json")


def test_one_schema_for_all_events() -> None:
    """Whatever an event is called, its payload is judged."""
    one = schema(TOKEN)

    assert one.covers("message")
    assert list(one.breaches("token", {"token": "a"})) == []
    (breach,) = one.breaches("token", {"token": 5})
    assert breach == ("properties/token/type", "['token']", "5 is not of type 'string'")


def test_a_schema_for_each_name() -> None:
    """Names that are not listed are judged by `*`, or not at all; definitions are shared."""
    text = {"$defs": {"text": {"type": "string"}}, "events": {"token": {"$ref": "#/$defs/text"}}}
    some, all_of_them = schema(text), schema(text | {"events": {**text["events"], "*": {"type": "object"}}})

    assert (some.covers("token"), some.covers("done")) == (True, False)
    assert len(list(some.breaches("token", 5))) == 1
    assert len(list(all_of_them.breaches("done", "text"))) == 1
    assert list(all_of_them.breaches("token", "text")) == []


def test_a_schema_of_an_object_that_has_events() -> None:
    """`events` may be a property like any other: then the document is a schema."""
    assert schema({"type": "object", "events": {}}).covers("message")


def test_every_breach_is_told() -> None:
    """Not only the first."""
    assert {one.rule for one in schema(TOKEN | {"maxProperties": 0}).breaches("x", {"other": 1})} == {
        "required",
        "maxProperties",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a schema"),
        (b'{"events": {}}', "holds no schemas"),
        (b'{"events": {"token": 5}}', "holds no schemas"),
        (b'{"type": 5}', "not a valid JSON Schema: at type"),
        (b'{"properties": {"a": {"pattern": "("}}}', "at properties/a/pattern"),
        (b'{"$ref": "http://127.0.0.1:1/schema"}', "leads nowhere"),
        (b'{"$ref": "#/$defs/gone"}', "leads nowhere"),
        (b'{"items":' * 900 + b"{}" + b"}" * 900, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_schema(text: bytes, message: str) -> None:
    """It is told before any request, and nothing is fetched for it."""
    with pytest.raises(UsageError, match=message):
        PayloadSchema(text, "f.json")


def test_a_schema_without_end_ends() -> None:
    """A reference to itself is a breach, not a crash."""
    (breach,) = schema({"$ref": "#"}).breaches("x", {})

    assert "too deeply" in breach.message
