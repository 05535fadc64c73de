"""What checks judge: all observations of one endpoint, scenario by scenario. Values only.

Case ──► Observed (one request of a scenario) ──► Transcript, the request as a curl line, the upstream's own record
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Final, NamedTuple

from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.profile import PLAIN as PLAIN_PROFILE
from streamgauge.conformance.profile import Profile
from streamgauge.conformance.result import Evidence
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.endpoint.promise import NOTHING, Promise
from streamgauge.leaks import beginning, quoted
from streamgauge.protocol.dialects.base import Dialect, Kind, Media
from streamgauge.protocol.eventstream import Event, Line
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.scattered import hidden_part
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.exchange import Kept
from streamgauge.units import SECOND, plural
from streamgauge.wire import End, Framing, Head, succeeds

FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})
"""The fields of an event stream (WHATWG HTML 9.2.6)."""
BLANKS: Final = " \t"
WHITE_SPACE: Final = " \t\r\n"
HEARTBEAT_NS: Final = 15 * SECOND  # WHATWG HTML 9.2.7: "a comment line every 15 seconds or so"
EXCERPT_BYTES: Final = 160
_BEFORE: Final = 40
_BEYOND_ASCII: Final = re.compile(r"[^ -~]")  # ASCII in between is printable, and is most of what is shown
_SHOWN: Final = 20  # characters of a difference
HAPPY: Final = ("happy", "happy-2")
PLAIN: Final = (*HAPPY, "gzip")
"""The scenarios of the endpoint's ordinary behaviour: every rule of form applies to these."""
_BROKEN_ANYHOW: Final = (Outcome.ERROR_EVENT, Outcome.STALLED, Outcome.TIMEOUT)
"""Outcomes that no other dialect would make good. A stream that seems empty may have its text elsewhere."""


class Position(StrEnum):
    """Where the harness stands (docs/definitions.md#positions)."""

    DIRECT = "direct"
    VIA = "via"  # through a proxy, compared with the direct path
    SANDWICH = "sandwich"


@dataclass(slots=True, frozen=True)
class Release:
    """One step of a lockstep stream: tokens `released` so far, and `seen` by the client when the step ended."""

    released: int
    seen: int
    timed_out: bool


