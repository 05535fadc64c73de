"""Bodies of answers to begin with: what the examples of the checks are made of."""

from functools import cache
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


@cache
def bodies() -> list[bytes]:
    """The bodies of the examples that are shorter than 1,000 bytes."""
    from tests.harness.conformance.examples import EXAMPLES  # it imports every tape

    return sorted({tape.body for example in EXAMPLES for tape in example.tapes if 0 < len(tape.body) < 1_000})
