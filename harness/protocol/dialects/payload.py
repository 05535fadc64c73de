"""JSON payloads as readers need them: nothing here raises on what an endpoint sent."""

from typing import Any, NamedTuple

import msgspec

from streamgauge.protocol.dialects.base import Delta, Kind


class NotJson(NamedTuple):
    """In place of the value of a text that is not JSON. (None is the JSON value null.)"""

    reason: str


NOT_AN_OBJECT = "not a JSON object"


def decode(text: str | bytes) -> Any:
    """The JSON value in `text`, or NotJson with the parser's message."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: a lone surrogate has no UTF-8 form
        return NotJson(str(error))
    except RecursionError:
        return NotJson("it is nested too deeply")


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, or None."""
    value = decode(text)
    return value if isinstance(value, dict) else None


def unread(text: str) -> list[Delta]:
    """The delta of a text that is not a JSON object: META, with the reason as value."""
    return [Delta(Kind.META, value="not JSON" if isinstance(decode(text), NotJson) else NOT_AN_OBJECT)]


def dig(value: Any, *keys: str) -> Any:
    """The value under these keys, one inside the other; None where there is none."""
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
    """The numbers in `value`, renamed: `counts(usage, output_tokens="eval_count")`. A missing number stays missing."""
    return {ours: number for ours, theirs in names.items() if isinstance(number := dig(value, theirs), int)}