@dataclass(slots=True, kw_only=True)
class Observed:
    """One request and its answer. Secrets in `url` and `curl` are masked.

    `upstream` is None where there is no mock, or the mock saw no request. `expected_text` is the text that the mock
    was asked to stream; where that is only a part of the answer, `marks` are the texts before and after it.
    `silence_ns` is the longest silence that the mock was asked for. `size` is what a scenario varies: the characters
    of a prompt, the round, or the status of the upstream. `crowded` says that this run's own requests may have kept the
    endpoint from answering: then nothing here counts against it. `credentials` are digests of the wrong key that this
    request carried, with and without the name of its scheme. `state` is what the endpoint showed afterwards as saved.
    `kept` says what became of the connection afterwards, where that was watched. `directed`: the prompt ended with a
    directive for the mock.
    """

    scenario: str
    transcript: Transcript
    variant: str | None = None
    method: str = "GET"
    url: str = ""
    request_body: bytes | None = None
    prompt: str = ""
    curl: str = ""
    origin: str | None = None
    offers_gzip: bool = False
    upstream: Upstream | None = None
    expected_text: str | None = None
    marks: tuple[str, str] | None = None
    silence_ns: int | None = None
    size: int | None = None
    steps: tuple[Release, ...] = ()
    held_bytes: int | None = None
    state: str | None = None
    crowded: str | None = None
    credentials: frozenset[str] = frozenset()
    kept: Kept | None = None
    directed: bool = False

    @property
    def wait_ns(self) -> int | None:
        """The time from the request to its first token; None without a token."""
        tokens = self.transcript.tokens
        return self.transcript.time_of(tokens[0][0]) - self.transcript.capture.start_ns if tokens else None

    @property
    def label(self) -> str:
        """The name of the observation in evidence."""
        return f"{self.scenario} ({self.variant})" if self.variant else self.scenario

    @property
    def head(self) -> Head | None:
        return self.transcript.capture.head

    @property
    def status(self) -> int | None:
        head = self.head
        return None if head is None else head.status

    @property
    def is_event_stream(self) -> bool:
        """A 200 whose body was read as events."""
        return self.transcript.is_stream and self.transcript.media is Media.SSE

    @property
    def streams(self) -> bool:
        """A 200 whose body was read as a stream, of events or of plain text."""
        return self.transcript.is_stream

    @property
    def broken_framing(self) -> str | None:
        """What is wrong with the head or a chunk over HTTP/1.1, where the body could not be read because of it."""
        capture = self.transcript.capture
        if capture.fault is not None and not capture.fault.readable:
            return capture.fault.what
        return capture.detail if capture.end is End.MALFORMED and capture.framing is Framing.CHUNKED else None

    @property
    def is_down(self) -> bool:
        """Nobody listened: the connection was refused. A busy endpoint lets a client wait instead."""
        transcript = self.transcript
        return transcript.outcome is Outcome.CONNECT_ERROR and transcript.capture.end is End.RESET

    @property
    def answered(self) -> bool:
        """At least a response head came."""
        return self.transcript.capture.head is not None

    @property
    def last_id(self) -> str:
        """The id of the last event, which a client that reconnects sends; empty when there is none."""
        return next((event.id for event in reversed(self.transcript.events)), "")

    @property
    def carries_ids(self) -> bool:
        """Its events have ids, so a client can ask for the events after the last one."""
        return bool(self.last_id)

    @property
    def is_repeated(self) -> bool:
        """EventSource asks for such a stream again after a cut: it came by GET, has ids or names a retry time."""
        return self.is_event_stream and (
            self.method == "GET" or self.carries_ids or self.transcript.retry_ms is not None
        )

    @property
    def failed_by_error(self) -> bool:
        """Whether the stream reported an error; then the rules for successful streams do not apply."""
        return self.transcript.first(Kind.ERROR) is not None

    @property
    def passes_key_on(self) -> bool:
        """Whether the mock's ledger shows the credential of this request: then its upstream is the one to check it."""
        if self.upstream is None or not self.streams:
            return False
        used = self.upstream.credential
        return used in self.credentials if self.credentials else used is None

    @property
    def hang(self) -> str | None:
        """How long the harness waited for the end of a stream that it gave up, in words; None for any other stream."""
        transcript, capture = self.transcript, self.transcript.capture
        if capture.end is not End.TIMEOUT or capture.end_ns is None or capture.head is None:
            return None
        tokens = transcript.tokens
        since_ns = transcript.time_of(tokens[-1][0]) if tokens else capture.sent_ns or capture.start_ns
        waited_s, after = (capture.end_ns - since_ns) / SECOND, "its last token" if tokens else "the request"
        return f"it was still open {waited_s:.1f} s after {after}"

    @property
    def received_text(self) -> str:
        """The part of the received text that answers `expected_text`."""
        return self.part(self.transcript.text)

    def part(self, text: str) -> str:
        """The part of `text` between the marks; all of it where there are no marks."""
        if self.marks is None:
            return text
        _, _, after = text.partition(self.marks[0])
        return after.partition(self.marks[1])[0]

    @property
    def sent_text(self) -> str | None:
        """The text that the mock streamed: `expected_text` if the mock's ledger has the request, else None.

        An endpoint that never called the mock cannot have lost the text.
        """
        return self.expected_text if self.upstream else None

    def difference(self, ignored: str = "") -> "Difference | None":
        """Where the received text differs from `expected_text`, not counting `ignored` characters; None: nowhere.

        A check ignores the characters that another check judges, so that one defect makes one finding.
        """
        return first_difference(self.received_text, self.expected_text or "", ignored)

    def event_at(self, character: int) -> int:
        """The offset of the event that brought a character of `received_text`."""
        same = character
        if self.marks is not None:
            before, mark, _ = self.transcript.text.partition(self.marks[0])
            same += len(before) + len(mark)
        offset = 0
        for index, delta in self.transcript.deltas:
            if delta.kind is Kind.CONTENT and delta.text:
                offset = self.transcript.events[index].offset
                same -= len(delta.text)
                if same < 0:
                    break
        return offset

    def how_it_went(self) -> str:
        """A few words for messages."""
        transcript = self.transcript
        if self.head is None:
            return transcript.detail or transcript.outcome.value
        answer = f"HTTP {self.head.status}, Content-Type {printable(self.head.get('content-type') or 'absent', 80)}"
        if not succeeds(self.head.status):
            return answer
        if transcript.outcome is Outcome.CANCELLED:
            after = plural(len(transcript.tokens), "token")
            return f"{answer}, a stream that this run left after {after}"
        return f"{answer}, {transcript.outcome.value}"

    def at(self, offset: int, note: str | None = None) -> Evidence:
        """Evidence that quotes the decoded body around `offset`."""
        text, mark = excerpt(self.transcript.body, offset)
        return Evidence(self.label, note, offset, text, self.arrival_ns(offset), mark)

    def behind(self, event: Event) -> Evidence:
        """Evidence at the bytes after an event and its blank line."""
        body, at = self.transcript.body, event.end
        while body[at : at + 1] in (b"\r", b"\n"):
            at += 1
        return self.at(at)

    def arrival_ns(self, offset: int) -> int | None:
        """When the byte at `offset` of the decoded body arrived, in ns from the start; None beyond the body."""
        read = self.transcript.read_of(offset)
        capture = self.transcript.capture
        return None if read is None else capture.reads[read].t_ns - capture.start_ns

    def note(self, note: str) -> Evidence:
        """Evidence without a place in the body."""
        return Evidence(self.label, printable(beginning(note, 301), 300))

    def header(self, name: str) -> Evidence:
        """Evidence that quotes every occurrence of a header."""
        values = self.head.all(name) if self.head else []
        return self.note("; ".join(f"{name}: {value}" for value in values) if values else f"no {name} header")


