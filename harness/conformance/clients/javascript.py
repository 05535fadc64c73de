"""What JavaScript does with JSON values of unexpected types. null and undefined are both None here."""

import math
from typing import Any, Final

import msgspec

from streamgauge.conformance.clients.base import EmulatedError

_MAX_SAFE: Final = 2**53 - 1


def member(value: Any, name: str) -> Any:
    """`value.name`: raises for null and undefined, and is undefined in every other value but an object."""
    if value is None:
        raise EmulatedError(f"TypeError: Cannot read properties of undefined (reading '{name}')")
    return value.get(name) if isinstance(value, dict) else None


def items(value: Any, name: str) -> list[Any]:
    """What `for (const item of value)` runs over."""
    if isinstance(value, (list, str)):
        return list(value)
    raise EmulatedError(f"TypeError: {name} is not iterable")


def index(value: Any, limit: int = _MAX_SAFE) -> int | None:
    """`value` if it is a whole number from 0 to below `limit`, else None."""
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if is_whole and value == int(value) and 0 <= value < limit else None


def member_text(value: Any, name: str) -> str:
    """What `"" + value.name` appends: `undefined` for a member that is missing."""
    found = member(value, name)
    return text(found) if isinstance(value, dict) and name in value else "undefined"


def text(value: Any) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join("" if item is None else text(item) for item in value)
    whole = isinstance(value, float) and value.is_integer()
    return msgspec.json.encode(int(value) if whole else value).decode()
