"""Many streams on one HTTP/2 connection, without its socket: each read is cut into frames once, and each stream gets
its own part.

Frames that only continue a body (`plain`) go past the library h2 to their stream. All other frames go through h2 in
the order of the connection, because header compression (RFC 7541) depends on that order. A frame belongs to the read
that completed it. h2 learns of the plain frames by their size, before it gets any other frame of the same stream, so
that its windows stay open: see Session.skip.
"""

import time
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, cast

import h2.errors
import h2.events
import h2.exceptions

from streamgauge.transport.connection import Close, Connection
from streamgauge.transport.exchange import MOST_STORED_BYTES, NOTE_BYTES, Driver, Exchange, Limits, Wants
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2 import not_valid, request_of
from streamgauge.transport.http2_fast import Arrival, PlainFrame, by_read, plain_frames, plain_header, stream_reads
from streamgauge.transport.http2_parser import SETTLE_BYTES, StreamParser, error_name
from streamgauge.transport.http2_session import (
    END_HEADERS,
    GOAWAY,
    HEADER_BLOCKS,
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    Fields,
    Session,
    reason,
)
from streamgauge.transport.limits import MAX_ASIDE_BYTES, too_many_pieces
from streamgauge.transport.request import PreparedRequest
from streamgauge.wire import End, Read

FIRST_STREAMS: Final = 100
"""The most streams before the peer's SETTINGS have come: RFC 9113 section 6.5.2 advises against a smaller limit."""
_GOAWAY_BYTES: Final = HEADER_BYTES + 8


class Part(NamedTuple):
    """The frames that one read brought of one stream, for its parser. `crowded`: bytes of other frames came behind them
    in the same read, so that the read's stamp may be theirs.
    """

    stream: int
    frames: bytes
    crowded: bool


class Cut(NamedTuple):
    """One read, cut into frames: the plain ones, and the parts of the streams that had another frame."""

    plain: list[PlainFrame]
    parts: list[Part]


