"""One stream as a timeline: its moments, its reads, and its stalls. Pure, no IO."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice, pairwise
from statistics import median
from typing import Final, NamedTuple

from streamgauge.leaks import brief
from streamgauge.metrics.facts import STALL_FACTOR, STALL_FLOOR_NS
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.scattered import hidden_texts
from streamgauge.protocol.transcript import Transcript

_SHOWN: Final = 40  # characters of a text
_SEARCHED: Final = 400  # texts, and characters of each


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
        found.append(
            Mark(transcript.time_of(tokens[0][0]) - start, "first token", _beginning(text for _, text in tokens))
        )
        answers = [found for found in transcript.deltas if found.delta.kind is Kind.CONTENT and found.delta.text]
        if answers and transcript.events[answers[0].event] is not tokens[0][0]:
            at_ns = transcript.time_of(transcript.events[answers[0].event]) - start
            found.append(Mark(at_ns, "first answer", _beginning(answer.delta.text for answer in answers)))
    times = [transcript.time_of(event) - start for event, _ in tokens]
    gaps = [after - before for before, after in pairwise(times)]
    if gaps:
        limit = max(STALL_FACTOR * median(gaps), STALL_FLOOR_NS)
        for index, gap in enumerate(gaps):
            if gap > limit:
                found.append(Mark(times[index], "stall", f"nothing for {gap / 1e6:.0f} ms after token {index + 1}"))
        found.append(Mark(times[-1], "last token", f"token event {len(times)}"))
    if capture.end_ns is not None:
        found.append(Mark(capture.end_ns - start, "end", transcript.detail or capture.end or ""))
    return sorted(found, key=lambda mark: mark.at_ns)


def _beginning(texts: Iterable[str]) -> str:
    """The first of the texts as it may be shown: a secret may begin in it and end in a later one."""
    first, *_ = hidden_texts([text[:_SEARCHED] for text in islice(texts, _SEARCHED)])
    return repr(first[:_SHOWN])


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
