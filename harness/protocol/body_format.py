"""The format of a response body: an event stream, lines of JSON or plain text, by its label and its first bytes.

The label may be wrong and the body right. So the first bytes decide where they can; a check reports the wrong label.
"""

from typing import Final, NamedTuple

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import NDJSON_TYPES, SSE_TYPE, Dialect, Media
from streamgauge.protocol.eventstream import BOM, Event
from streamgauge.wire import Head

_MOST_FIRST_LINE: Final = 16 * 1024  # bytes to wait for the first line end of a body that begins with {
_SSE_STARTS: Final = tuple(bom + name for bom in (b"", BOM) for name in (b"data:", b"event:", b"id:", b"retry:", b":"))


class BodyFormat(NamedTuple):
    """How to cut a body into events; `media` is None for a body that is not a stream.

    `dialect` and `rule` (what it was recognised by) are given where the format already determines the dialect.
    """

    media: Media | None
    dialect: Dialect | None = None
    rule: str | None = None


NOT_A_STREAM: Final = BodyFormat(None)


def format_of(head: Head, first: bytes, named: Dialect | None, *, final: bool) -> BodyFormat | None:
    """The format of a body that begins with `first`, leading line ends removed; None when more bytes are needed.

    `named` is the dialect that the user named, `final` says that no more bytes will come.
    """
    media = head.media_type
    if head.status != 200:
        return NOT_A_STREAM
    if named is not None and named.media is Media.TEXT:
        return BodyFormat(Media.TEXT, named)
    if named is not None and named.media is Media.NDJSON:
        # A body that starts like SSE is accepted although NDJSON was requested: a check reports the mismatch.
        lines = media in NDJSON_TYPES or first.startswith((b"{", *_SSE_STARTS))
        return BodyFormat(Media.NDJSON) if lines else NOT_A_STREAM
    if media == SSE_TYPE or first.startswith(_SSE_STARTS):
        return BodyFormat(Media.SSE)
    if not final and _may_become_a_stream(first, named):
        return None
    if named is None and (recognised := _dialect_of_lines(first, media)):
        return BodyFormat(Media.NDJSON, *recognised)
    if named is None and (media == "text/plain" or media in NDJSON_TYPES):
        unknown = ", and no dialect recognises its first line" if media in NDJSON_TYPES else ""
        return BodyFormat(Media.TEXT, dialects.by_name("plain-text"), f"Content-Type is {media}{unknown}")
    return NOT_A_STREAM


def _may_become_a_stream(first: bytes, named: Dialect | None) -> bool:
    if named is None and first.startswith(b"{"):
        return b"\n" not in first and len(first) <= _MOST_FIRST_LINE
    return any(start.startswith(first) for start in _SSE_STARTS)


def _dialect_of_lines(first: bytes, media: str | None) -> tuple[Dialect, str] | None:
    """The NDJSON dialect that recognises the first line, and how.

    A whole object without a line end is an ordinary JSON answer, unless the label says NDJSON.
    """
    line, end, _ = first[:_MOST_FIRST_LINE].partition(b"\n")
    if not line.startswith(b"{") or not (end or media in NDJSON_TYPES):
        return None
    return dialects.detect_line(Event("line", line.decode("utf-8", "replace"), "", 0, len(line), 0))
