"""How clients cut a body into lines. The lines come without their ends."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_ANY: Final = re.compile(rb"\r\n|\n|\r")


def any_lines(pieces: Iterable[bytes], *, rest: bool, hold_cr: bool = False) -> Iterator[bytes]:
    """Lines ended by LF, CR or CRLF. `rest`: the end of the body also ends a line.

    `hold_cr`: a CR in the last place waits for the next piece, or the end of the body, to show whether LF follows.
    """
    parts: list[bytes] = []
    swallow = False
    for piece in pieces:
        data = piece
        if swallow and data:
            data = data[data.startswith(b"\n") :]
            swallow = False
        if hold_cr and parts and parts[-1].endswith(b"\r") and data:
            data = parts.pop() + data
        start = 0
        for match in _ANY.finditer(data):
            if match.end() == len(data) and match.group() == b"\r":
                if hold_cr:
                    break
                swallow = True
            parts.append(data[start : match.start()])
            yield b"".join(parts)
            parts.clear()
            start = match.end()
        if start < len(data):
            parts.append(data[start:])
    left = b"".join(parts)
    if hold_cr and left.endswith(b"\r"):
        yield left[:-1]
    elif rest and left:
        yield left


def lf_lines(pieces: Iterable[bytes], *, rest: bool) -> Iterator[bytes]:
    """Lines ended by LF alone; a CR before it stays. `rest` as above."""
    parts: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts)
            parts = [other]
    left = b"".join(parts)
    if rest and left:
        yield left
