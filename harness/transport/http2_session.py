"""One HTTP/2 connection without its socket: bytes in; events of the library h2 and bytes to send out.

The frames are cut here and not by h2, for three reasons. When h2 refuses a frame, it loses the events before it. It
waits for the end of a frame of any announced length. And at a GOAWAY it ends all streams, also those that the peer
promises to finish.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

HEADER_BYTES: Final = 9  # of a frame, RFC 9113 section 4.1
MAX_FRAME_BYTES: Final = 16_384  # the limit for a peer to which no larger one was announced, section 4.2
# h2 sends no window update before half of the window is used, so reading a stream of tokens sends nothing. Go and curl
# use windows of this order, too.
WINDOW_BYTES: Final = 64 * 1024 * 1024
MAX_HEADERS_BYTES: Final = 64 * 1024
_DEFAULT_WINDOW_BYTES: Final = 65_535
_DATA: Final = 0x0
_SETTINGS: Final = 0x4
GOAWAY: Final = 0x7
HEADER_BLOCKS: Final = (0x1, 0x5, 0x9)  # HEADERS, PUSH_PROMISE, CONTINUATION
END_HEADERS: Final = 0x4
_CANCEL: Final = h2.errors.ErrorCodes.CANCEL
_ZEROS: Final = bytes(MAX_FRAME_BYTES)
_BUFFER: Final = re.compile(r":? ?<memory at 0x[0-9a-f]+>")

Fields = Iterable[tuple[bytes, bytes]]


def reason(error: h2.exceptions.ProtocolError) -> str:
    """What h2 found wrong. Its quotation of a buffer is an address in this process, which no record may hold."""
    return _BUFFER.sub("", str(error))


class Session:
    """The client's side of a connection. After a ProtocolError it must not be used again.

    `heard`: a frame has come, so the peer speaks HTTP/2. `leaving`: the peer accepts no further stream. `stray_bytes`:
    DATA frames that came for streams that had been reset.
    """

    def __init__(self) -> None:
        self.heard = False
        self.leaving = False
        self.stray_bytes = 0
        self._rest = b""
        self._in_headers = False
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        codes = h2.settings.SettingCodes
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.ENABLE_PUSH: 0,
                codes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                codes.MAX_HEADER_LIST_SIZE: MAX_HEADERS_BYTES,
            },
        )
        # Only a server announces it (RFC 8441 section 3), and httpcore removes it because some servers fail on it.
        del self._h2.local_settings[codes.ENABLE_CONNECT_PROTOCOL]
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES - _DEFAULT_WINDOW_BYTES)

    @property
    def usable(self) -> bool:
        """Whether the peer accepts another stream."""
        return not self.leaving and self._h2.open_outbound_streams < self._h2.remote_settings.max_concurrent_streams

    @property
    def between_frames(self) -> bool:
        """Whether the next byte begins a frame that is not bound to be a CONTINUATION."""
        return not self._rest and not self._in_headers

    def may_begin(self, data: bytes) -> bool:
        """Whether a peer that speaks HTTP/2 may begin with these bytes: with SETTINGS, RFC 9113 section 3.4."""
        return data[3] == _SETTINGS

    def open(self, fields: Fields, *, ended: bool) -> int:
        """Open a stream with the request's head; returns its number. Raises ProtocolError on forbidden fields."""
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, list(fields), end_stream=ended)
        return stream

    def send(self, stream: int, data: bytes) -> bytes:
        """Send as much of the body as the peer's flow-control window allows; returns the rest."""
        while data:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                break
            piece, data = data[:room], data[room:]
            self._h2.send_data(stream, piece, end_stream=not data)
        return data

    def receive(self, data: bytes) -> Iterator[h2.events.Event]:
        """The events of the frames that `data` completes, one by one. Raises h2.exceptions.ProtocolError."""
        data = self._rest + data
        at = 0
        try:
            while len(data) - at >= HEADER_BYTES:
                size = int.from_bytes(data[at : at + 3])
                if not self.heard and not self.may_begin(data):
                    # Only the header: how much more has come depends on the reads, and the record must not.
                    raise h2.exceptions.ProtocolError(f"it begins with {data[:HEADER_BYTES]!r}")
                if size > MAX_FRAME_BYTES:
                    raise h2.exceptions.FrameTooLargeError(f"a frame of {size:,} bytes, of at most {MAX_FRAME_BYTES:,}")
                if len(data) - at < HEADER_BYTES + size:
                    break
                frame = data[at : at + HEADER_BYTES + size]
                at += len(frame)
                if self._lets_go_on(frame):
                    self.leaving = True
                else:
                    events = self._h2.receive_data(frame)
                    if frame[3] == _DATA and not events:
                        self.stray_bytes += len(frame)
                    yield from events
                self.heard = True
        except h2.exceptions.ProtocolError:
            self.leaving = True
            raise
        finally:
            self._rest = data[at:]

    def _lets_go_on(self, frame: bytes) -> bool:
        """Whether this is a GOAWAY without error whose last stream includes ours (RFC 9113 section 6.8)."""
        kind, flags = frame[3:5]
        if kind in HEADER_BLOCKS:
            self._in_headers = not flags & END_HEADERS
        if kind != GOAWAY or self._in_headers or len(frame) < HEADER_BYTES + 8:
            return False
        stream, last, code = (int.from_bytes(frame[at : at + 4]) for at in (5, 9, 13))
        return not stream and not code and last & 0x7FFFFFFF >= self._h2.highest_outbound_stream_id

    def skip(self, stream: int, size: int) -> None:
        """Account to h2 for `size` bytes of DATA that it has not seen: frames of zeros, as few as possible."""
        while size:
            part = min(size, MAX_FRAME_BYTES)
            frame = part.to_bytes(3) + b"\0\0" + stream.to_bytes(4) + _ZEROS[:part]
            for event in self._h2.receive_data(frame):
                self.taken(event)
            size -= part

    def taken(self, event: h2.events.Event) -> None:
        """Give back the flow-control window that this event used."""
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def reset(self, stream: int) -> None:
        """End one stream but not the connection: RST_STREAM (RFC 9113 section 6.4)."""
        self._h2.reset_stream(stream, _CANCEL)

    def absorb(self, data: bytes) -> bool:
        """Take bytes that came while no stream was open; returns whether the peer accepts another stream."""
        try:
            for event in self.receive(data):
                self.taken(event)
                self.leaving = self.leaving or isinstance(event, h2.events.ConnectionTerminated)
        except h2.exceptions.ProtocolError:
            return False
        return self.usable

    def outgoing(self) -> bytes:
        """The bytes to send now. A second call does not return them again."""
        data = self._h2.data_to_send()
        assert isinstance(data, bytes)
        return data
