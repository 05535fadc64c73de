"""One stream, from captured bytes to its outcome: cut, interpreted, read in a dialect.

`StreamReader` takes pieces as they come (a scenario may have to act on the fifth token); `interpret` takes a
finished capture. Both give a Transcript, which is what checks and records are made from.
"""

from collections.abc import Iterator
from itertools import count, repeat
from typing import Final

from streamgauge.errors import LimitExceeded
from streamgauge.protocol import dialects
from streamgauge.protocol.cutters import Cutter, LineCutter, SseCutter, TextCutter
from streamgauge.protocol.dialects.base import NDJSON_TYPES, SSE_TYPE, Delta, Dialect, Kind, Media
from streamgauge.protocol.encoding import MAX_DECODED_BYTES, Decoder, Identity, decoder_for
from streamgauge.protocol.eventstream import Event, many
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Found, Transcript
from streamgauge.wire import MAX_KEPT_BYTES, Capture, End, Head

_WINDOW: Final = 256  # pieces that are looked at together; where one is unusual, fewer and fewer
_FEW: Final = 4
MAX_EVENTS: Final = 1_000_000
MAX_KEPT_LINES: Final = 200_000
_SLICE: Final = 256 * 1024  # bytes; what a compressed body inflates to is looked at in parts, each within the limits
_MOST_FIRST_LINE: Final = 16 * 1024  # bytes to wait for, when the first line of a body tells what it is
_SSE_STARTS: Final = tuple(
    bom + name for bom in (b"", b"\xef\xbb\xbf") for name in (b"data:", b"event:", b"id:", b"retry:", b":")
)