class SharedSession:
    """The streams of one connection.

    `leaving`: the peer accepts no further stream. `failed`: the peer has broken the protocol, and all streams have
    ended. `ended` are streams that ended, and `sending` those that may send more, without a part of their own in the
    last read.
    """

    def __init__(self) -> None:
        self.session = Session()
        self.failed = False
        self.ended: list[int] = []
        self.sending: list[int] = []
        self._parsers: dict[int, SharedStreamParser] = {}
        self._plain: dict[bytes, int] = {}  # header of plain frames (see http2_fast.py) -> stream
        self._unsettled: dict[int, int] = {}  # bytes of plain DATA that h2 does not know of
        self._unsettled_bytes = 0
        self._rest = b""
        self._aside_bytes = 0

    @property
    def leaving(self) -> bool:
        return self.session.leaving

    @property
    def streams(self) -> int:
        """The number of open streams."""
        return len(self._parsers)

    @property
    def has_room(self) -> bool:
        """Whether the peer accepts one more stream now (SETTINGS_MAX_CONCURRENT_STREAMS)."""
        return self.session.usable and (self.session.heard or self.streams < FIRST_STREAMS)

    def open(self, state: ExchangeState, fields: Fields, body: bytes = b"") -> "SharedStreamParser":
        """Open a stream. Raises h2.exceptions.ProtocolError for a request that HTTP/2 does not allow."""
        parser = SharedStreamParser(state, self, fields, body)
        self._parsers[parser.stream] = parser
        self._aside_bytes = 0
        return parser

    def cut(self, data: bytes) -> Cut:
        """Cut one read into whole frames."""
        if self._rest:
            data = self._rest + data
        cut = self._cut_plain(data) or self._cut_any(data)
        if self._unsettled_bytes > SETTLE_BYTES:
            try:
                for stream in list(self._unsettled):
                    self.settle(stream)
            except h2.exceptions.ProtocolError as error:  # more than the windows allow
                self._fail(error)
        return cut

    def outgoing(self) -> bytes:
        """The bytes to send now, of all streams."""
        return self.session.outgoing()

    def settle(self, stream: int) -> None:
        """Tell h2 of the DATA that went past it."""
        if size := self._unsettled.pop(stream, 0):
            self._unsettled_bytes -= size
            self.session.skip(stream, size)

    # For the parsers.

    def continues(self, parser: "SharedStreamParser", *, plain: bool) -> None:
        """From now on DATA frames of this stream only continue its body; or no longer."""
        if plain:
            self._plain[parser.plain_header] = parser.stream
        else:
            self._plain.pop(parser.plain_header, None)

    def forget(self, parser: "SharedStreamParser") -> None:
        """The stream has ended. Frames that still come of it go to h2 alone."""
        self.continues(parser, plain=False)
        if self._parsers.pop(parser.stream, None) is not None and not parser.settled and not self.failed:
            with suppress(h2.exceptions.ProtocolError):  # the peer has ended it in this very read
                self.settle(parser.stream)
                self.session.reset(parser.stream)
        self._unsettled_bytes -= self._unsettled.pop(parser.stream, 0)

    # Inside.

    def _cut_plain(self, data: bytes) -> Cut | None:
        """The fast path of `_cut_any`. Law: it has the same effect, or returns None and has none (http2_fast.py)."""
        found = plain_frames(data, self._plain) if self.session.between_frames else None
        if found is None:
            return None
        frames, self._rest = found
        for stream, payload, _ in frames:
            self._count(stream, len(payload))
        return Cut(frames, [])

    def _cut_any(self, data: bytes) -> Cut:
        frames = self._whole_frames(data)
        special = self._special(frames)
        for number, (stream, frame) in enumerate(frames):
            try:
                if stream in special:
                    self._take(stream, frame)
            except h2.exceptions.ProtocolError as error:
                self._fail(error)
                del frames[number + 1 :]
                break
        if 0 in special:  # perhaps the connection's window has grown, or all windows
            self.sending = [stream for stream, parser in self._parsers.items() if parser.unsent and not parser.done]
        plain: list[PlainFrame] = []
        special_frames: dict[int, list[bytes]] = {}
        behind: dict[int, int] = {}  # bytes from the first frame of a stream to the end of the read
        left = sum(len(frame) for _, frame in frames) + len(self._rest)
        for stream, frame in frames:
            if stream in special:
                special_frames.setdefault(stream, []).append(frame)
                behind.setdefault(stream, left)
            elif stream in self._parsers:
                plain.append(PlainFrame(stream, frame[HEADER_BYTES:], left))
                self._count(stream, len(frame) - HEADER_BYTES)
            left -= len(frame)
        parts = []
        for stream, own in special_frames.items():
            if stream in self._parsers:
                joined = b"".join(own)
                parts.append(Part(stream, joined, behind[stream] > len(joined)))
        return Cut(plain, parts)

    def _whole_frames(self, data: bytes) -> list[tuple[int, bytes]]:
        """Each whole frame with its stream. A frame of a size that is not allowed is cut off after its header, for the
        session to refuse it.
        """
        frames = []
        at = 0
        while len(data) - at >= HEADER_BYTES:
            size = int.from_bytes(data[at : at + 3])
            end = at + HEADER_BYTES + (0 if self._is_refused(data, at, size) else size)
            if end > len(data):
                break
            frames.append((int.from_bytes(data[at + 5 : at + 9]) & 0x7FFFFFFF, data[at:end]))
            at = end
        self._rest = data[at:]
        return frames

    def _is_refused(self, data: bytes, at: int, size: int) -> bool:
        """Whether the header alone breaks the protocol: too large a frame, or a peer that does not speak HTTP/2."""
        return size > MAX_FRAME_BYTES or (not self.session.heard and at == 0 and not self.session.may_begin(data))

    def _special(self, frames: list[tuple[int, bytes]]) -> set[int]:
        """The streams that h2 must look at in this read."""
        if not self.session.between_frames or any(
            frame[3] in HEADER_BLOCKS and not frame[4] & END_HEADERS for _, frame in frames
        ):
            return {stream for stream, _ in frames}  # a header block in several frames allows no other between them
        plain = self._plain
        return {stream for stream, frame in frames if len(frame) == HEADER_BYTES or frame[3:9] not in plain}

    def _take(self, stream: int, frame: bytes) -> None:
        self.settle(stream)
        if not stream:
            self._aside_bytes += len(frame)
            if self._aside_bytes > MAX_ASIDE_BYTES:
                raise h2.exceptions.DenialOfServiceError(
                    f"more than {MAX_ASIDE_BYTES:,} bytes of frames without stream"
                )
        if frame[3] == GOAWAY and not stream and len(frame) >= _GOAWAY_BYTES and self.session.between_frames:
            self._go_away(int.from_bytes(frame[9:13]) & 0x7FFFFFFF, int.from_bytes(frame[13:17]))
            return
        parser = self._parsers.get(stream)
        for event in self.session.receive(frame):
            self.session.taken(event)
            if parser is not None:
                parser.events.append(event)

    def _go_away(self, last: int, code: int) -> None:
        """RFC 9113 section 6.8: without an error, streams up to `last` go on; with one, all end."""
        self.session.leaving = True
        for stream, parser in self._parsers.items():
            if code or stream > last:
                untouched = " before it took this request" if stream > last else ""
                name = error_name(code)
                parser.refusal = End.CLOSED, f"the server ended the connection{untouched}: {name} (GOAWAY)"
                self.ended.append(stream)

    def _fail(self, error: h2.exceptions.ProtocolError) -> None:
        self.failed = self.session.leaving = True
        for stream, parser in self._parsers.items():
            parser.refusal = parser.broken(error)
            self.ended.append(stream)

    def _count(self, stream: int, size: int) -> None:
        self._unsettled[stream] = self._unsettled.get(stream, 0) + size
        self._unsettled_bytes += size


