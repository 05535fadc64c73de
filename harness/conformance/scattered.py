"""Secrets that an endpoint scatters over the events of a stream: a few characters in the text of each."""

from collections.abc import Iterator

import msgspec

from streamgauge.protocol.dialects.base import TOKEN_KINDS
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.transcript import Found, Transcript
from streamgauge.secrets import known
from streamgauge.spellings import Span


def scattered(transcript: Transcript) -> list[Span]:
    """The parts of the body that hold the pieces of a secret, which is whole only where the texts are joined."""
    secrets = known()
    if not secrets.values:
        return []
    found: list[Span] = []
    for kind in TOKEN_KINDS:
        texts = [one for one in transcript.deltas if one.delta.kind is kind and one.delta.text]
        for span in secrets.spans("".join(one.delta.text for one in texts), escaped=False):
            found += _in_body(transcript, texts, span)
    return found


def _in_body(transcript: Transcript, texts: list[Found], span: Span) -> Iterator[Span]:
    """Where the pieces of a span of the joined texts stand in the body."""
    begin = 0
    for found in texts:
        text = found.delta.text
        piece = Span(max(span.start - begin, 0), min(span.end - begin, len(text)))
        if piece.start < piece.end:
            yield _place(transcript.body, transcript.events[found.event], text, piece)
        begin += len(text)


def _place(body: bytes, event: Event, text: str, piece: Span) -> Span:
    """Where a piece of an event's text stands in the body: the whole event if the text is spelled in an unusual way."""
    for spell, quote in ((_json, b'"'), (_plain, b"")):
        at = body.find(quote + spell(text) + quote, event.offset, event.end)
        if at >= 0:
            start = at + len(quote) + len(spell(text[: piece.start]))
            return Span(start, start + len(spell(text[piece.start : piece.end])))
    return Span(event.offset, event.end)


def _json(text: str) -> bytes:
    """The inside of a JSON string."""
    return msgspec.json.encode(text)[1:-1]


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
