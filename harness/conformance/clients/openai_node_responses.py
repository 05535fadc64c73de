"""`responses.stream()` of the OpenAI SDK for Node. Read in npm openai 7.57.0, lib/responses/ResponseStream.mjs and
internal/responses/response-accumulator.mjs.

It adds the events up to one response, which finalResponse() gives, and raises for more than the other SDKs do: types of
events that it does not know, an item_id that is not the item's, parts out of order, items without an id.
"""

from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.clients import javascript as js
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, EmulatedError, Message

_BEGUN: Final = ("response.created", "response.queued", "response.in_progress")
_ENDED: Final = ("response.completed", "response.failed", "response.incomplete")
_PART: Final = "response.content_part"
_SUMMARY: Final = "response.reasoning_summary_part"
_CALLS: Final = ("function_call", "custom_tool_call", "shell_call", "shell_call_output")
# The type of item that an event belongs to, by the event's name without its last word.
_ITEM_OF: Final = {
    "response.output_text": "message",
    "response.output_text.annotation": "message",
    "response.refusal": "message",
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
    "response.mcp_call_arguments": "mcp_call",
    "response.mcp_call": "mcp_call",
    "response.reasoning_text": "reasoning",
    _SUMMARY: "reasoning",
    "response.reasoning_summary_text": "reasoning",
    "response.code_interpreter_call_code": "code_interpreter_call",
    "response.code_interpreter_call": "code_interpreter_call",
    "response.file_search_call": "file_search_call",
    "response.web_search_call": "web_search_call",
    "response.image_generation_call": "image_generation_call",
    "response.mcp_list_tools": "mcp_list_tools",
}
_IGNORED: Final = ("response.audio", "response.audio.transcript", "response.compaction", "keepalive")
# The member that a delta is appended to, or that a done event sets, in an item or in one of its parts.
_TEXTS: Final = {
    "response.output_text": ("content", "output_text", "text"),
    "response.refusal": ("content", "refusal", "refusal"),
    "response.reasoning_text": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("summary", None, "text"),
}

Item = dict[str, Any]


