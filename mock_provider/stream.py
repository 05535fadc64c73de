"""The values that a stream passes through, from meaning to bytes to actions on the socket.

    items (tokens, finish, usage) -> events (their bytes) -> actions (write, pause, close, each with its time)

Each arrow is an iterator, because an endless stream cannot be a list. A fault is one more iterator in the chain.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

# The step of everything before the first token: it is due at once, and lockstep never holds it.
BEFORE_FIRST = -1


class Kind(Enum):
    """The kind of one piece of the stream."""

    HEAD = "head"  # status line and header fields
    PRELUDE = "prelude"  # before the start (Azure's filter results)
    START = "start"  # before the first token (OpenAI's role chunk)
    OPEN = "open"  # a part begins (a tool call's id and name)
    TOKEN = "token"  # of any part
    CLOSE = "close"  # a part has ended
    FINISH = "finish"
    USAGE = "usage"
    DONE = "done"  # the success marker
    ERROR = "error"
    COMMENT = "comment"
    END = "end"  # the last chunk of the body


class PartKind(Enum):
    """The kind of a run of tokens."""

    REASONING = "reasoning"
    TEXT = "text"
    REFUSAL = "refusal"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of tokens of one kind; of a tool call the tokens are pieces of its JSON arguments."""

    kind: PartKind
    index: int = 0  # among the parts of the answer
    call: int = 0  # among its tool calls
    id: str = ""  # of a tool call: hex digits; a dialect adds its vendor's prefix
    name: str = ""  # of the tool


TEXT = Part(PartKind.TEXT)


class Item(NamedTuple):
    """One token or marker; `step` decides when it is due (see `timing`), `token` is the token's index."""

    kind: Kind
    step: int
    text: str = ""
    token: int | None = None
    part: Part = TEXT  # of OPEN, TOKEN and CLOSE
    size: int = 1  # number of tokens in it; `token` is the index of the last


class Event(NamedTuple):
    """The bytes of one item; after a fault has cut or held them back, any piece of the body.

    `token` is the index of the last token that these bytes complete.
    """

    kind: Kind
    step: int
    data: bytes
    token: int | None = None


class Write(NamedTuple):
    """Hand `data` to the socket in one call when `step` is due."""

    kind: Kind
    step: int
    data: bytes
    token: int | None = None


class Pause(NamedTuple):
    """Write nothing for `duration_ns` (None: for ever), and delay all later steps by as much.

    `quiet` stops the dialect's heartbeats as well. A negative duration undoes the delay of an earlier pause.
    """

    duration_ns: int | None
    quiet: bool = False


class Close(NamedTuple):
    """End the connection: with a FIN, or with an RST that drops what is in flight."""

    reset: bool
    kind: str = "fault"  # "complete" where the body ends with the connection


Action = Write | Pause | Close


class Framing(Enum):
    """How a client finds the end of the body (RFC 9112 section 6)."""

    CHUNKED = "chunked"
    CLOSE = "close"
    LENGTH = "length"


@dataclass(slots=True)
class Head:
    """A response head before it is written; `headers` keeps order and duplicates."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    framing: Framing = Framing.CHUNKED

    def replace(self, name: str, value: str | None) -> None:
        """Drop every field called `name`, then add it with `value` unless that is None."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))
