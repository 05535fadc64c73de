"""JSON payloads as readers need them: nothing here raises on what an endpoint sent."""

from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Delta, Kind


class _Undecodable:
    """Marks text that is not JSON; None would mean the JSON value null."""


UNDECODABLE = _Undecodable()
NOT_AN_OBJECT = "not a JSON object"


def decode(text: str) -> Any:
    """The JSON value in `text`, or UNDECODABLE."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return UNDECODABLE


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, or None."""
    value = decode(text)
    return value if isinstance(value, dict) else None


def unread(text: str) -> list[Delta]:
    """What a reader of objects gives for a text that is none: one META delta that says why."""
    return [Delta(Kind.META, value="not JSON" if decode(text) is UNDECODABLE else NOT_AN_OBJECT)]


def dig(value: Any, *keys: str) -> Any:
    """What is under these keys, one inside the other; None where there is no such thing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_in(value: Any, *keys: str) -> str:
    """The text under these keys; empty where there is none."""
    found = dig(value, *keys)
    return found if isinstance(found, str) else ""


def counts(value: Any, **names: str) -> dict[str, int]:
    """The numbers in `value`, renamed: `counts(usage, output_tokens="eval_count")`. What is missing stays so."""
    return {ours: number for ours, theirs in names.items() if isinstance(number := dig(value, theirs), int)}
