"""Tapes: an answer written down as bytes and times, played into the values that checks read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamgauge.conformance import profiles
from streamgauge.conformance.cases import Case, Observed, Position, Release
from streamgauge.conformance.result import Verdict
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.protocol import dialects
from streamgauge.protocol.reader import interpret
from streamgauge.transport.exchange import Kept
from streamgauge.units import MS
from streamgauge.wire import Capture, End, Framing, FramingFault, Head, Read

START_NS = 1_800_000_000_000_000_000
GOOD_HEADERS = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
    ("Transfer-Encoding", "chunked"),
)


def headers(**changes: str | None) -> tuple[tuple[str, str], ...]:
    """GOOD_HEADERS with some replaced, added or (None) left out; `_` stands for `-`."""
    wanted = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    kept = [(name, wanted.pop(name.lower(), value)) for name, value in GOOD_HEADERS]
    return tuple((name, value) for name, value in [*kept, *wanted.items()] if value is not None)


@dataclass(frozen=True, kw_only=True)
class Tape:
    """One exchange. `timed` gives the reads in ms since the start; else `body` comes in one read, or in pieces."""

    body: bytes = b""
    timed: tuple[tuple[float, bytes], ...] | None = None
    scenario: str = "happy"
    variant: str | None = None
    status: int | None = 200
    headers: tuple[tuple[str, str], ...] = GOOD_HEADERS
    http_version: str = "1.1"
    dialect: str | None = None
    end: End = End.COMPLETE
    end_ms: float | None = None
    sent_ms: float | None = 0  # None: no connection
    head_ms: float = 1
    framing: Framing = Framing.CHUNKED
    fault: FramingFault | None = None
    detail: str | None = None
    trailing: bytes = b""
    method: str = "POST"
    url: str = "http://x/chat"
    request: bytes = b""
    request_body: bytes | None = None
    prompt: str = ""
    origin: str | None = None
    offers_gzip: bool = False
    said: str | None = None
    silence_ns: int | None = None
    size: int | None = None
    upstream: Upstream | None = None
    steps: tuple[Release, ...] = ()
    credentials: frozenset[str] = frozenset()
    crowded: str | None = None
    reused: bool = False
    kept: Kept | None = None
    start_ms: float = 0
    directed: bool = False

    def play(self, piece: int | None = None) -> Observed:
        """The observation; `piece` cuts an untimed body into reads of so many bytes."""
        sent_ns = None if self.sent_ms is None else START_NS + round(self.sent_ms * MS)
        start_ns = START_NS + round(self.start_ms * MS)
        capture = Capture(start_ns, method=self.method, sent_ns=sent_ns, end=self.end, detail=self.detail)
        capture.trailing, capture.fault, capture.reused = self.trailing, self.fault, self.reused
        capture.request = self.request
        if self.status is not None:
            capture.head = Head(self.status, "", self.http_version, self.headers)
            capture.framing, capture.head_read = self.framing, 0
            head_ns = START_NS + round(self.head_ms * MS)
            capture.reads.append(Read(head_ns, head_ns, 100))
        size = piece or max(len(self.body), 1)
        cut = [(2 + index, self.body[at : at + size]) for index, at in enumerate(range(0, len(self.body), size))]
        for at_ms, data in cut if self.timed is None else self.timed:
            at_ns = START_NS + round(at_ms * MS)
            capture.reads.append(Read(at_ns, at_ns, len(data)))
            capture.body.append((len(capture.reads) - 1, data))
        last_ns = capture.reads[-1].t_ns if capture.reads else START_NS
        capture.end_ns = last_ns if self.end_ms is None else START_NS + round(self.end_ms * MS)
        dialect = dialects.by_name(self.dialect) if self.dialect else None
        return Observed(
            scenario=self.scenario,
            transcript=interpret(capture, dialect, keep=True),
            variant=self.variant,
            method=self.method,
            url=self.url,
            request_body=self.request_body,
            prompt=self.prompt,
            curl="curl -sN http://x/chat",
            origin=self.origin,
            offers_gzip=self.offers_gzip,
            upstream=self.upstream,
            expected_text=self.said,
            silence_ns=self.silence_ns,
            size=self.size,
            steps=self.steps,
            credentials=self.credentials,
            crowded=self.crowded,
            kept=self.kept,
            directed=self.directed,
        )


@dataclass(frozen=True)
class Example:
    """What one check must say of some tapes."""

    check: str
    verdict: Verdict
    tapes: tuple[Tape, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def case(self, piece: int | None = None) -> Case:
        observed = [tape.play(piece) for tape in self.tapes]
        facts = {"method": "POST", "position": Position.DIRECT, **self.facts}
        if "dialect" in facts:
            facts["dialect"] = dialects.by_name(facts["dialect"])
        else:
            facts["dialect"] = next((one.transcript.dialect for one in observed if one.transcript.dialect), None)
        if "profile" in facts:
            facts["profile"] = profiles.by_name(facts["profile"])
        return Case(observed=observed, **facts)


class Examples:
    """Collects the examples of one file."""

    def __init__(self) -> None:
        self.all: list[Example] = []

    def add(self, check: str, verdict: str, *tapes: Tape, **facts: Any) -> None:
        """Tapes that make `check` say `verdict`."""
        self.all.append(Example(check, Verdict(verdict), tapes, facts))

    def bodies(self, check: str, verdicts: dict[str, Sequence[bytes]], **tape: Any) -> None:
        """Bodies of the happy path that make `check` say each verdict."""
        for verdict, bodies in verdicts.items():
            for body in bodies:
                self.add(check, verdict, Tape(body=body, **tape))


def chunk(text: str | None = "Hi", *, finish: str | None = None, **changes: Any) -> dict[str, Any]:
    """A chat.completion.chunk."""
    delta: dict[str, Any] = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return whole | changes


def ledger(*, end: str | None = None, disconnect_ns: int | None = None, token_ns: list[int] | None = None) -> Upstream:
    """What the mock's ledger says of one stream."""
    return Upstream(1, end, disconnect_ns, "fin" if disconnect_ns else None, token_ns or [], 0, 100_000)