class StreamReader:
    """Reads one response body incrementally. `keep` keeps lines and body for checks and `--show-wire`."""

    def __init__(self, capture: Capture, dialect: Dialect | None = None, *, keep: bool = False) -> None:
        self.transcript = Transcript(capture)
        self.token_events = 0
        self._asked = dialect
        self._keep = keep
        self._decoder: Decoder = Identity()
        self._cutter: Cutter | None = None
        self._body: list[bytes] = []
        self._failure: str | None = None
        self._started = False
        # Until the body's beginning says what it is: the pieces that wait, and their first bytes.
        self._early: list[tuple[int, bytes]] = []
        self._first = b""
        self._chosen = False

    def feed(self, read: int, data: bytes) -> None:
        """Take one piece of the body (after transfer decoding). Bad data ends the stream as a protocol error."""
        if self._failure is not None:
            return
        try:
            if not self._started:
                self._decoder = decoder_for(
                    self._head.get("content-encoding"), MAX_KEPT_BYTES if self._keep else MAX_DECODED_BYTES
                )
            text = self._decoder.feed(data)
            if not text:
                self._started = True
                return
            for at in range(0, len(text), _SLICE):
                self._feed_text(read, text[at : at + _SLICE])
        except (ValueError, LimitExceeded) as error:
            self._failure = str(error)
        self._started = True

    def _feed_text(self, read: int, text: bytes) -> None:
        if self._keep:
            self._body.append(text)
        if not self._chosen:
            self._early.append((read, text))
            self._first = (self._first + text).lstrip(b"\r\n")
            self._choose_cutter()
        elif self._cutter is not None:
            self._take(self._cutter.feed(text, read))
        self._bound()

    def feed_all(self, body: list[tuple[int, bytes]]) -> None:
        """Take a whole body."""
        if len({read for read, _ in body}) < len(body):
            body = list(by_read(body))
        first = 0
        while first < len(body) and self.transcript.dialect is None:
            self.feed(*body[first])
            first += 1
        for start in range(first, len(body), _WINDOW):
            self._feed_some(body[start : start + _WINDOW])

    def _feed_some(self, window: list[tuple[int, bytes]]) -> None:
        if self._feed_run(window):
            return
        if len(window) <= _FEW:
            for read, data in window:
                self.feed(read, data)
            return
        # What is unusual is at the ends, as a rule.
        half = len(window) // 2
        self._feed_some(window[:half])
        self._feed_some(window[half:])

    def _feed_run(self, window: list[tuple[int, bytes]]) -> bool:
        """Take pieces of which each is one plain event; False, and nothing is taken, if one is not."""
        transcript, cutter = self.transcript, self._cutter
        dialect = transcript.dialect
        if dialect is None or type(cutter) is not SseCutter or type(self._decoder) is not Identity or self._failure:
            return False
        events = cutter.feed_many([data for _, data in window], [read for read, _ in window])
        if events is None:
            return False
        self._take_run(events, dialect)
        try:
            self._bound()
        except LimitExceeded as error:
            self._failure = str(error)
        return True

    def _bound(self) -> None:
        """Raises LimitExceeded when more lies here than a stream of tokens ever has."""
        if len(self.transcript.events) > MAX_EVENTS:
            raise LimitExceeded(f"the stream has more than {MAX_EVENTS:,} events")
        if len(self.transcript.lines) > MAX_KEPT_LINES:
            raise LimitExceeded(f"the stream has more than {MAX_KEPT_LINES:,} lines")

    def _take_run(self, events: list[Event], dialect: Dialect, *, whole: bool = True) -> None:
        texts = dialect.texts([event.data for event in events])
        if texts is not None:
            transcript = self.transcript
            first = len(transcript.events)
            transcript.events += events
            transcript.deltas += many(Found, count(first), many(Delta, repeat(Kind.CONTENT), texts, repeat(None)))
            self.token_events += len(texts)
        elif len(events) <= _FEW:
            self._take(events)
        else:
            cut = len(events) - _FEW if whole else len(events) // 2  # the last ones tell of the end, as a rule
            self._take_run(events[:cut], dialect, whole=False)
            self._take_run(events[cut:], dialect, whole=False)

    def finish(self) -> Transcript:
        """Judge the stream by its capture, which must have ended."""
        transcript, capture = self.transcript, self.transcript.capture
        if self._early:
            self._choose_cutter(final=True)
        if self._cutter is not None:
            self._take(self._cutter.finish(max(len(capture.reads) - 1, 0)))
        transcript.body = b"".join(self._body)
        transcript.outcome, transcript.detail = self._judge()
        return transcript

    @property
    def _head(self) -> Head:
        head = self.transcript.capture.head
        if head is None:
            raise ValueError("a body needs a response head before it")
        return head

    def _choose_cutter(self, *, final: bool = False) -> None:
        """Decide how the body is cut, or wait when too little has come to tell; `final` decides by what there is."""
        head, transcript, asked = self._head, self.transcript, self._asked
        media = head.media_type
        if head.status != 200:
            pass
        elif asked is not None and asked.media is Media.TEXT:
            self._cutter = TextCutter()
            transcript.dialect = asked
        elif asked is not None and asked.media is Media.NDJSON:
            # Also what an event stream begins with: that it is none of what was asked for is for the checks to say.
            if media in NDJSON_TYPES or self._first.startswith((b"{", *_SSE_STARTS)):
                self._cutter = LineCutter(transcript, self._keep)
        elif media == SSE_TYPE or self._first.startswith(_SSE_STARTS):
            # The label may be wrong and the body right: the checks report the label, the reader goes by the body.
            self._cutter = SseCutter(transcript, self._keep)
        elif not final and self._may_become_a_stream:
            return
        elif asked is None and (found := self._first_line()):
            self._cutter = LineCutter(transcript, self._keep)
            transcript.dialect, transcript.dialect_rule = found
        elif asked is None and (media == "text/plain" or media in NDJSON_TYPES):
            self._cutter = TextCutter()
            transcript.dialect = dialects.by_name("plain-text")
            unknown = ", and no dialect recognises its first line" if media in NDJSON_TYPES else ""
            transcript.dialect_rule = f"Content-Type is {media}{unknown}"
        self._chosen = True
        transcript.is_stream = self._cutter is not None
        early, self._early = self._early, []
        if self._cutter is not None:
            for read, data in early:
                self._take(self._cutter.feed(data, read))

    @property
    def _may_become_a_stream(self) -> bool:
        """Whether more bytes are needed to tell."""
        if self._asked is None and self._first.startswith(b"{"):
            return b"\n" not in self._first and len(self._first) <= _MOST_FIRST_LINE
        return any(start.startswith(self._first) for start in _SSE_STARTS)

    def _first_line(self) -> tuple[Dialect, str] | None:
        """The dialect of lines that the first one speaks; a whole object without a line end is no stream of them."""
        line, end, _ = self._first[:_MOST_FIRST_LINE].partition(b"\n")
        labelled = self._head.media_type in NDJSON_TYPES
        if not line.startswith(b"{") or not (end or labelled):
            return None
        return dialects.detect_line(Event("line", line.decode("utf-8", "replace"), "", 0, len(line), 0))

    def _take(self, events: list[Event]) -> None:
        transcript = self.transcript
        deltas, found = transcript.deltas, transcript.events
        for event in events:
            dialect = transcript.dialect
            if dialect is None:
                if self._asked is not None:
                    transcript.dialect = self._asked
                elif event.data:
                    transcript.dialect, transcript.dialect_rule = dialects.detect(event)
                else:
                    found.append(event)
                    continue
                dialect = transcript.dialect
            index = len(found)
            found.append(event)
            is_token = False
            for delta in dialect.deltas_in(event):
                deltas.append(Found(index, delta))
                is_token = is_token or delta.is_token
            self.token_events += is_token

    def _judge(self) -> tuple[Outcome, str | None]:
        transcript, capture = self.transcript, self.transcript.capture
        head, end = capture.head, capture.end
        if end is End.CANCELLED:
            return Outcome.CANCELLED, capture.detail
        if end in (End.INTERRUPTED, None):
            return Outcome.INCOMPLETE, capture.detail
        if capture.sent_ns is None:
            return Outcome.CONNECT_ERROR, capture.detail
        if end is End.TIMEOUT:
            return (Outcome.STALLED if self.token_events else Outcome.TIMEOUT), capture.detail
        if end in (End.MALFORMED, End.TOO_LARGE):
            return Outcome.PROTOCOL_ERROR, capture.detail
        if head is None:
            return Outcome.TRUNCATED, capture.detail or "the connection was closed before any answer"
        if head.status != 200:
            return Outcome.HTTP_ERROR, f"HTTP {head.status} {head.reason}".rstrip()
        if self._failure is not None:
            return Outcome.PROTOCOL_ERROR, self._failure
        if self._chosen and self._cutter is None:
            return (
                Outcome.PROTOCOL_ERROR,
                f"Content-Type {head.get('content-type')!r} and the body is no event stream",
            )
        if error := transcript.first(Kind.ERROR):
            return Outcome.ERROR_EVENT, _message_of(error.delta.value)
        if not self.token_events and not transcript.first(Kind.FINISH) and end is End.COMPLETE:
            # An end marker alone is how many relays hide that the upstream failed before its first token.
            return Outcome.TRUNCATED, "the stream ended without a single token"
        if transcript.first(Kind.DONE):
            # The content is complete; how the transport ended after it is for the checks to judge.
            return (
                Outcome.OK,
                None if end is End.COMPLETE else f"after the end marker: {capture.detail or end}",
            )
        if end is not End.COMPLETE:
            return Outcome.TRUNCATED, capture.detail
        if transcript.dialect is not None and transcript.dialect.terminal is not None:
            return (
                Outcome.TRUNCATED,
                f"the stream ended without its end marker ({transcript.dialect.terminal})",
            )
        return Outcome.OK, None


def _message_of(error: object) -> str:
    if isinstance(error, dict):
        for key in ("message", "detail", "title", "code", "type"):
            if isinstance(error.get(key), str):
                return str(error[key])[:500]
    return str(error)[:500]


def interpret(capture: Capture, dialect: Dialect | None = None, *, keep: bool = False) -> Transcript:
    """Read a finished capture; `dialect` None detects it."""
    reader = StreamReader(capture, dialect, keep=keep)
    reader.feed_all(capture.body)
    return reader.finish()


def by_read(body: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The pieces of a body, those of one read joined: a read is what arrived, the HTTP chunks in it are not."""
    index, count = 0, len(body)
    while index < count:
        read, data = body[index]
        index += 1
        if index < count and body[index][0] == read:
            parts = [data]
            while index < count and body[index][0] == read:
                parts.append(body[index][1])
                index += 1
            data = b"".join(parts)
        yield read, data
