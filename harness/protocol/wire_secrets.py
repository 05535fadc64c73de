"""The parts of a raw response that hold a secret: also one that chunks, frames, header lines or events tear apart."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from streamgauge.protocol.scattered import divided, scattered_bytes
from streamgauge.secrets import Secrets, hide, known
from streamgauge.spellings import Span, merged
from streamgauge.wire import Capture, Framing

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1[0-9][0-9]")
_CHUNK: Final = re.compile(rb"(?:\r?\n)?([0-9A-Fa-f]{1,16})[^\r\n]*\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_FRAME_HEAD: Final = 9
_PADDED: Final = 0x8
_DATA: Final = 0
_HEADER_FRAMES: Final = frozenset({0x1, 0x5, 0x9})  # HEADERS, PUSH_PROMISE, CONTINUATION (RFC 9113 section 6)


def secrets_in_wire(capture: Capture, most: int) -> list[Span]:
    """The parts of the joined `capture.wire` to mask before its first `most` bytes are shown."""
    secrets = known()
    if not secrets.values or not capture.wire:
        return []
    wire = b"".join(capture.wire)
    payload = _payload(capture, wire)
    found = _in_pieces(wire, payload, most, secrets)
    if capture.framing is Framing.STREAM:
        found += _header_blocks(capture, wire)
    else:
        head = Span(0, payload[0].start if payload else len(wire))
        found += _in_pieces(wire, _unfolded(wire, head), most, secrets)
    return merged([*found, *scattered_bytes(wire, [Span(0, most)])])


def _in_pieces(wire: bytes, pieces: Sequence[Span], most: int, secrets: Secrets) -> list[Span]:
    """The secrets in the joined pieces, as parts of the wire. Only so much is searched as shows `most` bytes."""
    ends = list(accumulate(piece.end - piece.start for piece in pieces))
    content = b"".join([wire[piece.start : piece.end] for piece in pieces])
    text = content[: most + secrets.reach].decode("latin-1")
    return [
        Span(pieces[index].start + part.start, pieces[index].start + part.end)
        for span in [*secrets.spans(text), *scattered_bytes(content, [Span(0, most)])]
        for index, part in divided(ends, span)
    ]


def _payload(capture: Capture, wire: bytes) -> list[Span]:
    """The parts of the wire that are the body."""
    if capture.framing is Framing.STREAM:
        payload = [part for kind, part in _frames(wire) if kind == _DATA]
    else:
        start = _head_end(wire)
        payload = list(_chunks(wire, start)) if capture.framing is Framing.CHUNKED else [Span(start, len(wire))]
    body = b"".join(data for _, data in capture.body)
    if b"".join(wire[part.start : part.end] for part in payload).startswith(body):
        return payload
    return list(_searched(capture, wire))


def _searched(capture: Capture, wire: bytes) -> Iterator[Span]:
    """The same for a wire whose framing is broken, or begins in the middle of a frame: by the pieces of the body."""
    at = 0
    for _, data in capture.body:
        found = wire.find(data, at)
        if found >= 0:
            at = found + len(data)
            yield Span(found, at)


def _head_end(wire: bytes) -> int:
    """Where the body begins (HTTP/1), behind interim responses."""
    at = 0
    while (end := _HEAD_END.search(wire, at)) is not None:
        interim = _INTERIM.match(wire, at)
        at = end.end()
        if not interim:
            return at
    return len(wire)


def _chunks(wire: bytes, at: int) -> Iterator[Span]:
    """The data of each chunk (RFC 9112 section 7.1)."""
    while (line := _CHUNK.match(wire, at)) is not None and (size := int(line[1], 16)):
        at = line.end() + size
        yield Span(line.end(), min(at, len(wire)))


def _frames(wire: bytes) -> Iterator[tuple[int, Span]]:
    """The type and the payload of each HTTP/2 frame (RFC 9113 section 4.1), without padding."""
    at = 0
    while at + _FRAME_HEAD <= len(wire):
        start = at + _FRAME_HEAD
        kind, flags = wire[at + 3], wire[at + 4]
        at = start + int.from_bytes(wire[at : at + 3])
        end = min(at, len(wire))
        if kind == _DATA and flags & _PADDED and start < end:
            start, end = start + 1, max(start + 1, at - wire[start])
        yield kind, Span(start, min(end, len(wire)))


def _header_blocks(capture: Capture, wire: bytes) -> Iterable[Span]:
    """The header blocks that repeat a secret: Huffman codes hide it from a search, but not from a reader of HPACK.

    The trailers are not known, so that they are always masked.
    """
    blocks = [part for kind, part in _frames(wire) if kind in _HEADER_FRAMES and part.start < part.end]
    head = capture.head
    clean = head is not None and all(hide(f"{name}: {value}") == f"{name}: {value}" for name, value in head.headers)
    return blocks[1:] if clean else blocks


def _unfolded(wire: bytes, head: Span) -> list[Span]:
    """The parts of a head of HTTP/1 between its folds (RFC 9112 section 5.2)."""
    folds = [fold.span() for fold in _FOLD.finditer(wire, head.start, head.end)]
    starts = [head.start, *(end for _, end in folds)]
    ends = [*(start for start, _ in folds), head.end]
    return [Span(start, end) for start, end in zip(starts, ends, strict=True)]
