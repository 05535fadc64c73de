"""Response bytes in, head and body pieces out, into a Capture. No socket: a list of reads will do."""

from typing import Final

import httptools

from streamgauge.transport.connection import Close
from streamgauge.wire import MAX_KEPT_BYTES, Capture, End, Framing, Head

# llhttp's binding copies a header anew for each piece of it: byte by byte, this much is half a second's work.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 128 * 1024 * 1024
MAX_PIECES: Final = 1_000_000
_MOST_WIRE: Final = 2  # times the body
_HEX_DIGITS: Final = b"0123456789abcdefABCDEF"


def body_limit(capture: Capture) -> int:
    """The most bytes of a body that are taken."""
    return MAX_BODY_BYTES if capture.wire is None else MAX_KEPT_BYTES


class ResponseParser:
    """Feeds one response into `capture`; `done` turns True when nothing more belongs to it.

    Informational (1xx) responses are skipped. The parser is llhttp in its strict mode, so what it refuses is a
    protocol error of the endpoint's (RFC 9112).
    """

    leaves = Close.FIN
    doubt = ""
    unsent = False

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.done = False
        self.keep_alive = False
        self._http = httptools.HttpResponseParser(self)
        self._read = 0
        self._reason = b""
        self._headers: list[tuple[str, str]] = []
        self._bytes = 0
        self._body_bytes = 0
        self._max_body_bytes = body_limit(capture)
        self._between_chunks = False
        self._chunked = False

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`. Ends the capture as malformed or too large where it must."""
        self._read = read
        self._bytes += len(data)
        try:
            self._http.feed_data(data)
        except httptools.HttpParserError as error:
            if self.done:
                self.capture.trailing = data[-64:]
                self.keep_alive = False
            else:
                self._end(End.MALFORMED, f"the answer is not valid HTTP/1.1: {error} (within {self._bytes:,} bytes)")
        except httptools.HttpParserUpgrade:
            # 101: what follows is another protocol, so the answer ends here, and the connection with it.
            self.keep_alive = False
        if self.capture.head is None and not self.done and self._bytes > MAX_HEAD_BYTES:
            self._end(End.TOO_LARGE, f"the response head is larger than {MAX_HEAD_BYTES:,} bytes")
        elif self._body_bytes > self._max_body_bytes or len(self.capture.body) > MAX_PIECES:
            self._end_too_large()
        elif self._bytes > _MOST_WIRE * self._max_body_bytes and not self.done:
            # Extensions of a chunk and trailers are no body, and have no end of their own.
            self._end(
                End.TOO_LARGE, f"the answer has more than {_MOST_WIRE * self._max_body_bytes:,} bytes on the wire"
            )
        self._between_chunks = self._between_chunks and data.endswith(b"\r\n")

    def release(self) -> None:
        """Take no more. llhttp's callbacks hold this object: a cycle would keep every stream until a collection."""
        del self._http

    def plain(self, data: bytes) -> bool:
        """Whether more of a chunked body is all that this can be."""
        # It ends with two line ends (RFC 9112 section 7.1), of which the last read may bring only some.
        return self._chunked and len(data) >= 4 and data[-4:] != b"\r\n\r\n"

    def outgoing(self) -> bytes:
        """HTTP/1.1 asks for no answer."""
        return b""

    def cancel(self) -> bytes:
        """A connection carries one response: only closing it ends that."""
        return b""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """What `feed` gives for reads from number `read` on, at a third of the cost, if each is just whole chunks.

        False, and nothing is taken, if that is not so: then `feed` has to look at them.
        """
        joined = b"".join(pieces)
        if not self._between_chunks or self.done or not joined.endswith(b"\r\n"):
            return False
        parts = joined[:-2].split(b"\r\n")
        sizes, chunks = parts[::2], parts[1::2]
        if len(sizes) != len(chunks) or not all(sizes) or b"".join(sizes).translate(None, _HEX_DIGITS):
            return False
        lengths = [len(chunk) for chunk in chunks]
        if [int(size, 16) for size in sizes] != lengths or 0 in lengths:
            return False
        reads = _reads_of_chunks(pieces, read, [len(size) + n + 4 for size, n in zip(sizes, lengths, strict=True)])
        if reads is None:
            return False
        self._bytes += len(joined)
        self._body_bytes += sum(lengths)
        self.capture.chunks += len(chunks)
        self.capture.body += zip(reads, chunks, strict=True)
        if self._body_bytes > self._max_body_bytes or len(self.capture.body) > MAX_PIECES:
            self._end_too_large()
        return True

    def eof(self) -> None:
        """The peer closed its side."""
        capture = self.capture
        if self.done:
            return
        if capture.head is None:
            got = f"after {self._bytes:,} bytes of a head" if self._bytes else "without an answer"
            self._end(End.CLOSED, f"the connection was closed {got}")
        elif capture.framing is Framing.CLOSE:
            self._end(End.COMPLETE, None)
        elif capture.framing is Framing.CHUNKED:
            self._end(End.CLOSED, "the connection was closed before the final chunk: the body is incomplete")
        else:
            length = capture.head.get("content-length")
            self._end(End.CLOSED, f"the connection was closed after {self._body_bytes:,} of {length} body bytes")

    def _end_too_large(self) -> None:
        self._end(End.TOO_LARGE, f"the body is larger than {self._max_body_bytes:,} bytes or {MAX_PIECES:,} pieces")

    def _end(self, end: End, detail: str | None) -> None:
        self.done = True
        self.keep_alive = self.keep_alive and end is End.COMPLETE
        self.capture.end = end
        self.capture.detail = detail

    # httptools calls these by name.

    def on_message_begin(self) -> None:
        if self.done:
            raise httptools.HttpParserError("bytes after the end of the response")
        self._headers = []
        self._reason = b""

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.capture.head is not None:
            return  # a trailer: nobody asks for them, and nothing bounds them
        self._headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        status = self._http.get_status_code()
        if status < 200 and status != 101:
            return
        version = self._http.get_http_version()
        head = Head(status, self._reason.decode("latin-1"), version, tuple(self._headers))
        capture = self.capture
        capture.head = head
        capture.head_read = self._read
        connection = (head.get("connection") or "").lower()
        self.keep_alive = "close" not in connection and (version != "1.0" or "keep-alive" in connection)
        if capture.method == "HEAD" or status in (204, 304):
            capture.framing = Framing.NONE
            self.keep_alive = False  # whatever follows a HEAD's head would be read as the next answer
            self._end(End.COMPLETE, None)
        elif (head.get("transfer-encoding") or "").lower().endswith("chunked"):  # RFC 9112 6.3: only as the last one
            capture.framing = Framing.CHUNKED
            self._chunked = self._between_chunks = True
        elif head.get("content-length") is not None:
            capture.framing = Framing.LENGTH
        else:
            capture.framing = Framing.CLOSE
            self.keep_alive = False

    def on_chunk_header(self) -> None:
        self.capture.chunks += 1
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        self._between_chunks = True

    def on_body(self, data: bytes) -> None:
        self.capture.body.append((self._read, data))
        self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        if self.capture.head is not None and not self.done:
            self._end(End.COMPLETE, None)


def _reads_of_chunks(pieces: list[bytes], read: int, sizes: list[int]) -> list[int] | None:
    """The read of each chunk, given their sizes on the wire; None where a chunk spans two reads."""
    if len(sizes) == len(pieces):
        return list(range(read, read + len(pieces))) if [len(piece) for piece in pieces] == sizes else None
    reads = []
    end = 0  # of the pieces so far
    at = 0
    each = iter(sizes)
    for number, piece in enumerate(pieces, read):
        end += len(piece)
        while at < end:
            at += next(each)
            reads.append(number)
        if at > end:
            return None
    return reads
