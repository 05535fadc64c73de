"""`messages.stream()` of the Anthropic SDK for Node. Read in npm @anthropic-ai/sdk 1.12.0, lib/MessageStream.mjs.

It adds the events up to one message, which finalMessage() gives. That needs `content` in message_start, `usage` in
message_start and message_delta, and message_stop at the end: without it finalMessage() rejects.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.clients import javascript as js
from streamgauge.conformance.clients.anthropic_node import payloads_of
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, EmulatedError, Message, speaks

_DELTAS: Final = ("text_delta", "citations_delta", "input_json_delta", "thinking_delta", "signature_delta")
_TOOLS: Final = ("tool_use", "server_tool_use")


def _read(body: Body) -> Iterator[Message]:
    stream = _MessageStream()
    for event in payloads_of(body):
        stream.add(event)
    yield from stream.final()


class _MessageStream:
    """The message so far. A block is a dict with `type`, `text`, and `json` for the pieces of a tool's input."""

    def __init__(self) -> None:
        self._message: Any = None
        self._blocks: list[dict[str, Any]] = []
        self._finished: list[dict[str, Any]] | None = None

    def add(self, event: Any) -> None:
        kind = js.member(event, "type")
        if kind == "message_start":
            if self._message is not None:
                raise EmulatedError('AnthropicError: Unexpected event order, got message_start before "message_stop"')
            self._message = js.member(event, "message")
            content = self._message.get("content") if isinstance(self._message, dict) else None
            self._blocks = [dict(block) if isinstance(block, dict) else {} for block in content or ()]
            return
        if self._message is None:
            return
        if kind == "content_block_start":
            self._open(event)
        elif kind == "content_block_delta":
            self._delta(event)
        elif kind == "content_block_stop":
            self._close(event)
        elif kind == "message_delta":
            js.member(js.member(event, "delta"), "stop_reason")
            usage = js.member(self._message, "usage")
            if not isinstance(usage, (dict, list)):
                raise EmulatedError("TypeError: Cannot set properties of undefined (setting 'output_tokens')")
            js.member(js.member(event, "usage"), "output_tokens")
        elif kind == "message_stop":
            self._must_have_content("map")
            self._finished = [dict(block) for block in self._blocks]

    def _open(self, event: Any) -> None:
        self._must_have_content("push")
        block = js.member(event, "content_block")
        self._blocks.append(dict(block) if isinstance(block, dict) else {})

    def _delta(self, event: Any) -> None:
        self._must_have_content("at")
        delta, at = js.member(event, "delta"), js.index(js.member(event, "index"))
        kind = js.member(delta, "type")
        block = self._blocks[at] if at is not None and at < len(self._blocks) else None
        if block is not None and kind == "text_delta" and block.get("type") == "text":
            block["text"] = js.text(block.get("text") or "") + js.member_text(delta, "text")
        if block is not None and kind == "input_json_delta" and block.get("type") in _TOOLS:
            block["json"] = block.get("json", "") + js.member_text(delta, "partial_json")
        # Its events look at the type of the last block.
        if kind in _DELTAS and not self._blocks:
            js.member(None, "type")

    def _close(self, event: Any) -> None:
        self._must_have_content("at")
        at = js.index(js.member(event, "index"))
        block = self._blocks[at] if at is not None and at < len(self._blocks) else {}
        if block.get("type") in _TOOLS:
            _read_input(block)

    def _must_have_content(self, method: str) -> None:
        content = js.member(self._message, "content")
        if content is None:
            js.member(None, method)
        if not isinstance(content, list):
            raise EmulatedError(f"TypeError: snapshot.content.{method} is not a function")

    def final(self) -> Iterator[Message]:
        if self._message is None:
            raise EmulatedError("AnthropicError: request ended without sending any chunks")
        if self._finished is None:
            raise EmulatedError("AnthropicError: stream ended without producing a Message with role=assistant")
        texts = (block.get("text") for block in self._finished if block.get("type") == "text")
        yield Message("".join(js.text(text) for text in texts if text is not None), TEXT)
        for block in self._finished:
            if block.get("type") == "tool_use":
                _read_input(block)
                yield Message(block.get("json") or json.dumps(block.get("input") or {}), ARGUMENTS)


def _read_input(block: dict[str, Any]) -> None:
    if block.get("json") and not _begins_json(block["json"]):
        raise EmulatedError(f"SyntaxError: {block['json'][:60]!r} is not JSON")


def _begins_json(text: str) -> bool:
    """Whether the SDK's parser of unfinished JSON takes it: what more text could make JSON, but no number alone."""
    try:
        return not isinstance(json.loads(text), (int, float)) or text in ("true", "false")
    except json.JSONDecodeError as error:
        rest = text[error.pos :].strip()
        word = any(name.startswith(rest) for name in ("true", "false", "null", "-"))
        return error.msg.startswith("Unterminated string") or word


STREAM = Client(
    name="anthropic-node stream()",
    source="npm @anthropic-ai/sdk 1.12.0: lib/MessageStream.mjs",
    read=_read,
    applies=speaks("anthropic"),
    follows="1.12.0",
    gathers=True,
)
