"""The format of a response body: an event stream, lines of JSON or plain text, by its label and its first bytes.

The label may be wrong and the body right. So the first bytes decide where they can; a check reports the wrong label.
"""

from enum import Enum
from typing import Final

from streamgauge.protocol.array_cutter import first_item
from streamgauge.protocol.dialects.base import NDJSON_TYPES, SSE_TYPE, Dialect, Media
from streamgauge.protocol.dialects.choice import specific
from streamgauge.protocol.dialects.payload import object_of
from streamgauge.protocol.eventstream import BOM, Event
from streamgauge.wire import Head, succeeds

_MOST_FIRST_LINE: Final = 16 * 1024  # bytes to wait for the first line end of a body that begins with {
_SSE_STARTS: Final = tuple(bom + name for bom in (b"", BOM) for name in (b"data:", b"event:", b"id:", b"retry:", b":"))


class NoStream(Enum):
    """Why there is no format."""

    UNDECIDED = "more bytes are needed"
    NOT_A_STREAM = "the body is not a stream"


def format_of(head: Head, first: bytes, named: Dialect | None, *, final: bool) -> Media | NoStream:
    """How to cut a body that begins with `first`, leading line ends removed.

    `named` is the dialect that is already known, `final` says that no more bytes will come.
    """
    media = head.media_type
    if not succeeds(head.status):
        return NoStream.NOT_A_STREAM
    if named is not None and named.media is Media.TEXT:
        return Media.TEXT
    if named is not None and named.media is Media.NDJSON:
        # A body that starts like SSE is accepted although NDJSON was requested: a check reports the mismatch.
        lines = media in NDJSON_TYPES or first.startswith((b"{", *_SSE_STARTS))
        return Media.NDJSON if lines else NoStream.NOT_A_STREAM
    if media == SSE_TYPE or first.startswith(_SSE_STARTS):
        return Media.SSE
    if first.startswith(b"["):
        return _array_format(head, first, named, final=final)
    any_format = named is None or named.also_lines
    lines = any_format and _is_lines(first, media, described=named is not None)
    if not final and not (lines and b"\n" in first) and _may_become_a_stream(head, first, any_format=any_format):
        return NoStream.UNDECIDED
    if lines:
        return Media.NDJSON
    if named is None and (media == "text/plain" or media in NDJSON_TYPES):
        return Media.TEXT
    return NoStream.NOT_A_STREAM


def _array_format(head: Head, first: bytes, named: Dialect | None, *, final: bool) -> Media | NoStream:
    """A JSON array is a stream where its items are tokens: texts, or objects of a shape that some dialect has.

    A list of known length is an ordinary answer, unless its shape is that of tokens. Of a vendor's dialect the items
    must have the shape: as the whole run reads, so must each stream of it read.
    """
    item = first_item(first)
    if item is None:
        more = not final and len(first) <= _MOST_FIRST_LINE
        return NoStream.UNDECIDED if more else NoStream.NOT_A_STREAM
    text = item.decode("utf-8", "replace")
    grows = head.get("content-length") is None
    event = Event("message", text, "", 0, len(item), 0)
    if named is not None and named.vendor is not None:
        return Media.ARRAY if named.sniff(event) is not None else NoStream.NOT_A_STREAM
    if specific(event, Media.SSE) is not None:
        return Media.ARRAY if grows or text.startswith("{") else NoStream.NOT_A_STREAM
    return Media.ARRAY if named is not None and grows else NoStream.NOT_A_STREAM


def _may_become_a_stream(head: Head, first: bytes, *, any_format: bool) -> bool:
    if any_format and first.startswith(b"{"):
        line, end, behind = first.partition(b"\n")
        # One object on a line of its own may be a whole answer, or the first of many lines: what follows tells.
        alone = not behind.strip() and head.get("content-length") is None
        return len(first) <= _MOST_FIRST_LINE and (not end or (alone and _is_object(line)))
    return any(start.startswith(first) for start in _SSE_STARTS)


def _is_lines(first: bytes, media: str | None, *, described: bool) -> bool:
    """Whether a body is lines of JSON: by its label, or by its first line.

    A whole object may also be an ordinary JSON answer. So without the label, its shape must be that of a dialect, or
    the user has `described` the lines, or the label says text, or a second object follows.
    """
    line, end, behind = first[:_MOST_FIRST_LINE].partition(b"\n")
    if not line.startswith(b"{"):
        return False
    if media in NDJSON_TYPES:
        return True
    if not end or not _is_object(line):
        return False
    text = line.decode("utf-8", "replace")
    known = specific(Event("line", text, "", 0, len(line), 0), Media.NDJSON) is not None
    return known or described or media == "text/plain" or behind.lstrip().startswith(b"{")


def _is_object(line: bytes) -> bool:
    return object_of(line.decode("utf-8", "replace")) is not None
