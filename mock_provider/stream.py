"""The values a stream is made of, from meaning to bytes to actions on the socket.

    items (what is said) -> events (its bytes) -> actions (what is written when, or closed, or paused)

Each arrow is an iterator, because an endless stream never ends, and a fault is one more iterator in the chain.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

# The step of everything that precedes the first token: due at once, and never held by lockstep.
BEFORE_FIRST = -1


class Kind(Enum):
    """What a piece of the stream is."""

    HEAD = "head"  # status line and header fields
    PRELUDE = "prelude"  # what a dialect says before its start (Azure's filter results)
    START = "start"  # what a dialect says before the first token (OpenAI's role chunk)
    OPEN = "open"  # a part begins (a tool call's id and name)
    TOKEN = "token"  # of whatever part
    CLOSE = "close"  # a part has ended
    FINISH = "finish"
    USAGE = "usage"
    DONE = "done"  # the success marker
    ERROR = "error"
    COMMENT = "comment"
    END = "end"  # the last chunk of the body


class PartKind(Enum):
    """What a run of tokens is."""

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
    id: str = ""  # of a tool call: hex digits, to which a dialect adds its prefix
    name: str = ""  # of the tool


TEXT = Part(PartKind.TEXT)


class Item(NamedTuple):
    """One thing said; `step` tells when (see `timing`), `token` is the token's index."""

    kind: Kind
    step: int
    text: str = ""
    token: int | None = None
    part: Part = TEXT  # of OPEN, TOKEN and CLOSE
    size: int = 1  # tokens in it, `token` being the last of them


class Event(NamedTuple):
    """The bytes of one item, or, once a fault has cut or held them, of some piece of the body.

    `token` is the index of the last token these bytes complete.
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
    """Say nothing for `duration_ns`, None being for ever; what follows is delayed by as much.

    `quiet` silences the dialect's own heartbeats as well. A negative duration takes an earlier delay back.
    """

    duration_ns: int | None
    quiet: bool = False


class Close(NamedTuple):
    """End the connection: with a FIN, or with an RST that drops what is in flight."""

    reset: bool
    kind: str = "fault"  # or "complete", where closing is how the body ends


Action = Write | Pause | Close


class Framing(Enum):
    """How the body's end is marked."""

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
