"""Edits that event-level faults share: of every token's bytes, of one token's, or of the JSON payload."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from streamgauge.mock_provider.faults.base import Arg, Events, Facts, middle
from streamgauge.mock_provider.stream import Event, Item, Kind

Piece = TypeVar("Piece", Item, Event)

_PAYLOAD_LINE = re.compile(rb"^(data: |(?=\{))(.*)$", re.MULTILINE)


def every_token(change: Callable[[bytes], bytes]) -> Events:
    """Applies `change` to each event that completes a token, which may also be a finish chunk or a whole tool call."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            is_token = event.kind is Kind.TOKEN or (event.token is not None and event.kind is not Kind.ERROR)
            yield event._replace(data=change(event.data)) if is_token else event

    return events


def with_struck(source: Iterator[Piece], struck: int) -> Iterator[tuple[Piece, bool]]:
    """Each piece, and whether it is the first that completes token `struck`; it may complete others as well."""
    found = False
    for piece in source:
        strikes = not found and piece.token is not None and piece.token >= struck
        found = found or strikes
        yield piece, strikes


def is_comment(event: Event) -> bool:
    """Whether a reader of the stream gets no event from it: it is a comment, or empty."""
    return not event.data or event.data.startswith(b":")


def first_event(change: Callable[[bytes], bytes]) -> Events:
    """Applies `change` to the bytes of the first event; comments are skipped."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            if is_comment(event):
                yield event
                continue
            yield event._replace(data=change(event.data))
            break
        yield from source

    return events


def middle_token(change: Callable[[bytes], bytes]) -> Events:
    """Applies `change` to the bytes of the middle token's event."""

    def events(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
        for event, strikes in with_struck(source, middle(facts.tokens)):
            yield event._replace(data=change(event.data)) if strikes else event

    return events


def before_middle_token(make: Callable[[bytes], bytes]) -> Events:
    """Inserts an event before the middle token, made from that token's bytes."""

    def events(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
        for event, strikes in with_struck(source, middle(facts.tokens)):
            if strikes:
                yield Event(Kind.COMMENT, event.step, make(event.data))
            yield event

    return events


def add_line(line: bytes) -> Callable[[bytes], bytes]:
    """Adds a line at the end of an event, before its blank line."""
    return lambda data: data[:-1] + line + b"\n\n"


def edit_payload(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """Replaces the JSON payload of each data line, and of each line of NDJSON; other bytes stay as they are."""

    def replace(match: re.Match[bytes]) -> bytes:
        try:
            value = json.loads(match[2])
        except ValueError:  # [DONE], raw text
            return match[0]
        changed = json.dumps(change(value), separators=(",", ":"))
        return match[1] + changed.encode()

    return _PAYLOAD_LINE.sub(replace, data)
