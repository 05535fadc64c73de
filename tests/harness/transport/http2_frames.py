"""HTTP/2 as the server writes it: frames by hand, for what no library would send, and a server's own state."""

import h2.config
import h2.connection
import h2.errors
import h2.settings
import hpack

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2_parser import StreamParser
from streamgauge.transport.http2_session import Session
from streamgauge.wire import Capture

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

REQUEST = [(b":method", b"POST"), (b":authority", b"h"), (b":scheme", b"http"), (b":path", b"/")]
SSE = [(":status", "200"), ("content-type", "text/event-stream")]


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 1) -> bytes:
    """RFC 9113 section 4.1."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def data(payload: bytes, *, flags: int = 0, stream: int = 1) -> bytes:
    return frame(DATA, payload, flags=flags, stream=stream)


def padded(payload: bytes, padding: int) -> bytes:
    return frame(DATA, bytes([padding]) + payload + bytes(padding), flags=PADDED)


def head(*fields: tuple[str, str], flags: int = END_HEADERS, stream: int = 1) -> bytes:
    """A response head, or trailers; its compression does not depend on what came before."""
    return frame(HEADERS, block(*(fields or SSE)), flags=flags, stream=stream)


def block(*fields: tuple[str, str]) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    encoded = encoder.encode(list(fields))
    assert isinstance(encoded, bytes)
    return encoded


def large_head(size: int) -> bytes:
    """A head with a field of so many bytes, in as many frames as it takes."""
    encoded = block(*SSE, ("x", "y" * size))
    parts = [encoded[at : at + 16_000] for at in range(0, len(encoded), 16_000)]
    kinds = [HEADERS, *[CONTINUATION] * (len(parts) - 1)]
    flags = [*[0] * (len(parts) - 1), END_HEADERS]
    return b"".join(frame(kind, part, flags=flag) for kind, part, flag in zip(kinds, parts, flags, strict=True))


def goaway(code: int = 0, last: int = 1) -> bytes:
    return frame(GOAWAY, last.to_bytes(4) + code.to_bytes(4), stream=0)


def reset(code: int, stream: int = 1) -> bytes:
    return frame(RST_STREAM, code.to_bytes(4), stream=stream)


SETTINGS_FRAME = frame(SETTINGS, stream=0)
SETTINGS_ACK = frame(SETTINGS, flags=ACK, stream=0)
PING_FRAME = frame(PING, b"8 octets", stream=0)
PONG = frame(PING, b"8 octets", flags=ACK, stream=0)
END = data(b"", flags=END_STREAM)
OPENING = SETTINGS_FRAME + SETTINGS_ACK + head()


class Peer:
    """A server that keeps all the rules."""

    def __init__(self, **settings: int) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        codes = h2.settings.SettingCodes
        given = {codes[name.upper()]: value for name, value in settings.items()}
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=given)
        self.h2.initiate_connection()

    def hear(self, sent: bytes) -> list[h2.events.Event]:
        return self.h2.receive_data(sent)

    def say(self) -> bytes:
        said = self.h2.data_to_send()
        assert isinstance(said, bytes)
        return said


def asked(body: bytes = b"", *, method: str = "POST", session: Session | None = None) -> StreamParser:
    """A parser whose request is on its way."""
    parser = StreamParser(ExchangeState(Capture(0, method=method, sent_ns=0)), session or Session(), REQUEST, body)
    parser.capture.request = parser.outgoing()
    return parser
