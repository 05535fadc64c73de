"""`chat.completions.stream()` of the OpenAI SDK for Node. Read in npm openai 7.57.0, lib/ChatCompletionStream.mjs.

It adds the chunks up to one completion, which finalChatCompletion() gives. That needs the index of each choice and tool
call, the type of each call, and of each choice a role and a finish_reason: without one of them it rejects.
"""

from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.clients import javascript as js
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, EmulatedError, Message

_MOST: Final = 128  # choices of a completion, and tool calls of a choice


class ChatCompletionStream:
    """The choices so far, by index."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._begun = False

    def add(self, chunk: Any) -> None:
        choices = js.items(js.member(chunk, "choices"), "chunk.choices")
        self._begun = True
        for choice in choices:
            at = js.index(js.member(choice, "index"), _MOST)
            if at is None:
                told = "Chat completion stream contains an invalid choice index"
                raise EmulatedError(f"OpenAIError: {told}: {js.member_text(choice, 'index')}")
            self._choices.setdefault(at, _Choice(at)).add(choice)

    def final(self) -> Iterator[Message]:
        if not self._begun:
            raise EmulatedError("OpenAIError: request ended without sending any chunks")
        for choice in self._choices.values():
            yield from choice.final()


class _Choice:
    def __init__(self, index: int) -> None:
        self._index = index
        self._reason: Any = None
        self._role: Any = None
        self._text = self._refusal = ""
        self._calls: dict[int, dict[str, Any]] = {}
        self._current: int | None = None

    def add(self, choice: Any) -> None:
        self._reason = js.member(choice, "finish_reason") or self._reason
        delta = js.member(choice, "delta")
        added = self._delta(delta) if delta else []
        if self._reason and self._current is not None:
            self._done(self._current)
        for index in added:
            if self._current not in (None, index):
                self._done(self._current)
            self._current = index
        for index in added:
            if self._calls[index].get("type") == "function":
                js.member(self._calls[index].get("function"), "arguments")

    def _delta(self, delta: Any) -> list[int]:
        """The indices of the tool calls that the delta adds to."""
        self._role = js.member(delta, "role") or self._role
        if refusal := js.member(delta, "refusal"):
            self._refusal += js.text(refusal)
        if (content := js.member(delta, "content")) is not None:
            self._text += js.text(content)
        calls = js.member(delta, "tool_calls")
        return [self._call(call) for call in (js.items(calls, "tool_calls") if calls else ())]

    def _call(self, call: Any) -> int:
        index = js.index(js.member(call, "index"), _MOST)
        if index is None:
            told = "Chat completion stream contains an invalid tool call index"
            raise EmulatedError(f"OpenAIError: {told}: {js.member_text(call, 'index')}")
        made = self._calls.setdefault(index, {})
        made["type"] = js.member(call, "type") or made.get("type")
        if function := js.member(call, "function"):
            name, arguments = js.member(function, "name"), js.member(function, "arguments")
            of_call = made.setdefault("function", {"name": name if name is not None else "", "arguments": ""})
            of_call["name"] = name or of_call["name"]
            of_call["arguments"] += "" if arguments is None else js.text(arguments)
        return index

    def _done(self, index: int | None) -> None:
        call = self._calls[index] if index is not None else {}
        if not call.get("type"):
            raise EmulatedError("Error: tool call snapshot missing `type`")
        if call["type"] == "function":
            js.member(call.get("function"), "arguments")

    def final(self) -> Iterator[Message]:
        place = f"choices[{self._index}]"
        if not self._reason:
            raise EmulatedError(f"OpenAIError: missing finish_reason for choice {self._index}")
        if not self._role:
            raise EmulatedError(f"OpenAIError: missing role for choice {self._index}")
        if self._index == 0 and self._role != "assistant":
            raise EmulatedError("OpenAIError: stream ended without producing a message with role=assistant")
        yield Message(self._text + self._refusal, TEXT)
        for index, call in sorted(self._calls.items()):
            if call.get("type") is None:
                raise EmulatedError(f"OpenAIError: missing {place}.tool_calls[{index}].type")
            if call.get("function") is None and call["type"] != "custom":
                raise EmulatedError(f"OpenAIError: missing {place}.tool_calls[{index}].function.name")
            yield Message((call.get("function") or {}).get("arguments", ""), ARGUMENTS)
        if self._index == 0 and self._calls and max(self._calls) >= len(self._calls):
            js.member(None, "type")  # a number is left out
