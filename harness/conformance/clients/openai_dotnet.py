"""OpenAI's SDK for .NET: CompleteChatStreaming. Seen by running NuGet OpenAI 2.15.0 on .NET 10 (test_oracles).

Events come from System.Net.ServerSentEvents. Their names are ignored, and exactly [DONE] ends the stream. Each payload
becomes a typed update. Members may be missing. A member of another kind raises, as does a value that an enumeration
does not have. Text and tool calls come from the first choice alone. For an error payload the SDK raises nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, EmulatedError, Message, speaks
from streamgauge.conformance.clients.system_net_sse import events_of

_MAX_DEPTH: Final = 64
_ROLES: Final = ("assistant", "developer", "function", "system", "tool", "user")
_REASONS: Final = ("content_filter", "function_call", "length", "stop", "tool_calls")
_PARTS: Final = ("file", "image_url", "input_audio", "refusal", "text")
_MAX_INT32: Final = 2**31 - 1
_MAX_SECONDS: Final = 253_402_300_799  # the year 9999


def _read(body: Body) -> Iterator[Message]:
    arguments: dict[int, str] = defaultdict(str)
    for _, data in events_of(body):
        if data == b"[DONE]":
            break
        update = _update(_parse(data))
        yield Message(update.text, TEXT)
        for index, piece in update.arguments:
            arguments[index] += piece
    for text in arguments.values():
        yield Message(text, ARGUMENTS)


class _Update(NamedTuple):
    text: str
    arguments: list[tuple[int, str]]


class _Real(float):
    """A number with a point or an exponent, which GetInt32() and GetInt64() refuse."""


class _Element(NamedTuple):
    """A JsonElement: reading it as another kind of value than it is raises."""

    value: Any
    path: str

    def member(self, name: str) -> "_Element | None":
        """A member of an object, null included; None if it is missing."""
        self._must_be("Object", dict)
        return _Element(self.value[name], f"{self.path}.{name}".lstrip(".")) if name in self.value else None

    def present(self, name: str) -> "_Element | None":
        """A member that may be null; None if it is null or missing."""
        found = self.member(name)
        return None if found is None or found.value is None else found

    def items(self) -> "list[_Element]":
        """The items of an array, without nulls."""
        self._must_be("Array", list)
        return [_Element(item, f"{self.path}[{n}]") for n, item in enumerate(self.value) if item is not None]

    def string(self) -> str:
        """GetString(): a string, or null, which is read as an empty string here."""
        if self.value is None:
            return ""
        self._must_be("String", str)
        if any("\ud800" <= char <= "\udfff" for char in self.value):
            raise EmulatedError(f"InvalidOperationException: Cannot read invalid text as a string ({self.path})")
        return str(self.value)

    def word(self, words: tuple[str, ...], enumeration: str) -> None:
        """A string that the enumeration must have, in upper or lower case."""
        if self.value is not None and self.string().lower() not in words:
            told = f"Unknown {enumeration} value, {self.value} ({self.path})"
            raise EmulatedError(f"ArgumentOutOfRangeException: {told}")

    def integer(self, largest: int) -> int:
        self._must_be("Number", int, _Real)
        if isinstance(self.value, _Real) or not -largest - 1 <= self.value <= largest:
            raise EmulatedError(f"FormatException: One of the identified items was in an invalid format ({self.path})")
        return int(self.value)

    def _must_be(self, kind: str, *types: type) -> None:
        if type(self.value) not in types:
            told = f"requires an element of type '{kind}', but the target element has type '{_kind(self.value)}'"
            raise EmulatedError(f"InvalidOperationException: The operation {told} ({self.path or 'the payload'})")


def _kind(value: Any) -> str:
    if value is None:
        return "Null"
    names = {bool: str(value), str: "String", int: "Number", _Real: "Number", list: "Array", dict: "Object"}
    return names[type(value)]


def _parse(data: bytes) -> _Element:
    """The payload; text that is not UTF-8 is refused only where it is read."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        value = json.loads(text, parse_float=_Real, parse_constant=_no_constant)
        if _depth(value) > _MAX_DEPTH:
            raise ValueError(f"The maximum configured depth of {_MAX_DEPTH} has been exceeded")
    except (ValueError, RecursionError) as error:
        raise EmulatedError(f"JsonReaderException: {error}") from None
    if value is None:
        raise EmulatedError("NullReferenceException: Object reference not set to an instance of an object")
    return _Element(value, "")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _update(chunk: _Element) -> _Update:
    for name in ("id", "model", "object", "service_tier", "system_fingerprint"):
        if member := chunk.member(name):
            member.string()
    if (created := chunk.member("created")) and created.integer(2**63 - 1) > _MAX_SECONDS:
        raise EmulatedError("ArgumentOutOfRangeException: created is beyond the year 9999")
    choices = chunk.member("choices")
    updates = [_choice(choice) for choice in (choices.items() if choices else ())]
    if usage := chunk.present("usage"):
        _usage(usage)
    return updates[0] if updates else _Update("", [])


def _choice(choice: _Element) -> _Update:
    if index := choice.member("index"):
        index.integer(_MAX_INT32)
    if reason := choice.present("finish_reason"):
        reason.word(_REASONS, "ChatFinishReason")
    if logprobs := choice.present("logprobs"):
        for name in ("content", "refusal"):
            for token in found.items() if (found := logprobs.present(name)) else ():
                _token(token)
    delta = choice.present("delta")
    return _delta(delta) if delta else _Update("", [])


def _token(token: _Element) -> None:
    if text := token.member("token"):
        text.string()
    if logprob := token.member("logprob"):
        logprob._must_be("Number", int, _Real)


def _delta(delta: _Element) -> _Update:
    if role := delta.present("role"):
        role.word(_ROLES, "ChatMessageRole")
    text = _content(found) if (found := delta.present("content")) else ""
    if refusal := delta.present("refusal"):
        text += refusal.string()
    if function := delta.present("function_call"):
        _function(function)
    if audio := delta.present("audio"):
        audio.member("id")
    calls = delta.present("tool_calls")
    return _Update(text, [_call(call) for call in (calls.items() if calls else ())])


def _content(content: _Element) -> str:
    """The text of a string or of typed parts. Another kind of content is ignored."""
    if isinstance(content.value, str):
        return content.string()
    if not isinstance(content.value, list):
        return ""
    texts: list[str] = []
    for part in content.items():
        if kind := part.member("type"):
            kind.word(_PARTS, "ChatMessageContentPartKind")
        if text := part.member("text"):
            texts.append(text.string())
    return "".join(texts)


def _call(call: _Element) -> tuple[int, str]:
    index = found.integer(_MAX_INT32) if (found := call.member("index")) else 0
    if call_id := call.member("id"):
        call_id.string()
    if kind := call.present("type"):
        kind.word(("function",), "ChatToolCallKind")
    function = call.present("function")
    return index, _function(function) if function else ""


def _function(function: _Element) -> str:
    if name := function.member("name"):
        name.string()
    return arguments.string() if (arguments := function.member("arguments")) else ""


def _usage(usage: _Element) -> None:
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        if count := usage.member(name):
            count.integer(_MAX_INT32)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        if details := usage.present(name):
            details.member("")


CLIENT = Client(
    name="openai-dotnet",
    source="NuGet OpenAI 2.15.0 on .NET 10, run",
    read=_read,
    applies=speaks("openai-chat"),
    follows="2.15.0",
    gathers=True,
)
