"""HTTP/1.1 without a socket: response bytes in, head and body pieces out, into a Capture."""

import httptools

from streamgauge.transport.chunks_fast import whole_chunks
from streamgauge.transport.connection import Close
from streamgauge.transport.exchange_state import Actor, ExchangeState
from streamgauge.transport.http1_fast import begins_plain, plain_response
from streamgauge.transport.limits import (
    MAX_ASIDE_BYTES,
    MAX_HEAD_BYTES,
    MOST_WIRE_PER_BODY,
    body_limit,
    body_too_large,
    too_many_pieces,
)
from streamgauge.transport.message_framing import fault_of_refused, framing_fault, is_whole
from streamgauge.wire import Arrivals, End, Framing, Head, PlainResponse


class ResponseParser:
    """Parses one response into the capture of `state`; `done` turns True when no more bytes belong to it.

    Informational (1xx) responses are skipped (RFC 9110 section 15.2). The parser is llhttp in its strict mode, so
    everything that it refuses is an endpoint's violation of RFC 9112.
    """

    default_close = Close.FIN
    unsent = False

    def __init__(self, state: ExchangeState) -> None:
        self.capture = capture = state.capture  # to look at; only the state writes it
        self._state = state
        self.done = False
        self.keep_alive = False
        self._http = httptools.HttpResponseParser(self)
        self._read = 0
        self._reason = b""
        self._headers: list[tuple[str, str]] = []
        self._received = bytearray()  # until the head is complete: it explains why llhttp refuses one
        self._head_bytes = 0  # of `_received`: the heads that are complete, informational ones included
        self._refusal: str | None = None
        self._unreadable = False
        self._bytes = 0
        self._body_bytes = 0
        self._aside_bytes = 0
        self._max_body_bytes = body_limit(capture)
        self._between_chunks = False
        self._chunked = False
        self._unread_chunks = False  # reads of a chunked response have been put off before any was fed

    @property
    def broken_hint(self) -> str:
        """For a server that closes a connection which its last answer had left open (RFC 9112 section 9.6)."""
        if not self.capture.reused or self._bytes:
            return ""
        return " (it was reused: the answer before it did not say Connection: close)"

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`. Ends the capture as malformed or too large where it must."""
        self._read = read
        self._bytes += len(data)
        body_bytes = self._body_bytes
        if self.capture.head is None:
            self._received += data
        try:
            if self._refusal is None:
                self._http.feed_data(data)
        except httptools.HttpParserError as error:
            if self.done:
                self._state.trailing(data[-64:])
                self.keep_alive = False
            else:
                self._refusal = f"{error} (within {self._bytes:,} bytes)"
        except httptools.HttpParserUpgrade:
            # Status 101: another protocol follows, so the answer ends here and the connection cannot be used again.
            self.keep_alive = False
        aside = self._count_aside(len(data), body_bytes)
        if self._refusal is not None and not self.done and self._head_is_whole:
            self._end_refused(self._refusal)
        elif self.capture.head is None and not self.done and self._bytes > MAX_HEAD_BYTES:
            self._end_head_too_large()
        elif self._body_bytes > self._max_body_bytes or too_many_pieces(len(self.capture.body), self._body_bytes):
            self._end_too_large()
        elif aside > MAX_ASIDE_BYTES:
            self._end(End.TOO_LARGE, f"more than {MAX_ASIDE_BYTES:,} bytes of chunk extensions or trailers came")
        elif self._bytes > MOST_WIRE_PER_BODY * self._max_body_bytes and not self.done:
            most = MOST_WIRE_PER_BODY * self._max_body_bytes
            self._end(End.TOO_LARGE, f"the answer has more than {most:,} bytes on the wire")
        self._between_chunks = self._between_chunks and data.endswith(b"\r\n")

    def _count_aside(self, size: int, body_bytes: int) -> int:
        """The bytes in reads since the last byte of the body; before the newest read it had `body_bytes`."""
        brings_body = self._body_bytes > body_bytes or self.capture.head is None or self.done
        self._aside_bytes = 0 if brings_body else self._aside_bytes + size
        return self._aside_bytes

    def release(self) -> None:
        """Break the reference cycle between llhttp's callbacks and this object; no bytes may follow.

        With the cycle every stream lived until the next garbage collection, which stopped a load for 0.2 s at a time.
        """
        del self._http

    @property
    def tail(self) -> bytes:
        """How a read that may end the response ends. A chunked body ends with two line ends (RFC 9112 section 7.1)."""
        return b"\r\n\r\n" if self._chunked or self._unread_chunks else b""

    def plain(self, data: bytes) -> bool:
        """Whether these bytes can only be more of a chunked body, or its beginning.

        The last read may bring only some of the four bytes that end a chunked body, so a read of fewer than four bytes
        is never plain.
        """
        if len(data) < 4 or data[-4:] == b"\r\n\r\n":
            return False
        if not self._bytes and not self._unread_chunks:
            self._unread_chunks = begins_plain(data)
        return self._chunked or self._unread_chunks

    def feed_whole(self, arrivals: Arrivals) -> PlainResponse | None:
        """The fast path of `feed` for a whole response that waits unread.

        Law: `feed` would take the same response from these reads and end with them; or the answer is None, and nothing
        has happened (test_http1_fast.py).
        """
        response = None if self._bytes or self.capture.method == "HEAD" else plain_response(arrivals)
        if response is None:
            return None
        self.keep_alive, self.done = response.keep_alive, True
        self._state.whole(response.head, response.head_read)
        return response

    def outgoing(self) -> bytes:
        """Nothing: an HTTP/1.1 client sends nothing while it reads."""
        return b""

    def cancel(self) -> bytes:
        """Nothing: in HTTP/1.1 only closing the connection ends a response early."""
        return b""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """The fast path of `feed`, at a third of the cost, for reads from number `read` on that are whole chunks each.

        Law: it has the effect of `feed` for each read, or returns False and has none (test_http1_parser.py:
        test_whole_chunks_taken_together_are_what_they_are_one_by_one).
        """
        chunks = whole_chunks(pieces, read) if self._between_chunks and not self.done else None
        if chunks is None:
            return False
        wire_bytes = self._bytes + sum(map(len, pieces))
        body_bytes = self._body_bytes + sum([len(chunk) for _, chunk in chunks])
        # A response that may exceed a limit goes through `feed`, which ends it at the right read.
        if (
            body_bytes > self._max_body_bytes
            or wire_bytes > MOST_WIRE_PER_BODY * self._max_body_bytes
            or too_many_pieces(len(self.capture.body) + len(chunks), self._body_bytes)
        ):
            return False
        self._bytes, self._body_bytes = wire_bytes, body_bytes
        self._state.chunks(len(chunks))
        self._state.bodies(chunks)
        return True

    def eof(self) -> None:
        """The peer closed its side."""
        capture = self.capture
        if self.done:
            return
        if self._refusal is not None:
            self._end_refused(self._refusal)
        elif capture.head is None:
            got = f"after {self._bytes:,} bytes of a head" if self._bytes else "without an answer"
            self._end(End.CLOSED, f"the connection was closed {got}{self.broken_hint}")
        elif capture.framing is Framing.CLOSE:
            self._end(End.COMPLETE, None)
        elif capture.framing is Framing.CHUNKED:
            self._end(End.CLOSED, "the connection was closed before the final chunk: the body is incomplete")
        else:
            length = capture.head.get("content-length")
            self._end(End.CLOSED, f"the connection was closed after {self._body_bytes:,} of {length} body bytes")

    @property
    def _head_is_whole(self) -> bool:
        """Whether all of the head is there. llhttp refuses it in mid-line; its fault is named from whole lines."""
        return self.capture.head is not None or is_whole(bytes(self._received))

    def _end_refused(self, refusal: str) -> None:
        fault = fault_of_refused(bytes(self._received)) if self.capture.head is None else None
        if fault is not None:
            self._state.fault(fault)
        why = fault.what if fault is not None else refusal
        self._end(End.MALFORMED, f"the answer is not valid HTTP/1.1: {why}")

    def _end_head_too_large(self) -> None:
        self._end(End.TOO_LARGE, f"the response head is larger than {MAX_HEAD_BYTES:,} bytes")

    def _end_too_large(self) -> None:
        pieces = len(self.capture.body)
        self._end(End.TOO_LARGE, body_too_large(pieces, self._body_bytes, self._max_body_bytes))

    def _end(self, end: End, detail: str | None) -> None:
        self.done = True
        self.keep_alive = self.keep_alive and end is End.COMPLETE
        self._state.end(end, detail, Actor.PARSER)

    # The callbacks of httptools, which finds them by name.

    def on_message_begin(self) -> None:
        if self.done:
            raise httptools.HttpParserError("bytes after the end of the response")
        self._headers = []
        self._reason = b""

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.capture.head is not None:
            return  # a trailer field: no check needs it, and the number of trailer fields has no limit
        self._headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        self._head_bytes = self._received.find(b"\r\n\r\n", self._head_bytes) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            # All of it came in one read, or its end did.
            self._unreadable = True
            self._end_head_too_large()
            return
        status = self._http.get_status_code()
        if status < 200 and status != 101:
            return
        version = self._http.get_http_version()
        head = Head(status, self._reason.decode("latin-1"), version, tuple(self._headers))
        connection = (head.get("connection") or "").lower()
        self.keep_alive = "close" not in connection and (version != "1.0" or "keep-alive" in connection)
        framing = self._framing_of(head)
        self._state.head(head, framing, self._read)
        self._received.clear()
        fault = framing_fault(head)
        if fault is not None:
            self._state.fault(fault)
        if framing is Framing.NONE:
            # Not reused: a server that sends a body here all the same would put it in front of the next answer.
            self.keep_alive = False
            self._end(End.COMPLETE, None)
        elif fault is not None and not fault.readable:
            # Where the body ends is a guess, and a wrong guess waits until a time limit.
            self._unreadable, self.keep_alive = True, False
            self._end(End.MALFORMED, f"the answer is not valid HTTP/1.1: {fault.what}")
        elif framing is Framing.CHUNKED:
            self._chunked = self._between_chunks = True
        elif framing is Framing.CLOSE:
            self.keep_alive = False

    def _framing_of(self, head: Head) -> Framing:
        if self.capture.method == "HEAD" or head.status in (204, 304):
            return Framing.NONE
        # RFC 9112 section 6.3: chunked counts only as the last coding.
        if (head.get("transfer-encoding") or "").lower().endswith("chunked"):
            return Framing.CHUNKED
        return Framing.CLOSE if head.get("content-length") is None else Framing.LENGTH

    def on_chunk_header(self) -> None:
        self._state.chunks()
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        self._between_chunks = True

    def on_body(self, data: bytes) -> None:
        if self._unreadable:
            return
        self._state.body(self._read, data)
        self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        if self.capture.head is not None and not self.done:
            self._end(End.COMPLETE, None)
