"""useChat() of the Vercel AI SDK, for its UI message stream. Read in npm ai 7.0.173, dist/index.js.

Events come from eventsource-parser. Each chunk must fit the SDK's schema, and a delta or an end must belong to a part
that has started. [DONE] is skipped wherever it stands, and neither it nor `finish` is missed.
"""

import json
from collections.abc import Iterator
from typing import Any

from streamgauge.conformance.clients import eventsource_parser
from streamgauge.conformance.clients.base import (
    ARGUMENTS,
    TEXT,
    Body,
    Client,
    EmulatedError,
    Message,
    ReportedError,
    speaks,
    strict_json,
)
from streamgauge.conformance.schemas.ai_sdk_ui import DEFINITION


def _read(body: Body) -> Iterator[Message]:
    message = _UiMessage()
    for event in eventsource_parser.CLIENT.read(body):
        if event.data != "[DONE]":
            message.add(_validated(strict_json(event.data, "AI_JSONParseError")))
    yield Message("".join(message.text), TEXT)
    for arguments in message.inputs.values():
        yield Message(arguments, ARGUMENTS)


def _validated(chunk: Any) -> dict[str, Any]:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    known = isinstance(kind, str) and (DEFINITION.covers(kind) or kind.startswith("data-"))
    if not known:
        raise EmulatedError(f"AI_TypeValidationError: no chunk has the type {kind!r}")
    if breaches := DEFINITION.breaches(chunk, str(kind)):
        raise EmulatedError(f"AI_TypeValidationError: {kind}: {breaches[0]}")
    return dict(chunk)


class _UiMessage:
    """The message so far: its text, and the input of each tool call of each step."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.inputs: dict[tuple[int, str], str] = {}
        self._step = 0
        self._open: set[tuple[str, str]] = set()
        self._partial: dict[str, str] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        family, _, what = chunk["type"].rpartition("-")
        if chunk["type"] == "error":
            raise ReportedError(f"Error: {chunk['errorText']}")
        if chunk["type"] == "start-step":
            self._step += 1
        elif chunk["type"] == "reset-step":
            self._open.clear()
        elif family in ("text", "reasoning"):
            self._part(family, what, chunk)
        elif family == "tool-input":
            self._tool_input(what, chunk)
        elif family == "tool-output" and all(call != chunk["toolCallId"] for _, call in self.inputs):
            raise _missing("tool-invocation", chunk["toolCallId"])

    def _part(self, family: str, what: str, chunk: dict[str, Any]) -> None:
        place = (family, chunk["id"])
        if what == "start":
            self._open.add(place)
        elif place not in self._open:
            raise _missing(chunk["type"], chunk["id"])
        elif what == "end":
            self._open.discard(place)
        elif family == "text":
            self.text.append(chunk["delta"])

    def _tool_input(self, what: str, chunk: dict[str, Any]) -> None:
        call = chunk["toolCallId"]
        part = self._step, call
        if what == "start":
            self._partial[call] = self.inputs[part] = ""
        elif what == "available":
            self.inputs[part] = json.dumps(chunk["input"])
        elif what == "delta":
            if call not in self._partial:
                raise _missing(chunk["type"], call)
            self._partial[call] += chunk["inputTextDelta"]
            self.inputs[part] = self._partial[call]
        else:
            self.inputs.setdefault(part, "")


def _missing(kind: str, part: str) -> EmulatedError:
    return EmulatedError(f"AI_UIMessageStreamError: {kind} for {part!r}, which has not started")


CLIENT = Client(
    name="ai useChat()",
    source="npm ai 7.0.173: dist/index.js, uiMessageChunkSchema and processUIMessageStream",
    read=_read,
    applies=speaks("ai-sdk-ui"),
    follows="7.0.173",
    gathers=True,
)
