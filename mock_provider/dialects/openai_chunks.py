"""What OpenAI's two APIs with `choices` have in common: chunks with one id, the usage on request, `[DONE]`, errors."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect
from streamgauge.mock_provider.dialects.openai_request import error_body
from streamgauge.mock_provider.identity import created_s, hex_id
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.profiles import OPENAI, Profile
from streamgauge.mock_provider.stream import Item, Kind

UNFILTERED = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


class OpenAIChunks(Dialect):
    """The endings and the errors of both."""

    features = frozenset({"sse", "json", "object", "openai", "usage-chunk", "marker", "error", "vendor"})

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:
        """With a usage chunk only if `stream_options.include_usage` is set."""
        return (Kind.FINISH, Kind.USAGE, Kind.DONE) if chat.include_usage else (Kind.FINISH, Kind.DONE)

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """`{"error":{"message","type","param","code"}}`."""
        return error_body(status, message, param=param, code=code)


class Chunks(ABC):
    """The chunks of one response. Constant parts are rendered once, for speed; the same text gives the same bytes."""

    around: ClassVar[tuple[str, str]]  # a choice's text or delta, between its index and its finish reason
    empty: ClassVar[str]  # in place of a token where there is none

    def __init__(self, chat: ChatRequest, plan: Plan, opening: dict[str, Any]) -> None:
        self.profile = plan.profile or OPENAI
        self.reasoning = 0
        self._chat, self._finish, self._tokens = chat, plan.finish, 0
        before, after = self.around
        self._opening = f"data: {compact({**opening, 'choices': 0}).removesuffix('0}')}"
        self._prefix = f'{self._opening}[{{"index":0,{before}'
        self._reason = f'{after},"finish_reason":'
        filtered = f',"content_filter_results":{compact(UNFILTERED)}' if self.profile.content_filter else ""
        self._choice_suffix = f"{filtered}}}]"
        usage = ',"usage":null' if chat.include_usage and not self.profile.usage_on_finish else ""
        self._chunk_suffix = f"{usage}}}\n\n"
        self._suffix = f"{self._reason}null{self._choice_suffix}{self._chunk_suffix}"

    @abstractmethod
    def inside(self, item: Item) -> str:
        """A token as it stands in a choice."""

    def encode(self, item: Item) -> bytes:
        """One chunk, the marker, or nothing."""
        kind = item.kind
        if kind is Kind.TOKEN:
            self._tokens += item.size
            return f"{self._prefix}{self.inside(item)}{self._suffix}".encode()
        if kind is Kind.FINISH:
            return self.finish(None)
        if kind is Kind.USAGE:
            return b"" if self.profile.usage_on_finish else f'{self._opening}[],"usage":{self._usage()}}}\n\n'.encode()
        if kind is Kind.DONE:
            return b"data: [DONE]\n\n"
        return self.error(item.text or MESSAGE) if kind is Kind.ERROR else self.other(item)

    def count_cached(self, size: int) -> None:
        """See `fast_path.CacheableEncoder`."""
        self._tokens += size

    def finish(self, last: Item | None) -> bytes:
        """The chunk with the finish reason, which the last token may share."""
        inside = self.empty
        if last is not None:
            self._tokens += last.size
            inside = self.inside(last)
        usage = f',"usage":{self._usage()}}}\n\n' if self.profile.usage_on_finish else None
        return self.chunk(inside, self._finish, usage)

    def chunk(self, inside: str, finish: str | None = None, end: str | None = None) -> bytes:
        """Any chunk with a choice; `end` is what follows the choices, if it is not as usual."""
        suffix = self._chunk_suffix if end is None else end
        return f"{self._prefix}{inside}{self._reason}{json.dumps(finish)}{self._choice_suffix}{suffix}".encode()

    def error(self, message: str) -> bytes:
        """The event of an error in mid-stream."""
        error = compact({"message": message, "type": "server_error", "param": None, "code": None})
        return f'data: {{"error":{error}}}\n\n'.encode()

    def other(self, item: Item) -> bytes:
        """An item of any other kind: a comment."""
        return f": {item.text}\n\n".encode()

    def _usage(self) -> str:
        return compact(usage_of(self._chat, self.profile, self._tokens, self.reasoning))


def compact(value: Any) -> str:
    """JSON with the separators that OpenAI sends."""
    return json.dumps(value, separators=(",", ":"))


def opening_fields(chat: ChatRequest, plan: Plan, prefix: str, name: str) -> dict[str, Any]:
    """The fields before the choices, in OpenAI's order; `name` is the type of the object."""
    profile = plan.profile or OPENAI
    return {
        "id": f"{prefix}-{hex_id(plan.seed, plan.id)}",
        **({} if profile.provider is None else {"provider": profile.provider}),
        "object": name,
        "created": created_s(plan.seed, plan.id),
        "model": chat.model,
    }


def usage_of(chat: ChatRequest, profile: Profile, completion: int, reasoning: int) -> dict[str, Any]:
    """The object `usage`, of so many tokens of the answer, of which so many are reasoning."""
    prompt, cached = chat.prompt_tokens, chat.cached_tokens
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached or 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    if profile.cache_counts and cached is not None:
        usage |= {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached}
    return usage
