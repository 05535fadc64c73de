"""Inputs near those that are known: for the test of every run, and where no coverage-guided fuzzer is installed."""

from collections.abc import Sequence
from random import Random
from typing import Final

# What the formats here are made of, and what has broken readers of them.
WORDS: Final = (
    b"\r", b"\n", b"\r\n", b"\n\n", b"\0", b"\xef\xbb\xbf", b"\xff", "\u2028".encode(), "\u202e".encode(), b":",
    b"data: ", b"data:", b"event: ", b"event: error\n", b"id: ", b"retry: ", b"[DONE]", b'"', b"\\", b"{", b"[", b"}",
    b'"error"', b'"choices"', b'"delta"', b'"content"', b'"token"', b'"done":true', b'"usage"', b'"type":',
    b'"candidates"', b'"message"', b"\\ud83c", b"\\u0000", b"1e999", b"-1", b"NaN", b"null", b"9" * 25,
    b"\x1b[31m", b"<script>", b"|", b"`", b"0\r\n", b"0\r\n\r\n", b"ffffffff\r\n", b"5\r\nhello\r\n",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n", b"\x1f\x8b\x08",
)  # fmt: skip


def mutated(source: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data` with some bytes changed, lost, repeated, or put in from a word or another input."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(changed) + 1)
        match source.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] = source.randrange(256)
            case 1:
                del changed[at : at + source.randint(1, 20)]
            case 2:
                changed[at:at] = changed[max(0, at - 30) : at] * source.choice((1, 1, 2, 5))
            case 3:
                changed[at:at] = source.choice(others)[:200]
            case 4:
                changed[at:at] = source.randbytes(source.randint(1, 4))
            case _:
                changed[at:at] = source.choice(WORDS)
    return bytes(changed)