class SharedStreamParser(StreamParser):
    """Parses one of many streams: the session has cut its frames, and h2 has looked at them (`events`)."""

    def __init__(self, state: ExchangeState, shared: SharedSession, fields: Fields, body: bytes) -> None:
        super().__init__(state, shared.session, fields, body)
        self.events: list[h2.events.Event] = []
        self.plain_header = plain_header(self.stream)
        self._shared = shared
        self.refusal: tuple[End, str] | None = None  # how the connection ended the stream, if it did

    def feed(self, data: bytes, read: int) -> None:
        """See Parser. `data` are the frames of this stream in one read."""
        self._read = read
        self._bytes += len(data)
        events, self.events = self.events, []
        try:
            for event in events:
                if not self.done:
                    self._take(event)
            self.send_more()
        except h2.exceptions.ProtocolError as error:
            self._end(*self.broken(error))
        self._check_bounds()
        self._shared.continues(self, plain=self._may_be_plain and self.capture.wire is None)

    def feed_put_off(self, arrivals: list[Arrival]) -> None:
        """The fast path of `feed` for plain frames of many reads. Law: it has the effect of `feed` for each read."""
        size = sum([len(frame.payload) for frame, _ in arrivals])
        pieces = len(self.capture.body) + len(arrivals)
        fits = self._body_bytes + size <= self._max_body_bytes and not too_many_pieces(pieces, self._body_bytes)
        # The read that exceeds a limit is the last one.
        for part in [arrivals] if fits else by_read(arrivals):
            if not self.done:
                self._take_plain(part)

    def _take_plain(self, arrivals: list[Arrival]) -> None:
        reads, body, crowded = stream_reads(arrivals, len(self.capture.reads))
        self._state.plain_reads(reads)
        self._state.bodies(body)
        self._state.crowded(crowded)
        wire_bytes = sum([read.size for read in reads])
        self._bytes += wire_bytes
        self._frame_bytes += wire_bytes
        self._body_bytes += wire_bytes - HEADER_BYTES * len(body)
        self._check_bounds()

    @property
    def settled(self) -> bool:
        """Whether neither side will send more, so that nothing is left to be reset."""
        return self.over and not self._unsent

    def send_more(self) -> None:
        """Send what the peer has room for of the request's body."""
        if self._unsent and not self.done:
            self._unsent = self.session.send(self.stream, self._unsent)

    def outgoing(self) -> bytes:
        """See Parser: the bytes of all streams, in their order."""
        self.send_more()
        return self.session.outgoing()

    def cancel(self) -> bytes:
        """See Parser."""
        self.release()
        return self.session.outgoing()

    def release(self) -> None:
        """See Parser. A stream that is not over is reset; the others go on."""
        self._shared.forget(self)
        super().release()

    def conclude(self) -> None:
        """End the stream as the connection has ended it; what came before counts."""
        if self.refusal is not None:
            self._end(*self.refusal)

    def broken(self, error: h2.exceptions.ProtocolError) -> tuple[End, str]:
        """How a stream ends whose peer breaks the protocol."""
        if isinstance(error, h2.exceptions.DenialOfServiceError):
            return End.TOO_LARGE, f"the connection's frames are too large or too many: {error}"
        return End.MALFORMED, f"the answer is not valid HTTP/2: {reason(error)}{self.broken_hint}"

    @property
    def _stray_bytes(self) -> int:
        return 0  # those of other streams are not this stream's matter


