"""One stream, from captured bytes to its outcome: decoded, cut into events, read in a dialect, judged.

`StreamReader` takes pieces as they come, because a scenario may have to act on the fifth token; `interpret` takes a
finished capture. Both give a Transcript, from which checks and records are made.
"""

import operator
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from streamgauge.errors import LimitExceeded, OutOfMeans
from streamgauge.leaks import beginning
from streamgauge.protocol.array_cutter import ArrayCutter
from streamgauge.protocol.body_format import NoStream, format_of
from streamgauge.protocol.cutters import Cutter, LineCutter, SseCutter, TextCutter
from streamgauge.protocol.dialects import deltas_of
from streamgauge.protocol.dialects.base import NDJSON_TYPES, SO_FAR, SSE_TYPE, Delta, Dialect, Kind, Media
from streamgauge.protocol.dialects.choice import Choice, Origin, announced, choose, evidence, specific, unknown_to
from streamgauge.protocol.dialects.foreign import any_error, failed, is_done, lone_error, own_events, undecided
from streamgauge.protocol.dialects.payload import NotJson, decode, is_fragment
from streamgauge.protocol.encoding import MAX_DECODED_BYTES, Decoder, Identity, decoder_for
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.outcome import Ends, Facts, outcome_of
from streamgauge.protocol.reader_fast import contents, feed_all, runs_of, windows
from streamgauge.protocol.scattered import hidden_part
from streamgauge.protocol.transcript import Found, Transcript, first_of
from streamgauge.wire import MAX_KEPT_BYTES, Capture, End, Excess, Head, succeeds

MAX_EVENTS: Final = 150_000
"""The longest answers of today's models have 128,000 tokens."""
# Of memory that Python's objects take where lines and events are kept, beside their bytes.
_LINE_BYTES: Final = 150
_EVENT_BYTES: Final = 500  # with its deltas
# After so many payloads without a known shape, a provisional dialect is chosen: a caller who leaves at a token must not
# wait for the end of the stream.
_ENOUGH_EVIDENCE: Final = 3
_STREAM_TYPES: Final = NDJSON_TYPES | {SSE_TYPE}
_MOST_BEGIN_BYTES: Final = 16 * 1024
_MOST_QUOTED: Final = 100
_PLACE: Final = re.compile(r" \(byte \d+\)")  # in a parser's message; without it equal defects have equal details
# A compressed body can inflate to gigabytes within one piece, so the limits are checked after each slice of this size.
_SLICE_BYTES: Final = 256 * 1024
_KEPT_SLICE_BYTES: Final = 8 * 1024  # where lines are kept: as many blank lines take 150 times their bytes


