"""What a dialect is: how an endpoint wraps generated text in events, and how it is asked for a stream."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from streamgauge.protocol.eventstream import Event


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


# A tuple: it compares by identity first, where an enum's hash is a function of Python's.
TOKEN_KINDS: Final = (Kind.CONTENT, Kind.REASONING, Kind.TOOL)


class Delta(NamedTuple):
    """One meaning found in one event. `value` is the finish reason, the error object, or the usage object.

    A usage object has its counts under OpenAI's or Anthropic's names, whatever the vendor calls them; a later one
    adds to and replaces what earlier ones said.
    """

    kind: Kind
    text: str = ""
    value: Any = None

    @property
    def is_token(self) -> bool:
        """Generated text that a user could see: a token event (docs/definitions.md#tokens)."""
        return self.text != "" and self.kind in TOKEN_KINDS


class Media(StrEnum):
    """How the body is cut into events."""

    SSE = "text/event-stream"
    NDJSON = "application/x-ndjson"
    TEXT = "text/plain"


SSE_TYPE: Final = "text/event-stream"
NDJSON_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


class RequestTemplate(NamedTuple):
    """A request for a stream: method, JSON body (None for GET), query parameters and headers to add."""

    method: str
    body: dict[str, Any] | None
    query: dict[str, str]
    headers: Mapping[str, str] = MappingProxyType({})


AUTHORIZATION: Final = "Authorization"


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

    @property
    def vendor(self) -> str | None:
        """The vendor, whose name a profile may have; None for shapes that application code invents."""
        ...

    @property
    def api(self) -> str:
        """The vendor's API in words, the title of the checks that are called after the dialect; empty without any."""
        ...

    @property
    def path(self) -> str | None:
        """Where the vendor serves it, with `{model}` for the model's name; None for shapes that may be anywhere."""
        ...

    @property
    def bare_errors(self) -> bool:
        """The vendor writes an error as JSON on bare lines, outside of any event."""
        ...

    @property
    def places(self) -> re.Pattern[str] | None:
        """Finds in a URL's path that this dialect, and no other, is spoken there."""
        ...

    @property
    def model(self) -> str:
        """A model to ask for when none is named; empty where nobody asks."""
        ...

    @property
    def key_header(self) -> str:
        """The header that carries an API key; as a bearer token when it is Authorization."""
        ...

    def deltas_in(self, event: Event) -> list[Delta]:
        """The deltas in one event; an event that cannot be understood is one META delta with the reason as value."""
        ...

    def texts(self, data: list[str]) -> list[str] | None:
        """For events whose only delta is CONTENT with some text: their texts, read together. None if one is not so."""
        ...

    def sniff(self, event: Event) -> str | None:
        """Why this first event looks like this dialect, or None when it does not."""
        ...

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        """The smallest request that starts a stream."""
        ...


class Defaults:
    """What most dialects have in common: no address of their own, and no faster way than one event after the other."""

    vendor: str | None = None
    api = ""
    path: str | None = None
    places: re.Pattern[str] | None = None
    bare_errors = False
    model = ""
    key_header = AUTHORIZATION

    def texts(self, data: list[str]) -> list[str] | None:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.texts`."""
        return None
