"""What a dialect is: how an endpoint wraps generated text in events, and how it is asked for a stream."""

from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from harness.eventstream import Event


class Kind(StrEnum):
    """What a delta carries. Only content, reasoning and tool with non-empty text are tokens."""

    CONTENT = "content"
    REASONING = "reasoning"
    TOOL = "tool"
    META = "meta"
    PING = "ping"
    FINISH = "finish"
    USAGE = "usage"
    DONE = "done"
    ERROR = "error"


class Delta(NamedTuple):
    """One meaning found in one event. `value` is the finish reason, the usage object or the error object."""

    kind: Kind
    text: str = ""
    value: Any = None

    @property
    def is_token(self) -> bool:
        """Generated text that a user could see: the design's definition of a token event."""
        kind = self.kind
        # By identity: an enum's hash is a function of Python's.
        return self.text != "" and (kind is Kind.CONTENT or kind is Kind.REASONING or kind is Kind.TOOL)


class Media(StrEnum):
    """How the body is cut into events."""

    SSE = "text/event-stream"
    TEXT = "text/plain"


class Ask(NamedTuple):
    """A request for a stream: method, JSON body (None for GET) and query parameters to add."""

    method: str
    body: dict[str, Any] | None
    query: dict[str, str]


class Dialect(Protocol):
    """One file in this package each. Stateless: a reader that needs memory finds it in the deltas."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def media(self) -> Media: ...
    @property
    def json_payload(self) -> bool:
        """Every data payload is JSON (a sentinel apart)."""
        ...

    @property
    def terminal(self) -> str | None:
        """The end marker as people would write it, or None when the dialect ends at the end of the body."""
        ...

    def read(self, event: Event) -> list[Delta]:
        """The deltas in one event; an event that cannot be understood is one META delta with the reason as value."""
        ...

    def texts(self, data: list[str]) -> list[str] | None:
        """For events whose only delta is CONTENT with some text: their texts, read together. None if one is not so."""
        ...

    def sniff(self, event: Event) -> str | None:
        """Why this first event looks like this dialect, or None when it does not."""
        ...

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> Ask:
        """The smallest request that starts a stream."""
        ...


class OneByOne:
    """For dialects that have no faster way to read many events than one after the other."""

    def texts(self, data: list[str]) -> list[str] | None:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.texts`."""
        return None
