"""JSON payloads as readers need them: nothing here raises on what an endpoint sent."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.protocol.dialects.base import Delta, Kind


class NotJson(NamedTuple):
    """In place of the value of a text that is not JSON. (None is the JSON value null.)"""

    reason: str


_WORD_IN_BRACKETS: Final = re.compile(r"\[[A-Za-z _-]+\]")
NOT_AN_OBJECT = "not a JSON object"
Pointer = tuple[str, ...]
# Fields that differ from event to event and are not text.
_NOT_TEXT = frozenset(
    {"id", "type", "role", "name", "signature", "obfuscation", "object", "status", "event", "timestamp", "date", "time"}
)


@lru_cache(maxsize=1)
def decode(text: str | bytes) -> Any:
    """The JSON value in `text`, or NotJson with the parser's message. The value is shared: nobody may change it.

    The last value is kept, because every dialect in turn looks at an event of a stream whose dialect is unknown.
    """
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


def is_fragment(text: str) -> bool:
    """Whether the text is a part of a JSON value: it is no whole one, and begins or ends as one does."""
    text = text.strip()
    broken = isinstance(decode(text), NotJson) and not _WORD_IN_BRACKETS.fullmatch(text)
    return broken and (text.startswith(("{", "[", '"')) or text.endswith(("}", "]", '"')))


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


def texts_in(value: Any, pointer: Pointer = ()) -> Iterator[tuple[Pointer, str]]:
    """The texts of a payload that may be a part of an answer, with their places; `*` stands for the index of an item.

    Ids, names, types and the like are left out.
    """
    if isinstance(value, str):
        if value and not (pointer and (pointer[-1] in _NOT_TEXT or pointer[-1].endswith("_id"))):
            yield pointer, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_in(inner, (*pointer, key))
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner, (*pointer, "*"))


def written(pointer: Pointer) -> str:
    """A pointer as RFC 6901 writes it."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in pointer)


def counts(value: Any, **names: str) -> dict[str, Any]:
    """The counts in `value`, renamed: `counts(usage, output_tokens="eval_count")`. A missing count stays missing.

    A count that is not a number is kept as it came: protocol/numbers.py says what is believed.
    """
    return {ours: found for ours, theirs in names.items() if (found := dig(value, theirs)) is not None}