class StreamReader:
    """Reads one response body incrementally. `keep` keeps lines and body for checks and `--show-wire`."""

    def __init__(
        self, capture: Capture, dialect: Dialect | None = None, *, keep: bool = False, ends: Ends = Ends.AUTO
    ) -> None:
        """`dialect` is the one that the user named or that the run has settled; None decides it by this stream."""
        self._ends = ends
        self.transcript = Transcript(capture)
        self.token_events = 0
        self._named = dialect
        self._keep = keep
        self._decoder: Decoder = Identity()
        self._cutter: Cutter | None = None
        self._body: list[bytes] = []
        self._failure: str | None = None
        self.excess: Excess | None = None
        """The limit that the stream has exceeded; nothing more is read of it."""
        self._started = False
        # While too little of the body has come to tell its format, its pieces and its first bytes wait here.
        self._early: list[tuple[int, bytes]] = []
        self._first = b""
        self._format_known = False
        self._begin = b""  # of the decoded body, while no event has come
        self._media = Media.SSE
        self._so_far: dict[Kind, str] = {}  # the text that has come, where the dialect may send it again
        self._charged = 0  # what the memory budget knows of
        self._shapeless = 0  # events that are evidence of the dialect, while none is known

    def feed(self, read: int, data: bytes) -> None:
        """Take one piece of the body (after transfer decoding). Bad data ends the stream as a protocol error."""
        if self._failure is not None or self.excess is not None:
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
            slice_bytes = _KEPT_SLICE_BYTES if self._keep else _SLICE_BYTES
            for at in range(0, len(text), slice_bytes):
                self._feed_decoded(read, text[at : at + slice_bytes])
        except ValueError as error:
            self._failure = str(error)
        except (LimitExceeded, OutOfMeans) as error:
            self._exceed(error)
        self._started = True

    def _feed_decoded(self, read: int, text: bytes) -> None:
        if self._keep:
            self._body.append(text)
        if not self.transcript.events and len(self._begin) < _MOST_BEGIN_BYTES:
            self._begin += text
        if not self._format_known:
            self._early.append((read, text))
            self._first = (self._first + text).lstrip(b"\r\n")
            self._choose_cutter()
        elif self._cutter is not None:
            self.take(self._cutter.feed(text, read))
        self._check_limits()

    def _choose_cutter(self, *, final: bool = False) -> None:
        """Choose the cutter by the body's format and feed it what has waited; wait on where the format is not clear."""
        format_ = format_of(self._head, self._first, self._named, final=final)
        if format_ is NoStream.UNDECIDED:
            return
        transcript = self.transcript
        if format_ is Media.SSE:
            self._cutter = SseCutter(transcript, self._keep)
        elif format_ is Media.NDJSON:
            self._cutter = LineCutter(transcript, self._keep)
        elif format_ is Media.TEXT:
            self._cutter = TextCutter()
        elif format_ is Media.ARRAY:
            self._cutter = ArrayCutter()
        transcript.is_stream = self._cutter is not None
        self._format_known = True
        if isinstance(format_, Media):
            transcript.media = format_
            # The items of an array have the shapes of events.
            self._media = Media.SSE if format_ is Media.ARRAY else format_
            format_ = self._media
            transcript.dialect = self._named or announced(self._origin, format_).dialect
        early, self._early = self._early, []
        if self._cutter is not None:
            for read, data in early:
                self.take(self._cutter.feed(data, read))

    def take(self, events: list[Event]) -> None:
        """Keep events with their deltas. While no dialect is known, events wait for one (see `_look_for_dialect`)."""
        transcript = self.transcript
        kept = transcript.events
        if transcript.dialect is None:
            kept += events
            self._look_for_dialect(events)
            return
        first = len(kept)
        separator = transcript.dialect.separator
        kept += events if separator is None else _records(events, separator)
        self._read_from(first, transcript.dialect)

    def _read_from(self, first: int, dialect: Dialect | None) -> None:
        """Read the kept events from this index on; without a dialect, only for errors and heartbeats."""
        events, deltas = self.transcript.events, self.transcript.deltas
        for index in range(first, len(events)):
            is_token = False
            for found in _deltas_of(dialect, events[index]):
                delta = found if dialect is None or not dialect.so_far else self._new_part(found)
                deltas.append(Found(index, delta))
                is_token = is_token or delta.is_token
            self.token_events += is_token

    def _new_part(self, delta: Delta) -> Delta:
        """The delta with only the text that is new, where it holds all text so far."""
        if not delta.is_token:
            return delta
        before, text = self._so_far.get(delta.kind, ""), delta.text
        if delta.value is not SO_FAR:
            self._so_far[delta.kind] = before + text
            return delta
        if text.startswith(before):
            self._so_far[delta.kind], text = text, text[len(before) :]
        elif before.endswith(text):  # the whole message again, at its end
            text = ""
        else:  # another message
            self._so_far[delta.kind] = text
        return Delta(delta.kind, text)

    @property
    def takes_anything_for_text(self) -> bool:
        """Whether each payload counts as text: the dialect has no shape that would tell tokens from heartbeats."""
        return self.transcript.dialect is not None and not self.transcript.dialect.json_payload

    def _look_for_dialect(self, new: list[Event]) -> None:
        """Choose a provisional dialect when an event has the shape of one, or when enough events have no known shape.

        `finish` decides by the whole stream.
        """
        found = None
        for event in evidence(new):
            self._shapeless += 1
            found = found or specific(event, self._media)
        if found is None and (self._shapeless >= _ENOUGH_EVIDENCE or self._media is Media.TEXT):
            found = choose(self._origin, self.transcript.events, self._media).dialect
        if found is not None:
            self.transcript.dialect = found
            self._read_from(0, found)

    def _decide_dialect(self) -> None:
        """Decide by the whole stream. Where the provisional dialect was wrong, all events are read again."""
        transcript = self.transcript
        provisional = transcript.dialect
        choice = choose(self._origin, transcript.events, self._media) if transcript.events else self._announced
        transcript.dialect, transcript.dialect_rule, transcript.dialect_doubt = choice
        if provisional is None or transcript.dialect is not provisional:
            transcript.deltas.clear()
            self._so_far.clear()
            self.token_events = 0
            self._read_from(0, transcript.dialect)

    def _check_limits(self) -> None:
        """Raises LimitExceeded when the transcript holds more than any stream of tokens, and OutOfMeans when there is
        no memory left for it.
        """
        if len(self.transcript.events) > MAX_EVENTS:
            raise LimitExceeded(f"the stream has more than {MAX_EVENTS:,} events")
        if self._keep and (memory := self.transcript.capture.memory) is not None:
            size = _LINE_BYTES * len(self.transcript.lines) + _EVENT_BYTES * len(self.transcript.events)
            grown, self._charged = size - self._charged, size
            memory.grow(grown)

    def _exceed(self, error: LimitExceeded | OutOfMeans) -> None:
        if isinstance(error, OutOfMeans):
            self.excess = Excess(End.NO_ROOM, error.message)
        else:
            self.excess = Excess(End.TOO_LARGE, error.message)
            self._failure = error.message

    def finish(self) -> Transcript:
        """Judge the stream by its capture, which must have ended."""
        transcript, capture = self.transcript, self.transcript.capture
        if self._early:
            self._choose_cutter(final=True)
        if self._cutter is not None:
            self.take(self._cutter.finish(max(len(capture.reads) - 1, 0)))
            if self._named is None:
                self._decide_dialect()
        transcript.body = b"".join(self._body)
        transcript.outcome, transcript.detail = outcome_of(self._facts())
        return transcript

    def _facts(self) -> Facts:
        transcript, capture, head = self.transcript, self.transcript.capture, self.transcript.capture.head
        signals = transcript.signals()
        error = first_of(signals, Kind.ERROR)
        value = error.delta.value if error is not None else self._other_error(signals)
        unreadable, greeting = self._unread(signals)
        no_room = self.excess if self.excess is not None and self.excess.end is End.NO_ROOM else None
        return Facts(
            end=capture.end if no_room is None else no_room.end,
            transport_detail=capture.detail if no_room is None else no_room.detail,
            sent=capture.sent_ns is not None,
            status=None if head is None else head.status,
            reason="" if head is None else head.reason,
            framing_fault=None if capture.fault is None else capture.fault.what,
            failure=self._failure,
            is_stream=self._cutter is not None or (not self._format_known and self._may_stream),
            content_type=None if head is None else head.get("content-type"),
            has_token=self.token_events > 0,
            has_finish=first_of(signals, Kind.FINISH) is not None,
            has_end_marker=first_of(signals, self._marker) is not None
            or first_of(signals, Kind.DONE) is not None
            or (isinstance(self._cutter, ArrayCutter) and self._cutter.closed),
            error=value,
            has_error=value is not None or error is not None,
            unreadable=unreadable,
            greeting=greeting,
            excerpt="" if self.token_events else self._excerpt(),
            undispatched=transcript.undispatched,
            end_marker=self._end_marker,
            marker_unknown=self._marker_unknown,
            **self._silence(),
        )

    def _unread(self, signals: list[Found]) -> tuple[str | None, str | None]:
        """Why the first payload that the dialect cannot read is no part of an answer, or what such a payload is that
        stands alone before or behind the whole answer; None without one.

        Only unnamed events count, and those with the name of this stream's tokens: an application may add events of
        its own, whose data need not be JSON. In its own shape it may also add JSON of another kind. Empty data is a
        heartbeat. While the dialect is uncertain, the fault may lie in the reading.
        """
        transcript, events = self.transcript, self.transcript.events
        # The end of the body may leave a part of a line of JSON: then the stream is cut.
        cut = transcript.pending is not None and bool(events) and events[-1].type == "line"
        whole = len(events) - cut
        failed = [
            found
            for found in signals
            if found.delta.kind is Kind.META and isinstance(found.delta.value, str) and found.event < whole
        ]
        if not failed or transcript.dialect_doubt is not None:
            return None, None
        dialect = transcript.dialect
        strict = dialect is not None and (dialect.vendor is not None or dialect.separator is not None)
        ours = {"message", "line", *(event.type for event, _ in transcript.tokens)}
        # An end marker behind that of the dialect is no payload: relays add `[DONE]` to any stream.
        unread = [
            found
            for found in failed
            if not is_done(events[found.event])
            and events[found.event].data.strip()
            and events[found.event].type in ours
            and (strict or isinstance(decode(events[found.event].data), NotJson))
        ]
        if not unread:
            return None, None
        index, delta = unread[0]
        data = events[index].data
        lone = len(unread) == 1 and not is_fragment(data) and not isinstance(decode(data), dict)
        if lone and (side := self._side_of_answer(index, signals)):
            return None, f"a payload {side} the answer is no part of it: {_quoted_payload(data)}"
        return _PLACE.sub("", delta.value), None

    def _side_of_answer(self, index: int, signals: list[Found]) -> str | None:
        """The side of the whole answer on which an event stands; None in its middle, and where no answer came."""
        first = next((found.event for found in self.transcript.deltas if found.delta.is_token), None)
        ended = next((found.event for found in signals if found.delta.kind in (Kind.FINISH, Kind.DONE)), None)
        if first is None and not any(found.delta.kind is Kind.FINISH for found in signals):
            return None
        begins = ended if first is None else first
        if begins is not None and index < begins:
            return "before"
        return "behind" if ended is not None and index > ended else None

    def _other_error(self, signals: list[Found]) -> object:
        """The error of a stream without an error event; None without one."""
        reasons = (found.delta.value for found in signals if found.delta.kind is Kind.FINISH)
        if (reason := next(filter(failed, reasons), None)) is not None:
            return {"message": f"the finish reason is {reason!r}"}
        if error := self.transcript.unframed_error or self._json_error():
            return error
        if self.token_events or first_of(signals, Kind.FINISH) is not None:
            return None
        return lone_error(own_events(self.transcript.events), vendor=_of_vendor(self.transcript.dialect))

    def _json_error(self) -> object:
        """The error of a JSON body with status 200 that came in place of a stream; None without one."""
        head = self.transcript.capture.head
        if head is None or head.status != 200 or self._cutter is not None:
            return None
        text = self._begin.decode("utf-8", "replace")
        event = Event("message", text, "", 0, len(text), 0)
        payload = decode(text)
        if isinstance(payload, list) and payload:  # Gemini's, where the answer is an array
            payload = payload[0]
        error = any_error(event, payload)
        return lone_error([event], vendor=_of_vendor(self._named)) if error is None else error.value

    def _excerpt(self) -> str:
        """What came in place of a token: the first event of no known shape, or how a body without any event begins.
        Comments are left out. Empty where nothing else came.
        """
        if events := self.transcript.events:
            unknown = unknown_to(evidence(events), self.transcript.dialect)
            return _quoted_payload(unknown[0].data) if unknown and unknown[0].data else ""
        begin = hidden_part(self._begin, 0, len(self._begin))
        lines = begin.decode("utf-8", "replace").splitlines()
        text = "\n".join(line for line in lines if line.strip() and not line.startswith(":"))
        return quoted(text) if text else ""

    @property
    def _may_stream(self) -> bool:
        """Whether an answer without a body, or with the beginning of one, may become a stream."""
        head = self.transcript.capture.head
        return head is None or head.status == 200 or (succeeds(head.status) and head.media_type in _STREAM_TYPES)

    @property
    def _marker(self) -> Kind:
        """The kind of delta that ends the stream."""
        return Kind.FINISH if self._ends is Ends.FINISH else Kind.DONE

    @property
    def _end_marker(self) -> str | None:
        """The marker that has to come, in words; None where the end of the body is enough."""
        dialect = self.transcript.dialect
        if self._ends is Ends.CLOSE or dialect is None or self._marker_unknown:
            return None
        if self._ends is Ends.FINISH:
            return "a finish reason"
        return dialect.terminal or ("as in the first streams" if self._ends is Ends.MARKER else None)

    @property
    def _marker_unknown(self) -> bool:
        """Whether nothing tells if the stream has an end marker: not the user, not the run, not its dialect."""
        transcript = self.transcript
        dialect = transcript.dialect
        if self._ends is not Ends.AUTO or dialect is None or dialect.terminal is None:
            return False
        first = next((found.event for found in transcript.deltas if found.delta.is_token), None)
        return first is not None and not dialect.owes_marker(transcript.events[first])

    def _silence(self) -> dict[str, int]:
        """The times of `Facts`. A stream that ended by itself needs none, and most do."""
        transcript, capture = self.transcript, self.transcript.capture
        if capture.end is End.COMPLETE or capture.end_ns is None:
            return {}
        ends = (Kind.FINISH, Kind.DONE)
        events = (index for index, delta in reversed(transcript.deltas) if delta.is_token or delta.kind in ends)
        last = next(events, None)
        if last is None:
            return {}
        times = [transcript.time_of(event) for event, _ in transcript.tokens]
        longest_ns = max(map(operator.sub, times[1:], times), default=0)
        silent_ns = capture.end_ns - transcript.time_of(transcript.events[last])
        return {"silent_ns": max(silent_ns, 0), "longest_gap_ns": longest_ns}

    @property
    def _origin(self) -> Origin:
        return Origin(urlsplit(self.transcript.capture.url).path, self.transcript.capture.head)

    @property
    def _announced(self) -> Choice:
        return announced(self._origin, self._media)

    @property
    def _head(self) -> Head:
        head = self.transcript.capture.head
        if head is None:
            raise ValueError("a body needs a response head before it")
        return head

    def feed_plain(self, pieces: list[tuple[int, bytes]]) -> bool:
        """The fast path of `feed` for many pieces. Law: it has the effect of `feed` for each of them, or returns False
        and has none (see reader_fast.py).
        """
        transcript, cutter = self.transcript, self._cutter
        dialect = transcript.dialect
        if dialect is None or type(cutter) is not SseCutter or type(self._decoder) is not Identity or self._failure:
            return False
        events = cutter.feed_many([data for _, data in pieces], [read for read, _ in pieces])
        if events is None:
            return False
        for run, texts in runs_of(events, dialect):
            if texts is None:
                self.take(run)
            else:
                transcript.deltas += contents(texts, len(transcript.events))
                transcript.events += run
                self.token_events += len(texts)
        try:
            self._check_limits()
        except (LimitExceeded, OutOfMeans) as error:
            self._exceed(error)
        return True


