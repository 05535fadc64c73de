"""Runs the buffering diagnosis on each path: lockstep, one stream at two paces, and a stream with compression."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Final, NamedTuple
from uuid import uuid4

from streamgauge.clocks import Offset
from streamgauge.diagnosis.culprits import (
    Culprit,
    application_fixes,
    compression_fixes,
    culprit_of,
    proxy_fixes,
)
from streamgauge.diagnosis.lockstep import Lockstep, run_lockstep
from streamgauge.diagnosis.patterns import (
    ConfigFix,
    Delivery,
    DiagnosisFile,
    PathFinding,
    Pattern,
    Shape,
    delivery_of,
    shape_of,
    size_and_window,
    written_in_the_same_bursts,
)
from streamgauge.diagnosis.product import marked_headers
from streamgauge.endpoint.client import StreamClient, not_a_stream
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target, directive
from streamgauge.errors import CannotMeasure
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import MS, ns_to_ms, plural, show_bytes, show_ms
from streamgauge.wire import Head

TOKENS: Final = 150
FAST_NS: Final = 10 * MS
SLOW_NS: Final = 25 * MS
LONG_TOKENS: Final = 3000
LONG_NS: Final = 1 * MS
DEADLINE_S: Final = 60.0
_HEADERS_ON_BUFFERING: Final = (
    "content-type", "content-encoding", "transfer-encoding", "content-length", "cache-control",
    "x-accel-buffering", "x-cache", "age", "cf-ray", "connection",
)  # fmt: skip
_SHOWN_TOKENS: Final = 400
# Real providers do not send X-Accel-Buffering: no, and the header would turn nginx's buffering off.
_NO_ACCEL_FAULT: Final = "no-accel-header"
_CODINGS: Final = ("gzip", "br", "zstd")
"""Each is offered alone: a hop may flush one compressor and not another."""
_IDENTITY: Final[dict[str, str | None]] = {"Accept-Encoding": "identity"}

_STOPPED: Final = (Outcome.STALLED, Outcome.TIMEOUT, Outcome.ERROR_EVENT)
"""Unless the mock wrote more than arrived, the source of such a stream may have stopped by itself."""

_BURSTS: Final = (Pattern.BLOCK_BUFFERED, Pattern.TIME_COALESCED, Pattern.FULLY_BUFFERED)

Progress = Callable[[str], None]


class PathTarget(NamedTuple):
    """A path to the endpoint, and its label in the diagnosis: via or direct."""

    label: str
    target: Target


_SETTLING_TOKENS: Final = 5


class PathObservation(NamedTuple):
    """The measurements on one path, and their classification."""

    path: PathTarget
    finding: PathFinding
    shape: Shape
    head: Head | None


def diagnose(
    client: StreamClient,
    via: PathTarget,
    direct: PathTarget | None,
    mock: MockControl | None,
    progress: Progress = lambda _: None,
) -> DiagnosisFile:
    """Compare the paths and name the hop. Raises CannotMeasure when a path gives no stream."""
    offset = mock.clock() if mock else None
    reference = None
    direct_observation = None
    if direct is not None:
        direct_observation, reference = _look(_Probe(client, direct, mock, offset, progress), None)
    via_observation, _ = _look(_Probe(client, via, mock, offset, progress), reference)
    position = "sandwich" if mock else "via" if direct else "direct"
    return _conclude(position, via_observation, direct_observation)


class _Probe(NamedTuple):
    """Measures one path. Each method makes the requests of one step and reports it."""

    client: StreamClient
    path: PathTarget
    mock: MockControl | None
    offset: Offset | None
    progress: Progress

    def in_one_dialect(self) -> "_Probe":
        """The same with the dialect of the path settled by one whole stream. A lockstep stream cannot settle it: it
        waits for its first token to be recognised.
        """
        target = self.path.target
        if self.mock is None or target.reader() is not None:
            return self
        transcript, _ = self.paced("dialect", MS, _SETTLING_TOKENS)
        return self._replace(path=self.path._replace(target=target.answering_in(transcript.dialect)))

    def lockstep(self, headers: dict[str, str | None] | None = None) -> Lockstep | None:
        """A lockstep stream without X-Accel-Buffering: no from the upstream.

        None where it says nothing about the path: without a mock, and when the answer was no stream of the mock.
        """
        if self.mock is None:
            return None
        self.progress(f"{self.path.label}: lockstep")
        held = run_lockstep(self.client, self.path.target, self.mock, fault=_NO_ACCEL_FAULT, headers=headers)
        return held if held.is_evidence else None

    def passes_with_accel_header(self) -> bool:
        """Whether the path passes lockstep when the upstream sends X-Accel-Buffering: no."""
        if self.mock is None:
            return False
        held = run_lockstep(self.client, self.path.target, self.mock)
        return held.is_evidence and held.passed

    @property
    def offers_compression(self) -> bool:
        """Whether the target's own requests accept a compressed answer."""
        offered = self.path.target.request(self.path.target.prompt).headers.get("Accept-Encoding")
        return offered not in (None, "", "identity")

    def paced(
        self, step: str, itl_ns: int, tokens: int, headers: dict[str, str | None] | None = None
    ) -> tuple[Transcript, Delivery]:
        """Run a stream of `tokens`, one every `itl_ns`.

        Raises CannotMeasure when the answer is not a stream, or one that stops before its end.
        """
        self.progress(f"{self.path.label}: {step}")
        target, stream_id = self.path.target, uuid4().hex[:12]
        order = directive(id=stream_id, tokens=tokens, ttft="100ms", itl=f"{itl_ns / MS:g}ms", fault=_NO_ACCEL_FAULT)
        prompt = f"{target.prompt} {order}" if self.mock else target.prompt
        spec = target.request(prompt, headers=headers)
        transcript = self.client.run(spec, dialect=target.reader(), deadline_s=DEADLINE_S)
        if not transcript.is_stream:
            raise not_a_stream(transcript)
        emitted = self._emissions(stream_id)
        if transcript.outcome in _STOPPED and len(emitted or ()) <= len(transcript.tokens):
            raise CannotMeasure(
                f"the stream stopped after {plural(len(transcript.tokens), 'token')}: {transcript.detail}",
                "a stream that stops at its source does not show what holds tokens back; probe shows how it ends",
            )
        return transcript, delivery_of(transcript, emitted, None if emitted is None else itl_ns)

    def _emissions(self, stream_id: str) -> list[int] | None:
        """When the mock wrote each token, in epoch ns of our clock; None without a ledger entry."""
        if self.mock is None or self.offset is None:
            return None
        entries = self.mock.entries(stream_id, wait_s=2)
        return [at - self.offset.offset_ns for at in entries[-1].token_ns()] if entries else None


