"""JSON payloads as checks need them."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.foreign import DONE
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.numbers import whole
from streamgauge.protocol.transcript import Transcript


def is_sentinel(text: str) -> bool:
    """`[DONE]`, the one payload of JSON dialects that is not JSON."""
    return text.strip() == DONE


_COUNTS: Final = ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count")
JSON_TYPES: Final = ("application/json", "application/problem+json")


def kind_of(value: Any) -> str:
    """The JSON name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class Payload(NamedTuple):
    """An event and the JSON object in it."""

    event: Event
    value: dict[str, Any]

    @property
    def type(self) -> str:
        """What the payload says that it is; empty where it says nothing."""
        found = self.value.get("type")
        return found if isinstance(found, str) else ""


def objects(transcript: Transcript) -> Iterator[Payload]:
    """The payloads that are objects, in order."""
    for event in transcript.events:
        value = decode(event.data)
        if isinstance(value, dict):
            yield Payload(event, value)


def reported_tokens(transcript: Transcript) -> int | None:
    """The length of the answer in tokens, as the endpoint's last usage counts it; None without a count."""
    usage: Any = None
    for found in transcript.deltas:
        if found.delta.kind is Kind.USAGE:
            usage = found.delta.value
    if not isinstance(usage, dict):
        return None
    return next((count for name in _COUNTS if (count := whole(usage.get(name))) is not None), None)
