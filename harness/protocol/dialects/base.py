"""A dialect: how an endpoint wraps generated text in events, and which request makes it stream."""

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


# A tuple and not a set: `in` compares by identity first, but the hash of an enum member is a call of a Python function.
TOKEN_KINDS: Final = (Kind.CONTENT, Kind.REASONING, Kind.TOOL)


class Delta(NamedTuple):
    """One piece of meaning in an event. `value` is the finish reason, the error object, the usage object, or for META
    the reason why the event could not be understood.

    A usage object has its counts under OpenAI's or Anthropic's names, whatever the vendor calls them; the part of the
    prompt that came from a cache may also be called `cached_tokens`. Counts of a later usage object replace those of an
    earlier one.
    """

    kind: Kind
    text: str = ""
    value: Any = None

    @property
    def is_token(self) -> bool:
        """Whether it is generated text, which makes its event a token event (docs/definitions.md#tokens)."""
        return self.text != "" and self.kind in TOKEN_KINDS


SO_FAR: Final = "so far"
"""The `value` of a token delta whose `text` is all text so far, for shapes that send it again with each event. The
reader makes it the new part (see `Dialect.so_far`).
"""


class Media(StrEnum):
    """The format by which a body is cut into events."""

    SSE = "text/event-stream"
    NDJSON = "application/x-ndjson"
    TEXT = "text/plain"
    ARRAY = "application/json"  # one JSON array that grows, as ASP.NET Core writes an IAsyncEnumerable


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
    """A dialect is one file in this package. It is stateless: a rule over several events reads their deltas."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def media(self) -> Media: ...
    @property
    def json_payload(self) -> bool:
        """Whether every data payload is JSON, apart from a sentinel such as [DONE]."""
        ...

    @property
    def verbatim(self) -> bool:
        """Whether the text of a token delta is one JSON string of the payload as it stands, and nothing else in the
        event depends on the value of that string (see protocol/frames.py).
        """
        ...

    @property
    def terminal(self) -> str | None:
        """The end marker as a person would write it; None for a dialect that ends with the body."""
        ...

    @property
    def marks_success(self) -> bool:
        """Whether the end marker says that the answer is whole; else a stream that failed ends with it, too."""
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
        """The path at which the vendor serves it, with `{model}` for the model; None without a fixed path."""
        ...

    @property
    def bare_errors(self) -> bool:
        """Whether the vendor writes an error as JSON on bare lines, outside of any event."""
        ...

    @property
    def places(self) -> re.Pattern[str] | None:
        """A pattern of URL paths at which only this dialect is spoken; None when the path does not tell."""
        ...

    @property
    def header(self) -> str | None:
        """A response header that only this dialect has; None without one."""
        ...

    @property
    def so_far(self) -> bool:
        """Whether deltas may be marked SO_FAR."""
        ...

    @property
    def separator(self) -> str | None:
        """What ends a record, where an event may have several: the reader makes an event of each. None: it is one."""
        ...

    @property
    def usual_path(self) -> str | None:
        """The path at which frameworks serve it by convention; None without one."""
        ...

    @property
    def also_lines(self) -> bool:
        """Whether the dialect also reads lines of JSON (NDJSON) when the body is not an event stream."""
        ...

    @property
    def model(self) -> str:
        """The model of a request that names none; empty where requests have no model."""
        ...

    @property
    def key_header(self) -> str:
        """The header that carries the API key; in Authorization the key is a bearer token."""
        ...

    def deltas_in(self, event: Event) -> list[Delta]:
        """The deltas in one event; an event that cannot be understood is one META delta with the reason as value."""
        ...

    def owes_marker(self, token: Event) -> bool:
        """Whether a server that writes this token event owes the end marker. The shapes that applications invent are
        written with and without one.
        """
        ...

    def texts(self, data: list[str]) -> list[str] | None:
        """The fast path of `deltas_in` for the data of many unnamed events. Law: `deltas_in` would give each event one
        CONTENT delta with exactly this text; or None (held by the fuzz target `dialect_readers`, and by
        test_reader.py: test_a_body_read_at_once_equals_one_read_piece_by_piece).
        """
        ...

    def sniff(self, event: Event) -> str | None:
        """What this event shows of the dialect, as the plural of a noun; None when it shows nothing of it. An error, a
        heartbeat or an end marker that other dialects share shows nothing.
        """
        ...

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        """The smallest request that starts a stream."""
        ...


class Defaults:
    """The properties of most dialects: no path of their own, and no fast path for many events."""

    verbatim = False
    marks_success = True
    vendor: str | None = None
    api = ""
    path: str | None = None
    places: re.Pattern[str] | None = None
    header: str | None = None
    bare_errors = False
    also_lines = False
    so_far = False
    separator: str | None = None
    usual_path: str | None = None
    model = ""
    key_header = AUTHORIZATION

    def owes_marker(self, token: Event) -> bool:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.owes_marker`."""
        return True

    def texts(self, data: list[str]) -> list[str] | None:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.texts`."""
        return None
