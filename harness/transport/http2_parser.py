"""HTTP/2 without a socket: frames in, head and body pieces out, into a Capture."""

import re
from typing import Final

import h2.errors
import h2.events
import h2.exceptions

from streamgauge.transport.connection import Close
from streamgauge.transport.exchange_state import Actor, ExchangeState
from streamgauge.transport.http2_fast import body_of, payloads_of, plain_header
from streamgauge.transport.http2_session import (
    HEADER_BYTES,
    MAX_HEADERS_BYTES,
    WINDOW_BYTES,
    Fields,
    Session,
    reason,
)
from streamgauge.transport.limits import MAX_ASIDE_BYTES, MAX_HEAD_BYTES, body_limit, body_too_large, too_many_pieces
from streamgauge.wire import Arrivals, End, Framing, Head, PlainResponse

SETTLE_BYTES: Final = WINDOW_BYTES // 8  # most DATA of the fast path before h2 has to account for it, see _settle
_MOST_QUOTED: Final = 20
_STATUS: Final = re.compile("[2-5][0-9][0-9]")


class StreamParser:
    """Opens one stream of a session and parses its response into `capture`.

    A piece of the body is the payload of a DATA frame; its read is the one that completed the frame. Reads before the
    one with the head do not belong to the response: they are left out of the capture.
    """

    default_close = Close.RST_STREAM
    tail = b""  # any read may end the response, or call for an answer

    def __init__(self, state: ExchangeState, session: Session, fields: Fields, body: bytes = b"") -> None:
        """Raises h2.exceptions.ProtocolError for a request that HTTP/2 does not allow."""
        self.capture = capture = state.capture  # to look at; only the state writes it
        self._state = state
        self.done = False
        self.keep_alive = False
        self.session = session
        self.stream = session.open(fields, ended=not body)
        self._unsent = session.send(self.stream, body)
        self.over = False  # neither side may send more on the stream
        self._read = 0
        self._bytes = 0
        self._body_bytes = 0
        self._max_body_bytes = body_limit(capture)
        self._frame_bytes = 0  # of DATA that is not empty
        self._strays = session.stray_bytes
        self._unsettled = 0
        self._sized = False
        self._plain = b""  # the header of plain frames (see http2_fast.py); empty while no frame may be plain

    @property
    def unsent(self) -> bool:
        """Whether a part of the request waits until the peer opens its flow-control window."""
        return bool(self._unsent)

    @property
    def broken_hint(self) -> str:
        """For a peer that has not sent a single HTTP/2 frame."""
        return "" if self.session.heard else " (does the endpoint speak HTTP/2 on this port?)"

    def plain(self, data: bytes) -> bool:
        """Whether these are whole frames that are nothing but more of the body."""
        return payloads_of(data, self._plain) is not None

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`. Ends the capture as malformed or too large where it must."""
        if self.feed_plain([data], read):
            return
        self._settle()
        self._read = read
        self._bytes += len(data)
        try:
            for event in self.session.receive(data):
                self.session.taken(event)
                if not self.done:
                    self._take(event)
            if self._unsent and not self.done:
                self._unsent = self.session.send(self.stream, self._unsent)
        except h2.exceptions.DenialOfServiceError:
            self._end(End.TOO_LARGE, f"the answer has header fields of more than {MAX_HEADERS_BYTES:,} bytes")
        except h2.exceptions.ProtocolError as error:
            self._end(End.MALFORMED, f"the answer is not valid HTTP/2: {reason(error)}{self.broken_hint}")
        self._check_bounds()
        self.keep_alive = self.over and not self._unsent and self.session.usable
        self._plain = plain_header(self.stream) if self._may_be_plain else b""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """The fast path of `feed`, at a fraction of the cost, for reads from number `read` on that are `plain` each.

        Law: it has the effect of `feed` for each read, or returns False and has none (see http2_fast.py).
        """
        body = body_of(pieces, read, self._plain)
        if body is None:
            return False
        size = sum(len(part) for _, part in body)
        self._unsettled += size
        self._body_bytes += size
        self._state.bodies(body)
        self._check_bounds()
        return True

    def feed_whole(self, arrivals: Arrivals) -> PlainResponse | None:  # noqa: ARG002 - there is no such fast path
        """Declines: HTTP/2 frames are taken as they come."""
        return None

    def eof(self) -> None:
        """The peer closed its side."""
        if self.done:
            return
        if self.capture.head is None:
            self._end(End.CLOSED, f"the connection was closed without an answer{self.broken_hint}")
        else:
            when = " (GOAWAY)" if self.session.leaving else ""
            self._end(End.CLOSED, f"the connection was closed before the end of the stream{when}")

    def outgoing(self) -> bytes:
        """The bytes to send now: acknowledgements, window updates, and the rest of the request."""
        if self._unsettled > SETTLE_BYTES:
            self._settle()
        return self.session.outgoing()

    def cancel(self) -> bytes:
        """RST_STREAM, which ends the stream and not the connection; empty when the stream has ended."""
        if self.over or self.done:
            return b""
        self._settle()
        self.session.reset(self.stream)
        self.over, self._unsent = True, b""
        self.keep_alive = self.session.usable
        return self.session.outgoing()

    def release(self) -> None:
        """Forget reads that belonged to no response; no bytes may follow."""
        if self.capture.head is None:
            self._state.forget_reads(len(self.capture.reads))

    def _settle(self) -> None:
        """Account to h2 for the DATA that only the fast path has seen, so that its flow control stays right."""
        size, self._unsettled = self._unsettled, 0
        self.session.skip(self.stream, size)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.session.leaving = True
            untouched = " before it took this request" if (event.last_stream_id or 0) < self.stream else ""
            self._end(
                End.CLOSED, f"the server ended the connection{untouched}: {error_name(event.error_code)} (GOAWAY)"
            )
        elif getattr(event, "stream_id", None) != self.stream:
            return
        elif isinstance(event, h2.events.DataReceived):
            if event.data:
                self._state.body(self._read, bytes(event.data))
                self._body_bytes += len(event.data)
                self._frame_bytes += HEADER_BYTES + (event.flow_controlled_length or 0)
        elif isinstance(event, h2.events.ResponseReceived):
            self._begin(event)
        elif isinstance(event, h2.events.StreamEnded):
            self.over = True
            self._end(End.COMPLETE, None)
        elif isinstance(event, h2.events.StreamReset):
            self.over = True
            self._end(End.RESET, f"the stream was reset by the server: {error_name(event.error_code)} (RST_STREAM)")

    def _begin(self, event: h2.events.ResponseReceived) -> None:
        fields = tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in event.headers)
        self._state.forget_reads(self._read)
        self._read = 0
        status = next((value for name, value in fields if name == ":status"), "")
        if _STATUS.fullmatch(status) is None:
            raise h2.exceptions.ProtocolError(f"the status {status[:_MOST_QUOTED]!r}")
        head = Head(int(status), "", "2", tuple(field for field in fields if field[0] != ":status"))
        self._state.head(head, Framing.STREAM, 0)
        self._sized = self.capture.method == "HEAD" or head.get("content-length") is not None

    @property
    def _may_be_plain(self) -> bool:
        """Whether a DATA frame may come that does nothing but continue the body."""
        return self.capture.head is not None and not self.done and not self._sized and self.session.between_frames

    @property
    def _stray_bytes(self) -> int:
        """Since the stream was opened."""
        return self.session.stray_bytes - self._strays

    def _check_bounds(self) -> None:
        strays = self._stray_bytes
        aside = self._bytes - self._frame_bytes - strays
        if self.capture.head is None and aside > MAX_HEAD_BYTES:
            self._end(End.TOO_LARGE, f"the response head is larger than {MAX_HEAD_BYTES:,} bytes")
            return
        if aside > MAX_ASIDE_BYTES:
            self._end(End.TOO_LARGE, f"more than {MAX_ASIDE_BYTES:,} bytes of frames that bring nothing of the body")
            return
        pieces, size = len(self.capture.body), self._body_bytes + strays
        if size > self._max_body_bytes or too_many_pieces(pieces, size):
            self._end(End.TOO_LARGE, body_too_large(pieces, size, self._max_body_bytes))

    def _end(self, end: End, detail: str | None) -> None:
        self._plain = b""
        if self.done:
            return
        self.done = True
        self._state.end(end, detail, Actor.PARSER)


def error_name(code: h2.errors.ErrorCodes | int | None) -> str:
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return f"error code {code}"
