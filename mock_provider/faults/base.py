"""A fault is a name, a sentence, the checks that it trips, and hooks at the level where it acts."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, NamedTuple, Protocol

from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.faults.server_hook import ServerHook
from streamgauge.mock_provider.stream import Action, Event, Head, Item

Level = Literal["text", "event", "timing", "http", "tcp", "security"]
Takes = Literal["", "count", "duration", "duration@count", "status", "bytes", "type"]


@dataclass(frozen=True, slots=True)
class Arg:
    """The values after the colon and the @ of a fault; None where there is none."""

    count: int | None = None
    duration_ns: int | None = None
    word: str | None = None
    percent: float | None = None  # share of the streams that it strikes; None: all


class Facts(Protocol):
    """The facts about a stream that a hook may use."""

    @property
    def tokens(self) -> int | None:
        """Tokens planned; None for an endless stream."""

    @property
    def accepts_gzip(self) -> bool:
        """Whether the client offered gzip."""

    @property
    def accept(self) -> str | None:
        """The request's Accept field."""

    @property
    def origin(self) -> str | None:
        """The request's Origin field."""

    @property
    def last_event_id(self) -> str | None:
        """The request's Last-Event-ID field."""

    @property
    def user(self) -> str:
        """The API key of the request, empty if there is none."""

    def encode(self, item: Item) -> bytes:
        """The dialect's bytes for an item that a fault invents."""

    def error_reply(self, status: int, message: str, *, code: str | None = None) -> tuple[str, bytes]:
        """Content type and body of the dialect's error before a stream."""


class Answer(NamedTuple):
    """A whole response in place of the stream."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


Items = Callable[[Iterator[Item], Arg, Facts], Iterator[Item]]
Events = Callable[[Iterator[Event], Arg, Facts], Iterator[Event]]
Actions = Callable[[Iterator[Action], Arg, Facts], Iterator[Action]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A defect; the hooks of a stream are applied in the order items, events, line, body, head, wire.

    `needs` are the features of the dialect or the request without which the fault is impossible. `text` is the kind of
    token text that shows it. `trips` are the checks that must fail or warn; without any, the fault is legal, or no
    check sees it.
    """

    name: str
    sentence: str
    level: Level
    trips: tuple[str, ...] = ()
    streams: bool = True  # False: instead of any stream, so what judges streams has nothing to judge
    needs: frozenset[str] = frozenset({"stream"})
    takes: Takes = ""
    text: str | None = None
    items: Items | None = None
    events: Events | None = None
    line: Callable[[bytes], bytes] | None = None  # rewrites the bytes of each event, heartbeats included
    body: Events | None = None  # cuts, holds or codes the bytes, blind to events
    head: Callable[[Head, Arg, Facts], None] | None = None
    wire: Actions | None = None
    answer: Callable[[Arg, Facts], Answer | None] | None = None  # None: the stream is not replaced
    answered: Callable[[Answer], Answer] | None = None  # rewrites a response that replaces the stream
    resumes: bool = False  # a request with Last-Event-ID starts no new generation
    server: Callable[[Arg], ServerHook] | None = None  # a fresh hook for each server

    @property
    def server_wide(self) -> bool:
        """Whether only a flag can switch it on, not a directive."""
        return self.server is not None

    @property
    def usage(self) -> str:
        """How the fault is written in a flag or a directive."""
        if self.takes == "duration@count":
            return f"{self.name}[:DURATION][@COUNT]"
        return f"{self.name}[:{self.takes.upper()}]" if self.takes else self.name


class ActiveFault(NamedTuple):
    """A fault with its argument."""

    fault: Fault
    arg: Arg


# A rate ends with a percent sign, which no position does: `stall:2s@4@10%`.
_RATE = re.compile(r"(?P<spec>.+)@(?P<percent>\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)
_SPEC = re.compile(r"(?P<name>[a-z0-9-]+)(?::(?P<value>[^@]+))?(?:@(?P<count>.+))?", re.ASCII)
MOST_TOKENS = 1_000_000


def parse_spec(spec: str, faults: dict[str, Fault]) -> ActiveFault:
    """Reads `name`, `name:value`, `name:value@count` or `name@count`, each also with `@P%`; ValueError explains."""
    rate = _RATE.fullmatch(spec)
    if rate is None:
        return _parse_whole(spec, faults)
    fault, arg = _parse_whole(rate["spec"], faults)
    percent = float(rate["percent"])
    if percent > 100:
        raise ValueError(f"{fault.name}: expected a rate of 0% to 100%, got {rate['percent']}%")
    if fault.server_wide:
        raise ValueError(f"{fault.name} acts before there is a stream, so it takes no rate")
    return ActiveFault(fault, replace(arg, percent=percent))


def _parse_whole(spec: str, faults: dict[str, Fault]) -> ActiveFault:
    match = _SPEC.fullmatch(spec)
    if match is None or match["name"] not in faults:
        raise ValueError(_unknown(spec, faults))
    fault, value, count = faults[match["name"]], match["value"], match["count"]
    if count is not None and fault.takes != "duration@count":
        raise ValueError(f"{fault.name} takes no @; it is written {fault.usage}")
    arg = Arg(count=_count(count, fault) if count is not None else None)
    if value is None:
        return ActiveFault(fault, arg)
    match fault.takes:
        case "duration" | "duration@count":
            return ActiveFault(fault, replace(arg, duration_ns=parse_duration(value)))
        case "count":
            return ActiveFault(fault, replace(arg, count=_count(value, fault)))
        case "bytes":
            size = _count(value, fault)
            if size == 0:
                raise ValueError(f"{fault.name}: expected at least 1 byte")
            return ActiveFault(fault, replace(arg, count=size))
        case "status":
            if not re.fullmatch(r"[45]\d\d", value, re.ASCII):
                raise ValueError(f"{fault.name}: expected an error status of 400 to 599, got {value!r}")
            return ActiveFault(fault, replace(arg, count=int(value)))
        case "type":
            # The value goes into a header field, so it must not contain anything that ends the field.
            if not re.fullmatch(r"[\w.+*/;=-]+", value, re.ASCII):
                raise ValueError(f"{fault.name}: expected a media type such as text/plain, got {value!r}")
            return ActiveFault(fault, replace(arg, word=value))
        case "":
            raise ValueError(f"{fault.name} takes no argument, got {value!r}")


def _unknown(spec: str, faults: dict[str, Fault]) -> str:
    similar = get_close_matches(re.split("[:@]", spec)[0], faults)
    hint = f"did you mean {' or '.join(similar)}? " if similar else ""
    return f"unknown fault {spec[:80]!r}; {hint}expected a name from `mock --list-faults` or GET /_mock/faults"


def _count(text: str, fault: Fault) -> int:
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) > MOST_TOKENS:
        raise ValueError(f"{fault.name}: expected a whole number of 0 to {MOST_TOKENS}, got {text!r}")
    return int(text)


def middle(tokens: int | None) -> int:
    """The token that a fault in the middle strikes: the first of the second half; of an endless stream, the fourth."""
    return 3 if tokens is None else tokens // 2


def strike(arg: Arg, facts: Facts) -> int:
    """How many tokens precede the fault: the count in its spec, at most all tokens; without a count, half."""
    if arg.count is None:
        return middle(facts.tokens)
    return arg.count if facts.tokens is None else min(arg.count, facts.tokens)
