"""What OpenAI's two APIs with `choices` have in common: objects with an error or usage beside them, then [DONE]."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import msgspec

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import DONE
from streamgauge.protocol.dialects.payload import text_in
from streamgauge.protocol.eventstream import Event

_REASONING_KEYS = (
    "reasoning_content",
    "reasoning",
)  # DeepSeek and older vLLM; OpenRouter, Ollama and newer vLLM
# OpenRouter and LiteLLM send the same thought as a list of parts, beside such a text or instead of it.
_REASONING_PARTS = ("reasoning_details", "thinking_blocks")
_PART_TEXTS = ("text", "summary", "thinking")


class Thoughtless(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A delta or a choice in which `reasoning_in` finds nothing. msgspec refuses all others."""

    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: tuple[()] | None = None
    thinking_blocks: tuple[()] | None = None


class OpenAIChunks(Defaults, ABC):
    """A dialect says where its text is: by the rule (`read_choice`), and once more for plain chunks (`plain_text`,
    `plain_texts`). Nearly every chunk is plain: one choice with text, and no other field with a meaning here.
    """

    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = f"data: {DONE}"
    vendor = "openai"

    text_mark: ClassVar[str]
    """The name of the member that holds the text of a plain chunk, in quotes."""

    @abstractmethod
    def plain_text(self, data: str) -> str:
        """The text of a plain chunk. Raises msgspec.DecodeError on any other payload."""

    @abstractmethod
    def plain_texts(self, array: str) -> list[str]:
        """The texts of a JSON array of plain chunks. Raises msgspec.DecodeError on any other payload."""

    @abstractmethod
    def read_choice(self, choice: dict[str, Any]) -> list[Delta]:
        """The tokens in a choice."""

    @abstractmethod
    def prompted(self, prompt: str) -> dict[str, Any]:
        """The member of a request that holds the prompt."""

    def deltas_in(self, event: Event) -> list[Delta]:
        data = event.data
        if data == DONE:
            return [Delta(Kind.DONE)]
        if self.text_mark in data and f"{self.text_mark}:null" not in data:
            try:
                text = self.plain_text(data)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                text = ""
            if text:
                return [Delta(Kind.CONTENT, text)]
        return self.read_any(data)

    def texts(self, data: list[str]) -> list[str] | None:
        joined = ",".join(data)
        # Joined by commas, two halves of one object could decode as one. So there must be a `},{` between all of them.
        if joined.count("},{") != len(data) - 1 or "\n" in joined:
            return None
        try:
            texts = self.plain_texts(f"[{joined}]")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        return texts if len(texts) == len(data) and all(texts) else None

    def read_any(self, data: str) -> list[Delta]:
        """The rule: the deltas of any chunk. For a plain chunk `deltas_in` gives the same in a fourth of the time
        (test_dialects.py compares the two).
        """
        try:
            payload = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return [Delta(Kind.META, value=f"not JSON: {error}")]
        if not isinstance(payload, dict):
            return [Delta(Kind.META, value="not a JSON object")]
        if payload.get("error"):
            return [Delta(Kind.ERROR, value=payload["error"])]
        deltas: list[Delta] = []
        choices = payload.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                deltas += self.read_choice(choice)
                if choice.get("finish_reason"):
                    deltas.append(Delta(Kind.FINISH, value=str(choice["finish_reason"])))
        if isinstance(payload.get("usage"), dict):
            deltas.append(Delta(Kind.USAGE, value=payload["usage"]))
        return deltas or [Delta(Kind.META)]

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        body: dict[str, Any] = {
            "model": model,
            **self.prompted(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return RequestTemplate("POST", body, {})


def reasoning_in(delta: dict[str, Any]) -> str:
    """The thought in a delta or a choice, which some servers send twice, as a text and as parts; empty without one."""
    for key in _REASONING_KEYS:
        if isinstance(delta.get(key), str) and delta[key]:
            return str(delta[key])
    for key in _REASONING_PARTS:
        parts = delta.get(key)
        text = "".join(map(_thought_in, parts)) if isinstance(parts, list) else ""
        if text:
            return text
    return ""


def _thought_in(part: Any) -> str:
    return next((text for name in _PART_TEXTS if (text := text_in(part, name))), "")