def _of_vendor(dialect: Dialect | None) -> bool:
    return dialect is not None and dialect.vendor is not None


def _quoted_payload(data: str) -> str:
    """The beginning of a payload without the secrets in it, for the detail of an outcome."""
    begin = data.encode("utf-8", "replace")[:_MOST_BEGIN_BYTES]
    return quoted(hidden_part(begin, 0, len(begin)).decode("utf-8", "replace"))


def quoted(text: str) -> str:
    """The beginning of a text, for the detail of an outcome."""
    return repr(beginning(text, _MOST_QUOTED)) + ("..." if len(text) > _MOST_QUOTED else "")


def _records(events: list[Event], separator: str) -> list[Event]:
    """An event for each record, with the separator that ends it."""
    return [
        event._replace(data=record)
        for event in events
        for record in re.split(f"(?<={re.escape(separator)})", event.data)
        if record
    ]


def _deltas_of(dialect: Dialect | None, event: Event) -> list[Delta]:
    if dialect is None:
        return undecided(event)
    return deltas_of(dialect, event)


def interpret(
    capture: Capture,
    dialect: Dialect | None = None,
    *,
    keep: bool = False,
    ends: Ends = Ends.AUTO,
    pause: Callable[[], None] | None = None,
) -> Transcript:
    """Read a finished capture; `dialect` None decides it by this stream. `pause` is called between two windows."""
    reader = StreamReader(capture, dialect, keep=keep, ends=ends)
    for window in [capture.body] if pause is None else windows(capture.body):
        feed_all(reader, window)
        if pause is not None:
            pause()
    return reader.finish()