def _look(probe: _Probe, reference: Delivery | None) -> tuple[PathObservation, Delivery]:
    """Measure one path. Without a mock, the arrivals of `reference`, the direct path, stand in for the emissions."""
    probe = probe.in_one_dialect()
    held = probe.lockstep()
    transcript, fast = probe.paced(f"{TOKENS} tokens at {show_ms(FAST_NS)}", FAST_NS, TOKENS)
    if reference is not None and fast.emitted_ns is None:
        fast = _with_reference(fast, reference)
    shape = _timed_shape(probe, fast, held)
    if held is not None:
        shape = agreed(shape, held, fast)
        if not held.passed and probe.passes_with_accel_header():
            proof = "when the upstream sends X-Accel-Buffering: no, this path passes lockstep: this fix is proven"
            shape = shape._replace(evidence=[*shape.evidence, proof])
    elif probe.mock is not None:
        why = "no lockstep: the mock's ledger has no such stream, so the class rests on arrival times alone"
        shape = shape._replace(evidence=[*shape.evidence, why])
    shape = _compressed_shape(probe, fast, shape)
    path = probe.path
    return PathObservation(path, _finding(path, transcript, fast, shape), shape, transcript.capture.head), fast


def _timed_shape(probe: _Probe, fast: Delivery, held: Lockstep | None) -> Shape:
    """The class by arrival times: a longer answer finds a large buffer, a slower pace tells a size from a timer."""
    shape = shape_of(fast)
    if probe.mock and shape.pattern is Pattern.FULLY_BUFFERED:
        _, long = probe.paced("a long answer, to see whether there is a block size", LONG_NS, LONG_TOKENS)
        longer = shape_of(long)
        if longer.pattern is not Pattern.BLOCK_BUFFERED:
            return shape
        why = f"an answer of {show_bytes(sum(fast.read_bytes))} fits into the buffer and arrived whole"
        return longer._replace(window_ns=None, evidence=[*longer.evidence[:1], why])
    if shape.pattern is Pattern.PASS_THROUGH and (held is None or held.passed):
        return shape
    return shape_of(fast, probe.paced(f"{TOKENS} tokens at {show_ms(SLOW_NS)}", SLOW_NS, TOKENS)[1])


