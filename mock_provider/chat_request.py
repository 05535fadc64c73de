"""What a client asks of a dialect: the request for an answer, or the reason why there is none."""

from dataclasses import dataclass, replace
from typing import Literal

from streamgauge.mock_provider.answer import Tool
from streamgauge.mock_provider.text import count_tokens

# "malformed": the body is not JSON. "invalid": JSON with missing or wrong fields.
RefusalKind = Literal["malformed", "invalid", "media-type", "auth"]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A parsed request; the fields are the same for every dialect."""

    prompt: str
    stream: bool = True
    model: str = "mock-1"
    max_tokens: int | None = None
    include_usage: bool = False
    tools: tuple[Tool, ...] = ()  # the tools that the answer may call, in the order in which it calls them
    calls: int | None = None  # tool calls if no directive sets a number; 0: never any; None: the server's default
    stop: tuple[str, ...] = ()  # the answer ends before the first of these texts

    conversation_tokens: int | None = None  # with a prefix cache: tokens of the whole conversation
    cached_tokens: int | None = None  # those that the cache had; None: there is no cache

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, as the usage counts them: of the newest message, unless a cache is modelled."""
        return count_tokens(self.prompt) if self.conversation_tokens is None else self.conversation_tokens

    @property
    def read_tokens(self) -> int:
        """Tokens of the prompt that the model must read."""
        if self.conversation_tokens is None:
            return count_tokens(self.prompt)
        return self.conversation_tokens - (self.cached_tokens or 0)

    def found_in_cache(self, conversation: int, cached: int) -> "ChatRequest":
        """The same request where the prefix cache had `cached` of the tokens of its conversation."""
        return replace(self, conversation_tokens=conversation, cached_tokens=cached)


class Refusal(Exception):  # noqa: N818 (an answer, not a mishap)
    """The request gets this error in place of an answer; `kind` lets a server-wide fault skip one sort of check."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: RefusalKind = "invalid",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