class ResponseStream:
    """The response so far: its output items by `output_index`, and the output of the last event that has a response."""

    def __init__(self) -> None:
        self._response: Any = None
        self._items: dict[int, Item] = {}
        self._done: set[int] = set()
        self._final: list[Any] | None = None

    def add(self, event: Any) -> None:
        kind = js.member(event, "type")
        family, _, what = kind.rpartition(".") if isinstance(kind, str) else ("", "", "")
        known = kind in (*_BEGUN, *_ENDED, "keepalive") or family in (
            *_ITEM_OF,
            *_IGNORED,
            _PART,
            "response.output_item",
        )
        if not known:
            raise _error("Unhandled response stream event: unknown")
        if kind in (*_BEGUN, *_ENDED):
            self._state(kind, event)
        elif self._response is None:
            raise _error(f"When snapshot hasn't been set yet, expected 'response.created' event, got {kind}")
        elif family == "response.output_item":
            self._item(what, event)
        elif family not in _IGNORED and kind not in _IGNORED:
            self._part(family, what, event)

    def _state(self, kind: str, event: Item) -> None:
        if "response" not in event:
            raise _error("Lifecycle events require their own response field.")
        response = event["response"]
        if not isinstance(response, dict):
            raise _error("Lifecycle events require a response object.")
        if self._response is not None and response.get("id") != self._response.get("id"):
            raise _error("Lifecycle response identity changed.")
        if self._response is None and kind != "response.created":
            raise _error(f"When snapshot hasn't been set yet, expected 'response.created' event, got {kind}")
        output = response.get("output")
        if output is None:
            # A completed response gets the finished items.
            kept = self._done if kind == "response.completed" else self._items if kind in _ENDED else ()
            output = [self._items[index] for index in sorted(kept)]
        if kind == "response.completed":
            self._must_be_complete(js.items(output, "snapshot.output"))
        seen: set[str] = set()
        for item in js.items(output, "snapshot.output"):
            _identify(item, seen)
        if self._response is None:
            self._items = dict(enumerate(output))
        if kind in _ENDED:
            self._final = output
        self._response = response

    def _must_be_complete(self, output: list[Any]) -> None:
        final = {_key(item) for item in output if isinstance(item, dict)}
        if any(index not in self._done and _key(item) not in final for index, item in self._items.items()):
            raise _error("Cannot complete response with unfinished output items.")

    def _item(self, what: str, event: Item) -> None:
        item: Any = event.get("item")
        if what == "added" and item is None:
            return
        index = js.index(event.get("output_index"))
        if index is None:
            raise _error("Invalid response output index.")
        if what == "added":
            if index in self._items:
                raise _error(f"Duplicate response output index {index}.")
            seen: set[str] = set()
            for other in self._items.values() if self._final is None else self._final:
                _identify(other, seen)
            _identify(item, seen)
            self._items[index] = dict(item)
            return
        added = self._items.get(index)
        if added is None:
            raise _error(f"missing output at index {index}")
        _identify(item, set())
        same = [added.get(name) == item.get(name) for name in ("type", "call_id")]
        if not all(same) or added.get("id") not in (None, item.get("id")):
            raise _error(f"expected output item id {added.get('id')!r}, got {item.get('id')!r}")
        self._items[index] = dict(item)
        self._done.add(index)

    def _part(self, family: str, what: str, event: Item) -> None:
        item_id = event.get("item_id")
        index = js.index(event.get("output_index"))
        item = None if index is None else self._items.get(index)
        if item is None:
            raise _error(f"missing output at index {js.member_text(event, 'output_index')}")
        if not isinstance(item_id, str) or item_id != item.get("id"):
            raise _error(f"expected item_id {item.get('id')!r}, got {item_id!r}")
        expected = _ITEM_OF.get(family)
        if family == _PART:
            expected = "reasoning" if js.member(event.get("part"), "type") == "reasoning_text" else "message"
        if item.get("type") != expected:
            raise _error(f"expected output item type {expected!r}, got {item.get('type')!r}")
        if family in (_PART, _SUMMARY):
            self._whole_part(item, "content" if family == _PART else "summary", what, event)
        elif family in _TEXTS:
            self._text(item, family, what, event)
        elif family == "response.function_call_arguments":
            before = js.member_text(item, "arguments")
            item["arguments"] = before + js.member_text(event, "delta") if what == "delta" else event.get("arguments")

    def _whole_part(self, item: Item, name: str, what: str, event: Item) -> None:
        number = event.get("content_index" if name == "content" else "summary_index")
        parts: Any = item.setdefault(name, []) if item.get("type") == "reasoning" else item.get(name)
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") == "output_text" and part.get("text") is None:
            js.member(None, "length")
        if what == "added":
            if not isinstance(parts, list) or js.index(number) != len(parts):
                raise _error(f"missing content at index {js.text(number)}")
            parts.append(dict(part) if isinstance(part, dict) else part)
        else:
            at = self._at(parts, number)
            parts[at] = dict(part) if isinstance(part, dict) else part

    def _text(self, item: Item, family: str, what: str, event: Item) -> None:
        name, kind, member = _TEXTS[family]
        parts: Any = item.get(name)
        part: Any = parts[self._at(parts, event.get(f"{name}_index"))]
        if not isinstance(part, dict) or (kind is not None and part.get("type") != kind):
            raise _error(f"expected content to be {kind!r}, got {js.member(part, 'type')!r}")
        if what == "delta":
            part[member] = js.member_text(part, member) + js.member_text(event, "delta")
            return
        part[member] = event.get(member)
        if kind == "output_text" and part[member] is None:
            js.member(None, "length")

    def _at(self, parts: Any, number: Any) -> int:
        at = js.index(number)
        if at is None or not isinstance(parts, list) or at >= len(parts) or not parts[at]:
            raise _error(f"missing content at index {js.text(number)}")
        return at

    def final(self) -> Iterator[Message]:
        if self._response is None:
            raise _error("request ended without sending any events")
        output = self._final if self._final is not None else [item for _, item in sorted(self._items.items())]
        for item in output:
            if item.get("type") == "message":
                yield Message("".join(map(_text_of, item["content"])), TEXT)
            elif item.get("type") == "function_call":
                yield Message(js.member_text(item, "arguments"), ARGUMENTS)


def _text_of(part: Item) -> str:
    kind = part.get("type")
    return (
        js.text(part.get("text" if kind == "output_text" else "refusal")) if kind in ("output_text", "refusal") else ""
    )


def _identify(item: Any, seen: set[str]) -> None:
    """Raises unless the item can be told from the others, and unless the text of a message can be read."""
    kind = js.member(item, "type")
    if not isinstance(kind, str):
        raise _error("expected an own output item type")
    keys = []
    if "id" in item:
        if not isinstance(item["id"], str) or (not item["id"] and kind != "computer_call"):
            raise _error("expected a non-empty output item id")
        keys.append(f"id:{item['id']}")
    elif kind not in ("function_call", "custom_tool_call"):
        raise _error("expected a non-empty output item id")
    if kind in _CALLS:
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or (not call_id and kind != "function_call"):
            raise _error("expected a non-empty output item call_id")
        keys.append(f"call:{kind}:{call_id}")
    for key in keys:
        if key in seen:
            raise _error(f"duplicate output item identity '{key}'")
        seen.add(key)
    if kind == "message":
        for part in js.items(item.get("content"), "output.content"):
            js.member(part, "type")


def _key(item: Item) -> tuple[Any, Any, Any]:
    kind = item.get("type")
    return kind, None if kind in _CALLS else item.get("id"), item.get("call_id")


def _error(told: str) -> EmulatedError:
    return EmulatedError(f"OpenAIError: {told}")