def _compressed_shape(probe: _Probe, fast: Delivery, shape: Shape) -> Shape:
    """The class with compression taken into account.

    A compressor is blamed only where the same path passes tokens without it.
    """
    passes = shape.pattern is Pattern.PASS_THROUGH
    if passes and fast.encoding is None:
        return next((held for coding in _CODINGS if (held := _held_under(probe, coding))), shape)
    if fast.encoding and shape.pattern not in (Pattern.PASS_THROUGH, Pattern.UNKNOWN):
        offered = "the request accepts it" if probe.offers_compression else "although the request accepts none"
        coded = f"the answer is compressed (Content-Encoding: {fast.encoding}), {offered}"
        _, plain = probe.paced("without compression", FAST_NS, TOKENS // 2, dict(_IDENTITY))
        if plain.encoding is not None:
            why = f"{coded}; the path has no uncompressed stream to compare with"
            return shape._replace(evidence=[*shape.evidence, why])
        if _agreed_shape(probe, plain, dict(_IDENTITY)).pattern is Pattern.PASS_THROUGH:
            why = f"{coded}; without compression tokens pass"
            return shape._replace(pattern=Pattern.COMPRESSION_HELD, evidence=[*shape.evidence, why])
        why = f"{coded}; tokens are held back without compression too"
        return shape._replace(evidence=[*shape.evidence, why])
    return shape


def _held_under(probe: _Probe, coding: str) -> Shape | None:
    """The class when this coding alone is offered; None when the path does not use it, or passes tokens under it."""
    headers: dict[str, str | None] = {"Accept-Encoding": coding}
    _, compressed = probe.paced(f"with {coding} offered", FAST_NS, TOKENS // 2, headers)
    if compressed.encoding is None:
        return None
    under = _agreed_shape(probe, compressed, headers)
    if under.pattern in (Pattern.PASS_THROUGH, Pattern.UNKNOWN):
        return None
    why = f"tokens pass uncompressed, but under Content-Encoding: {compressed.encoding} {under.evidence[0]}"
    return Shape(Pattern.COMPRESSION_HELD, under.size_bytes, under.window_ns, under.groups, [why])


def _agreed_shape(probe: _Probe, delivery: Delivery, headers: dict[str, str | None]) -> Shape:
    """The class of one delivery, with a lockstep stream of the same headers where there is a mock."""
    held = probe.lockstep(headers)
    return shape_of(delivery) if held is None else agreed(shape_of(delivery), held, delivery)


def agreed(shape: Shape, held: Lockstep, fast: Delivery) -> Shape:
    """Lockstep measures no time, so it decides whether tokens pass. Timing only says how they are held back."""
    return _without_a_buffer(shape, held, fast) if held.passed else _with_a_buffer(shape, held)


def _without_a_buffer(shape: Shape, held: Lockstep, fast: Delivery) -> Shape:
    """The class of a path that passes lockstep: no buffer waits for bytes there, so only time can make bursts."""
    line = f"lockstep: {held.describe()}"
    passing = shape._replace(pattern=Pattern.PASS_THROUGH, size_bytes=None, window_ns=None)
    if shape.pattern not in _BURSTS:
        return passing._replace(evidence=[line, *shape.evidence])
    if written_in_the_same_bursts(fast):
        why = "the mock itself wrote in these bursts: the machine was busy, and the path held nothing back"
        return passing._replace(evidence=[line, *shape.evidence[:1], why])
    # A window of less than a step's timeout passes lockstep too.
    window = shape.window_ns or size_and_window(fast)[1]
    why = "lockstep rules out a buffer that waits for bytes: a timer, or a pause of the upstream, releases the tokens"
    evidence = [*shape.evidence[:1], line, why]
    return Shape(Pattern.TIME_COALESCED, None, window, shape.groups, evidence)


def _with_a_buffer(shape: Shape, held: Lockstep) -> Shape:
    """The class of a path that fails lockstep."""
    line = f"lockstep: {held.describe()}"
    if shape.pattern in (Pattern.PASS_THROUGH, Pattern.UNKNOWN):
        pattern = Pattern.ONE_BEHIND if held.one_behind else Pattern.BLOCK_BUFFERED
        shape = shape._replace(pattern=pattern)
    return shape._replace(evidence=[line, *shape.evidence])


def _with_reference(fast: Delivery, reference: Delivery) -> Delivery:
    if len(reference.arrived_ns) < len(fast.arrived_ns):
        return fast
    emitted = reference.arrived_ns[: len(fast.arrived_ns)]
    gaps = [after - before for before, after in itertools.pairwise(emitted)]
    itl_ns = round(median(gaps)) if gaps else None
    return fast._replace(emitted_ns=emitted, itl_ns=itl_ns, emitted="came on the direct path")


def _finding(path: PathTarget, transcript: Transcript, fast: Delivery, shape: Shape) -> PathFinding:
    arrived = fast.arrived_ns
    gaps = [after - before for before, after in itertools.pairwise(arrived)]
    return PathFinding(
        label=path.label,
        url=path.target.masked_url,
        pattern=shape.pattern,
        size_bytes=shape.size_bytes,
        window_ms=None if shape.window_ns is None else ns_to_ms(shape.window_ns),
        ttft_ms=ns_to_ms(arrived[0]) if arrived else None,
        itl_p50_ms=ns_to_ms(median(gaps)) if gaps else None,
        span_ms=ns_to_ms(arrived[-1] - arrived[0]) if arrived else None,
        tokens=len(arrived),
        groups=shape.groups,
        arrivals_ms=[ns_to_ms(at) for at in arrived[:_SHOWN_TOKENS]],
        emitted_ms=[ns_to_ms(at) for at in (fast.emitted_ns or [])[:_SHOWN_TOKENS]],
        headers=kept_headers(transcript.capture.head),
        evidence=shape.evidence,
    )


def kept_headers(head: Head | None) -> dict[str, str]:
    """The headers that a diagnosis quotes: the marks of products, and those that govern buffering."""
    names = dict.fromkeys((*marked_headers(), *_HEADERS_ON_BUFFERING))
    return {name: value[:200] for name in names if head is not None and (value := head.get(name)) is not None}


def _conclude(position: str, via: PathObservation, direct: PathObservation | None) -> DiagnosisFile:
    shape = via.shape
    buffered = shape.pattern not in (Pattern.PASS_THROUGH, Pattern.UNKNOWN)
    at_source = direct is not None and direct.shape.pattern not in (Pattern.PASS_THROUGH, Pattern.UNKNOWN)
    evidence = [f"{via.path.label}: {line}" for line in shape.evidence]
    if direct is not None:
        evidence += [f"{direct.path.label}: {line}" for line in direct.shape.evidence]
        evidence += _signature(via.finding, direct.finding)
    if not buffered:
        hop, culprit = "none", None
    elif at_source:
        hop, culprit = "the endpoint itself: on the direct path tokens come so too", None
    else:
        culprit = culprit_of(via.head, shape.pattern, shape.window_ns)
        between = "between harness and endpoint" if direct else "on the path (--direct tells proxy from endpoint)"
        hop = f"{culprit.product.name if culprit else 'a hop'} {between}"
        for name in marked_headers():
            if name in via.finding.headers:
                evidence.append(f"the answer's {name.title()} header: {via.finding.headers[name]}")
        # With the mock, the upstream was asked to leave it out.
        if position != "sandwich" and "x-accel-buffering" not in via.finding.headers:
            evidence.append("no X-Accel-Buffering header (a proxy may have removed it)")
    return DiagnosisFile(
        position=position,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        buffered=buffered,
        pattern=shape.pattern,
        size_bytes=shape.size_bytes,
        window_ms=None if shape.window_ns is None else ns_to_ms(shape.window_ns),
        hop=hop,
        culprit=culprit.says if culprit else None,
        answer=_answer(via, hop, buffered),
        evidence=evidence,
        fixes=_fixes(via, culprit, direct if at_source else None) if buffered else [],
        paths=[via.finding] + ([direct.finding] if direct else []),
    )


def _signature(via: PathFinding, direct: PathFinding) -> list[str]:
    """The figures of both paths: a buffer raises TTFT and lowers ITL."""
    if via.ttft_ms is None or direct.ttft_ms is None or via.itl_p50_ms is None or direct.itl_p50_ms is None:
        return []
    line = (
        f"TTFT {direct.ttft_ms:.0f} → {via.ttft_ms:.0f} ms, ITL p50 {direct.itl_p50_ms:.2f} → {via.itl_p50_ms:.2f} ms "
        f"({direct.label} → {via.label})"
    )
    held = via.ttft_ms > 1.5 * direct.ttft_ms and via.itl_p50_ms < 0.5 * direct.itl_p50_ms
    return [line + (": TTFT up and ITL down is the mark of a buffer" if held else "")]


def _answer(via: PathObservation, hop: str, buffered: bool) -> str:
    shape = via.shape
    if shape.pattern is Pattern.UNKNOWN:
        return f"Not classified: {shape.evidence[0]}."
    if not buffered:
        known = bool(via.finding.emitted_ms)
        return f"Pass-through: tokens arrive {'as they are written' if known else 'one by one'}."
    size = f" ({shape.size_bytes:,} bytes)" if shape.size_bytes and shape.pattern is Pattern.BLOCK_BUFFERED else ""
    window = f" ({show_ms(shape.window_ns)})" if shape.window_ns and shape.pattern is Pattern.TIME_COALESCED else ""
    if not via.finding.emitted_ms:
        return f"Tokens arrive {shape.pattern.value}{size}{window}: by {hop}, or the endpoint writes them so."
    return f"Buffered: {shape.pattern.value}{size}{window}, by {hop}."


def _fixes(via: PathObservation, culprit: Culprit | None, source: PathObservation | None) -> list[ConfigFix]:
    """`source` is the direct path where the endpoint itself holds tokens back."""
    if via.shape.pattern is Pattern.COMPRESSION_HELD:
        return compression_fixes(culprit)
    if via.shape.pattern is Pattern.ONE_BEHIND and culprit is None:
        return application_fixes(via.head)  # none of the suspected proxies delivers tokens so
    return application_fixes(source.head) if source else proxy_fixes(culprit)
