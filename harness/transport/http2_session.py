"""One HTTP/2 connection without its socket: bytes in, the library h2's events out, and what has to be sent.

Frames are cut here and not by h2, for three reasons: h2 loses what came before a frame that it refuses; it waits for
the end of a frame of any length that a stranger announces; and it ends its streams at a GOAWAY that lets them go on.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

HEADER_BYTES: Final = 9  # of a frame, RFC 9113 section 4.1
MAX_FRAME_BYTES: Final = 16_384  # what a peer may send to one who asks for no more, section 4.2
# No update is due before half of it is used, so a stream of tokens is only read. Go's and curl's are as large.
WINDOW_BYTES: Final = 64 * 1024 * 1024
MAX_HEADERS_BYTES: Final = 64 * 1024
_DEFAULT_WINDOW_BYTES: Final = 65_535
_DATA: Final = 0x0
_SETTINGS: Final = 0x4
_GOAWAY: Final = 0x7
_HEADER_BLOCKS: Final = (0x1, 0x5, 0x9)  # HEADERS, PUSH_PROMISE, CONTINUATION
_END_HEADERS: Final = 0x4
_CANCEL: Final = h2.errors.ErrorCodes.CANCEL
_ZEROS: Final = bytes(MAX_FRAME_BYTES)

Fields = Iterable[tuple[bytes, bytes]]


class Session:
    """The client's side of a connection; nothing of it is to be used again after a ProtocolError.

    `heard` is whether a frame has come, so that this is HTTP/2; `leaving` whether the peer takes no further stream;
    `stray_bytes` is what came of streams that were reset.
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
        # No use to a client; httpcore knows of servers that stumble over it.
        del self._h2.local_settings[codes.ENABLE_CONNECT_PROTOCOL]
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES - _DEFAULT_WINDOW_BYTES)

    @property
    def usable(self) -> bool:
        """Whether another stream can be asked for."""
        return not self.leaving and self._h2.open_outbound_streams < self._h2.remote_settings.max_concurrent_streams

    @property
    def between_frames(self) -> bool:
        """Whether the next byte begins a frame that may be of any kind."""
        return not self._rest and not self._in_headers

    def open(self, fields: Fields, *, ended: bool) -> int:
        """Begin a stream by its request's head; its number. Raises ProtocolError for fields that may not be sent."""
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, list(fields), end_stream=ended)
        return stream

    def send(self, stream: int, data: bytes) -> bytes:
        """As much of the rest of a request's body as the peer has room for; what is left."""
        while data:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                break
            piece, data = data[:room], data[room:]
            self._h2.send_data(stream, piece, end_stream=not data)
        return data

    def receive(self, data: bytes) -> Iterator[h2.events.Event]:
        """What the frames say that are whole now, one by one. Raises h2.exceptions.ProtocolError."""
        data = self._rest + data
        at = 0
        try:
            while len(data) - at >= HEADER_BYTES:
                size = int.from_bytes(data[at : at + 3])
                if not self.heard and data[3] != _SETTINGS:  # RFC 9113 section 3.4
                    raise h2.exceptions.ProtocolError(f"it begins with {data[:24]!r}")
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
        """Whether it is a GOAWAY without an error that covers what was asked for (RFC 9113 section 6.8)."""
        kind, flags = frame[3:5]
        if kind in _HEADER_BLOCKS:
            self._in_headers = not flags & _END_HEADERS
        if kind != _GOAWAY or self._in_headers or len(frame) < HEADER_BYTES + 8:
            return False
        stream, last, code = (int.from_bytes(frame[at : at + 4]) for at in (5, 9, 13))
        return not stream and not code and last & 0x7FFFFFFF >= self._h2.highest_outbound_stream_id

    def skip(self, stream: int, size: int) -> None:
        """Tell h2 of so many bytes of DATA that were not read by it: fewer frames are the same to it."""
        while size:
            part = min(size, MAX_FRAME_BYTES)
            frame = part.to_bytes(3) + b"\0\0" + stream.to_bytes(4) + _ZEROS[:part]
            for event in self._h2.receive_data(frame):
                self.taken(event)
            size -= part

    def taken(self, event: h2.events.Event) -> None:
        """Give the window back that this took."""
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def reset(self, stream: int) -> None:
        """End one stream, and not the connection: RST_STREAM (RFC 9113 section 6.4)."""
        self._h2.reset_stream(stream, _CANCEL)

    def absorb(self, data: bytes) -> bool:
        """What came while no stream was open; whether another can be asked for."""
        try:
            for event in self.receive(data):
                self.taken(event)
                self.leaving = self.leaving or isinstance(event, h2.events.ConnectionTerminated)
        except h2.exceptions.ProtocolError:
            return False
        return self.usable

    def outgoing(self) -> bytes:
        """What has to be sent; it is given once."""
        data = self._h2.data_to_send()
        assert isinstance(data, bytes)
        return data