@dataclass(slots=True, kw_only=True)
class Case:
    """All known facts of the endpoint. `dialect` is the requested dialect, otherwise that of the happy path.

    `reference` is the same endpoint without the proxy that `observed` went through. `heartbeat_ns` is the silence
    in which a heartbeat is expected. `credentials` are digests of the caller's keys, as the mock's ledger shows them.
    `takes_limit`: a request can limit the answer's length. `doubt` says why the dialect that was detected is uncertain.
    `place_guessed`: nothing shows that the endpoint reads the prompt where it was put. `ends` is how the user says that
    streams end. `profile` says which requirements weigh more or less here. `schema` is the caller's, for the payloads.
    `out_of_time`: the time of the check was over before all its requests were made. `dead_end`
    says how it showed that the endpoint answers nothing any more. `one_at_a_time` says how it showed
    that the endpoint serves one request at a time; None if it serves several.
    `left_out` has the scenarios for which too few tokens were left, each with the reason, and `beyond_means` those for
    whose streams this machine had no descriptor, port or memory.
    """

    observed: list[Observed] = field(default_factory=list)
    method: str = "GET"
    dialect: Dialect | None = None
    position: Position = Position.DIRECT
    mock: bool | None = None
    reference: "Case | None" = None
    allowed: frozenset[OptIn] = frozenset()
    public: bool = False
    has_credential: bool = False
    credentials: frozenset[str] = frozenset()
    endpoint_is_mock: bool = False
    takes_limit: bool = False
    heartbeat_ns: int = HEARTBEAT_NS
    promise: Promise = NOTHING
    reads_state: bool = False
    schema: PayloadSchema | None = None
    ends: Ends = Ends.AUTO
    out_of_time: bool = False
    dead_end: str | None = None
    requests: int = 0
    doubt: str | None = None
    one_at_a_time: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    beyond_means: dict[str, str] = field(default_factory=dict)
    place_guessed: bool = False
    profile: Profile = PLAIN_PROFILE

    @property
    def unfinished(self) -> str | None:
        """Why the run decides too little to pass: permitted requests could not be made, or no answer had content.

        None where it is whole. The run without the proxy (`reference`) counts too.
        """
        own = self.dead_end or ("the time of the whole check was over" if self.out_of_time else self._no_content)
        return own or (None if self.reference is None else self.reference.unfinished)

    @property
    def _no_content(self) -> str | None:
        """Why an endpoint that only ever failed, hung or answered nothing has not passed by its framing alone."""
        streams = [one.transcript for one in self.observed if one.streams]
        if streams and not self.doubt and not any(transcript.tokens for transcript in streams):
            return f"no stream had content, so most checks had nothing to judge ({_how(streams[0])})"
        # In doubt it is not known which events are tokens, but a failure and a silence show all the same.
        usual = [one.transcript for one in self.of(PLAIN) if one.streams]
        broken = _BROKEN_ANYHOW if self.dialect is not None else (*_BROKEN_ANYHOW, Outcome.EMPTY)
        if usual and all(transcript.outcome in broken for transcript in usual):
            return f"no ordinary stream ended well, so no whole answer was judged ({_how(usual[0])})"
        return None

    def of(self, scenarios: Sequence[str]) -> list[Observed]:
        """The observations of some scenarios, in that order."""
        return [one for name in scenarios for one in self.observed if one.scenario == name]

    @property
    def has_mock(self) -> bool:
        """The upstream is the mock provider: always in the sandwich, and as `mock` says in other positions."""
        return self.position is Position.SANDWICH if self.mock is None else self.mock

    @property
    def guessed(self) -> bool:
        """The dialect was detected in the happy path, not named by the caller."""
        return any(one.transcript.dialect_rule is not None for one in self.of(("happy",)))

    @property
    def dialect_name(self) -> str | None:
        return None if self.dialect is None else self.dialect.name