def open_stream(
    shared: SharedSession, prepared: PreparedRequest, state: ExchangeState, *, reused: bool
) -> SharedStreamParser:
    """Open a stream with that request; its exchange starts now. Raises httpx.LocalProtocolError for a request that
    HTTP/2 does not allow.
    """
    request, fields = request_of(prepared)
    try:
        parser = shared.open(state, fields, prepared.body)
    except h2.exceptions.ProtocolError as error:
        raise not_valid(error, state) from error
    state.prepared(request, time.time_ns(), reused=reused)
    return parser


class Carrier(Protocol):
    """A stream of a shared connection, in place of the connection that other exchanges have."""

    registration: None

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the kernel, in the order of the calls. Raises OSError."""

    def settimeout(self, seconds: float | None) -> None:
        """The limit for `send`."""

    def half_close(self) -> None:
        """Close the sending side."""

    def close(self, how: Close = Close.FIN) -> None:
        """The exchange is over; the connection goes on."""


class SharedExchange(Exchange):
    """The response on one of many streams. Whoever leaves it resets the stream: the connection is not its own."""

    def __init__(
        self, carrier: Carrier, state: ExchangeState, parser: SharedStreamParser, driver: Driver, limits: Limits
    ) -> None:
        # An exchange only sends on its connection and closes it; a parser that keeps nothing alive never returns it.
        super().__init__(cast(Connection, carrier), state, parser, driver, limits, [])
        self._put_off: list[Arrival] = []

    def leave(self, how: Close) -> None:
        """See Exchange."""
        del how
        super().leave(Close.RST_STREAM)

    @property
    def stream(self) -> int:
        """Its number on the connection."""
        return self._shared_parser.stream

    @property
    def _shared_parser(self) -> SharedStreamParser:
        assert isinstance(self._parser, SharedStreamParser)
        return self._parser

    def go_on(self) -> None:
        """Send what there is room for, or end where the connection has ended."""
        self._parse_stored()
        self._shared_parser.conclude()
        self._answer()

    def put_off(self, frame: PlainFrame, read: Read) -> bool:
        """Keep a plain frame. Returns whether `parse_now` has to follow when all of the read has been cut.

        A token costs half when its frame waits until the stream ends: nobody looks at the capture before.
        """
        self._put_off.append(Arrival(frame, read))
        self._taken += 1
        self._last_read_ns = read.user_ns
        self._stored_bytes += len(frame.payload) + NOTE_BYTES
        return self._wants is not Wants.END or self._stored_bytes >= MOST_STORED_BYTES

    def take_part(self, part: Part, read: Read) -> None:
        """Frames of this stream that one read of the connection brought."""
        self._parse_stored()
        if part.crowded and not self._parser.done:
            self._state.crowded([len(self.capture.reads)])
        self.take(part.frames, read._replace(size=len(part.frames)))

    def _newest(self) -> bytes:
        """See Exchange."""
        return self._put_off[-1].frame.payload if self._put_off else super()._newest()

    def _parse_stored(self) -> None:
        """See Exchange. What was put off comes before anything else."""
        put_off, self._put_off = self._put_off, []
        if put_off and not self._parser.done:
            self._shared_parser.feed_put_off(put_off)
        super()._parse_stored()
