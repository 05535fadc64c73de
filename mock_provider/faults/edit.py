"""How event-level faults edit bytes: every token's, one token's, or the JSON payload in them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from mock_provider.faults.base import Arg, Events, Facts, middle
from mock_provider.stream import Event, Kind

_DATA_LINE = re.compile(rb"^data: (.*)$", re.MULTILINE)


def every_token(change: Callable[[bytes], bytes]) -> Events:
    """Applies `change` to the bytes of each token's event."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            yield event._replace(data=change(event.data)) if event.kind is Kind.TOKEN else event

    return events


def middle_token(change: Callable[[bytes], bytes]) -> Events:
    """Applies `change` to the bytes of the middle token's event."""

    def events(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
        struck = middle(facts.tokens)
        for event in source:
            yield event._replace(data=change(event.data)) if event.token == struck else event

    return events


def before_middle_token(make: Callable[[bytes], bytes]) -> Events:
    """Inserts an event, made from the middle token's bytes, before that token."""

    def events(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
        struck = middle(facts.tokens)
        for event in source:
            if event.token == struck:
                yield Event(Kind.COMMENT, event.step, make(event.data))
            yield event

    return events


def add_line(line: bytes) -> Callable[[bytes], bytes]:
    """Puts one more line before an event's blank line."""
    return lambda data: data[:-1] + line + b"\n\n"


def edit_payload(data: bytes, change: Callable[[Any], Any], *, ensure_ascii: bool = True) -> bytes:
    """Replaces the JSON payload of an event's data line; bytes without one stay as they are."""

    def replace(match: re.Match[bytes]) -> bytes:
        try:
            value = json.loads(match[1])
        except ValueError:  # [DONE], raw text
            return match[0]
        changed = json.dumps(change(value), ensure_ascii=ensure_ascii, separators=(",", ":"))
        return b"data: " + changed.encode("utf-8", "surrogateescape")

    return _DATA_LINE.sub(replace, data, count=1)
