"""One stream as a timeline: its moments, its reads, and its stalls. Pure, no IO."""

import itertools
from collections import Counter
from statistics import median
from typing import NamedTuple

from streamgauge.leaks import brief
from streamgauge.metrics.facts import STALL_FACTOR, STALL_FLOOR_NS
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.transcript import Transcript


class Mark(NamedTuple):
    """A moment (ns since the start), its name, and a note."""

    at_ns: int
    name: str
    note: str = ""


class ReadRow(NamedTuple):
    """One read: arrival (ns since start), client lag (ns; None without a kernel stamp), bytes, events, tokens."""

    at_ns: int
    lag_ns: int | None
    size: int
    events: int
    tokens: int


def marks(transcript: Transcript) -> list[Mark]:
    """The stream's moments in order of time."""
    capture = transcript.capture
    start = capture.start_ns
    found: list[Mark] = []
    at = 0
    if capture.dns_ns is not None:
        at += capture.dns_ns
        found.append(Mark(at, "resolved", f"the name look-up took {capture.dns_ns / 1e6:.2f} ms"))
    if capture.connect_ns is not None:
        at += capture.connect_ns
        found.append(Mark(at, "connected", f"that took {capture.connect_ns / 1e6:.2f} ms"))
    elif capture.reused:
        found.append(Mark(0, "connected", "an idle connection was reused"))
    if capture.tunnel_ns is not None:
        at += capture.tunnel_ns
        found.append(Mark(at, "tunnel open", f"the proxy took {capture.tunnel_ns / 1e6:.2f} ms"))
    if capture.tls_ns is not None:
        at += capture.tls_ns
        found.append(Mark(at, "TLS ready", f"the handshake took {capture.tls_ns / 1e6:.2f} ms"))
    if capture.sent_ns is not None:
        found.append(Mark(capture.sent_ns - start, "request sent", f"{len(capture.request):,} bytes"))
    if capture.headers_ns is not None and capture.head is not None:
        found.append(
            Mark(
                capture.headers_ns - start,
                "headers",
                f"HTTP {capture.head.status} {brief(capture.head.get('content-type') or '-')}",
            )
        )
    # While the dialect is uncertain, it is not known which events are tokens.
    events, tokens = transcript.events, [] if transcript.dialect_doubt else transcript.tokens
    if events:
        found.append(Mark(transcript.time_of(events[0]) - start, "first event", f"event: {brief(events[0].type)}"))
    if tokens:
        found.append(Mark(transcript.time_of(tokens[0][0]) - start, "first token", repr(tokens[0][1][:40])))
        answer = next((f for f in transcript.deltas if f.delta.kind is Kind.CONTENT and f.delta.text), None)
        if answer is not None and transcript.events[answer.event] is not tokens[0][0]:
            at_ns = transcript.time_of(transcript.events[answer.event]) - start
            found.append(Mark(at_ns, "first answer", repr(answer.delta.text[:40])))
    times = [transcript.time_of(event) - start for event, _ in tokens]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    if gaps:
        limit = max(STALL_FACTOR * median(gaps), STALL_FLOOR_NS)
        for index, gap in enumerate(gaps):
            if gap > limit:
                found.append(Mark(times[index], "stall", f"nothing for {gap / 1e6:.0f} ms after token {index + 1}"))
        found.append(Mark(times[-1], "last token", f"token event {len(times)}"))
    if capture.end_ns is not None:
        found.append(Mark(capture.end_ns - start, "end", transcript.detail or capture.end or ""))
    return sorted(found, key=lambda mark: mark.at_ns)


def reads(transcript: Transcript) -> list[ReadRow]:
    """Every read, with the number of events and tokens that it completed."""
    capture = transcript.capture
    events = Counter(event.read_index for event in transcript.events)
    tokens = Counter(event.read_index for event, _ in transcript.tokens if not transcript.dialect_doubt)
    return [
        ReadRow(
            read.t_ns - capture.start_ns,
            read.user_ns - read.t_ns if read.stamped else None,
            read.size,
            events[index],
            tokens[index],
        )
        for index, read in enumerate(capture.reads)
    ]