@dataclass(slots=True)
class Block:
    """The lines between two blank lines, blank lines excluded; `closed` when a blank line ended it."""

    lines: list[Line]
    closed: bool

    @property
    def offset(self) -> int:
        return self.lines[0].offset

    @property
    def fields(self) -> list[Line]:
        """The lines that are not comments."""
        return [line for line in self.lines if not line.is_comment]

    def values(self, name: bytes) -> list[bytes]:
        """The values of one field, in order."""
        return [line.value for line in self.lines if line.field == name]


def blocks(transcript: Transcript) -> Iterator[Block]:
    """The body cut at its blank lines; bytes without a line end at the end of the body belong to the last block."""
    lines: list[Line] = []
    for line in transcript.lines:
        if line.raw:
            lines.append(line)
        elif lines:
            yield Block(lines, True)
            lines = []
    if transcript.pending is not None and transcript.pending.raw:
        lines.append(transcript.pending)
    if lines:
        yield Block(lines, False)


def keys_passed_on(asked: Sequence[Observed]) -> list[Observed]:
    """Those of the requests without a valid credential whose key, or lack of one, the endpoint passed on.

    An endpoint without a key of its own looks the same to its upstream as one that has no key to pass on. Another key
    than none shows which it is.
    """
    keeps_keys = any(seen.credentials and not seen.passes_key_on for seen in asked)
    return [seen for seen in asked if seen.passes_key_on and (seen.credentials or not keeps_keys)]


class Difference(NamedTuple):
    """Where two texts begin to differ: the index in the received text, and what stands there in both."""

    at: int
    received: str
    sent: str

    def __str__(self) -> str:
        received, sent = (printable(text[:_SHOWN]) or "the end" for text in (self.received, self.sent))
        return f"at character {self.at:,} {received!r} instead of {sent!r}"


def first_difference(received: str, sent: str, ignored: str = "") -> Difference | None:
    """The first difference of two texts, not counting the characters in `ignored`; None where there is none."""
    if received == sent:
        return None
    left = [(at, char) for at, char in enumerate(received) if char not in ignored]
    right = [(at, char) for at, char in enumerate(sent) if char not in ignored]
    ends = (len(received), ""), (len(sent), "")
    for got, wanted in zip_longest(left, right):
        (at, one), (place, other) = got or ends[0], wanted or ends[1]
        if one != other:
            return Difference(at, received[at:], sent[place:])
    return None


def excerpt(body: bytes, offset: int) -> tuple[str, int | None]:
    """At most EXCERPT_BYTES of `body` around `offset`, escaped and with secrets masked; and the character of that text
    which shows the byte at `offset`, None where there is none.
    """
    start = whole_character(body, max(0, min(offset, len(body)) - _BEFORE))
    end = start + EXCERPT_BYTES
    text = visible(body[start:end])
    masked = quoted(visible(hidden_part(body, start, end)))
    mark = place_of(text, body[start:offset])
    if mark is not None and masked[: mark + 1] != text[: mark + 1]:
        mark = None
    lead = "…" if start else ""
    tail = "…" if end < len(body) else ""
    return f"{lead}{masked}{tail}", None if mark is None else len(lead) + mark


def _how(transcript: Transcript) -> str:
    return printable(f"{transcript.outcome}: {transcript.detail}" if transcript.detail else transcript.outcome, 300)


def whole_character(body: bytes, at: int) -> int:
    """The place where the UTF-8 character at this place begins: a cut amid it would show a byte that is not there."""
    for _ in range(3):
        if 0 < at < len(body) and body[at] & 0xC0 == 0x80:
            at -= 1
    return at


def place_of(text: str, before: bytes) -> int | None:
    """The index in the escaped `text` of the character after the bytes `before`; None if it is not shown."""
    for cut in range(min(4, len(before) + 1)):
        shown = visible(before[: len(before) - cut])
        if text.startswith(shown):
            return len(shown) if len(shown) < len(text) else None
    return None


def printable(text: str, limit: int = EXCERPT_BYTES) -> str:
    """`text` bounded, with control characters shown as symbols, for messages that quote the endpoint."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _visible(cut)


def visible(data: bytes) -> str:
    """Bytes as text in which every control character and every byte that is not UTF-8 is visible."""
    return _visible(data.decode("utf-8", "surrogateescape"))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    # Not \n and \u2028: JSON writes these escapes, and it matters whether the wire held the escape or the character.
    return _BEYOND_ASCII.sub(lambda found: _name(found[0]), text)


def _name(char: str) -> str:
    """A printable character itself; any other by a name."""
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ␊ ␍ ␉
    if 0xDC80 <= code <= 0xDCFF:
        return f"<0x{code - 0xDC00:02X}>"
    return f"<U+{code:04X}>"
