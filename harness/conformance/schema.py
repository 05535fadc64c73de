"""The caller's schema for the payloads of a stream: one for all payloads, or one for each event name.

The file is a JSON Schema, or an object whose member `events` holds a JSON Schema for each name (`message` for events
without one, `*` for all others); its `$defs` are known to each. Nothing is fetched: a `$ref` stays within the file.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.errors import UsageError

_WRITTEN: Final = 'it is a JSON Schema, or {"events": {"token": {...}, "*": {...}}} with one for each name of an event'
_KEYWORDS: Final = frozenset({"$ref", "type", "properties", "anyOf", "oneOf", "allOf"})
ANY: Final = "*"


class Breach(NamedTuple):
    """One way in which a payload does not fit: where in the schema, where in the payload, and how."""

    rule: str
    place: str
    message: str


class PayloadSchema:
    """A compiled schema. Raises UsageError when the schema cannot be used, or the package jsonschema is missing."""

    def __init__(self, text: bytes, name: str) -> None:
        try:
            document: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"{name} is not JSON: {error}", _WRITTEN) from None
        try:
            self._validators = {event: _validator(schema, name) for event, schema in _by_event(document, name).items()}
        except RecursionError:
            raise UsageError(f"{name} is nested too deeply", _WRITTEN) from None

    def covers(self, event: str) -> bool:
        """Whether events of this name have a schema."""
        return event in self._validators or ANY in self._validators

    def breaches(self, event: str, payload: Any) -> Iterator[Breach]:
        """Every way in which a payload does not fit the schema of its event's name."""
        validator = self._validators.get(event) or self._validators[ANY]
        try:
            for error in validator.iter_errors(payload):
                rule = "/".join(map(str, error.absolute_schema_path))
                yield Breach(rule, "".join(f"[{part!r}]" for part in error.absolute_path), error.message)
        except RecursionError:
            yield Breach("", "", "it is nested too deeply to be judged")


def _by_event(document: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(document, (dict, bool)):
        raise UsageError(f"{name} is not a schema", _WRITTEN)
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(events, dict) or _KEYWORDS & document.keys():
        return {ANY: document}
    if not events or not all(isinstance(schema, (dict, bool)) for schema in events.values()):
        raise UsageError(f"{name}: events holds no schemas", _WRITTEN)
    shared = {key: document[key] for key in ("$schema", "$defs") if key in document}
    return {event: {**shared, **schema} if isinstance(schema, dict) else schema for event, schema in events.items()}


def _validator(schema: Any, name: str) -> Any:
    try:
        from jsonschema import Draft202012Validator, SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry, Resource
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012
    except ImportError:
        hint = "pip install 'streamgauge[schema]'"
        raise UsageError("--schema needs the package jsonschema, which is not installed", hint) from None
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise UsageError(f"{name} is not a valid JSON Schema: at {place}: {error.message[:200]}", _WRITTEN) from None
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    registry = resource @ Registry() if resource.id() else Registry().with_resource("", resource)
    for reference in _references(schema):
        try:
            registry.resolver(resource.id() or "").lookup(reference)
        except Unresolvable:
            raise UsageError(f"{name}: $ref {reference!r} leads nowhere", "it must stay within the file") from None
    return kind(schema, registry=Registry())


def _references(schema: Any) -> Iterator[str]:
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        yield schema["$ref"]
    for each in inner:
        yield from _references(each)
