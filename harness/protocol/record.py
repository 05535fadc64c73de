"""The stream record: the data of one stream from which every metric, verdict and report can be computed again.

A token's time is the time of the read that completed its event. So the record stores each read once and, for each
token event, the index of its read. Two tokens with the same index arrived together: coalescing stays visible.
"""

from itertools import repeat
from operator import sub
from typing import Any, Final, NamedTuple, Required, Self, TypedDict, Unpack

import msgspec

from streamgauge.leaks import brief
from streamgauge.protocol.dialects.base import TOKEN_KINDS, Kind
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.numbers import Answer, Count, Ns, TokenCount, prompt_counts, token_count
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Found, Transcript, first_of
from streamgauge.units import SECOND
from streamgauge.wire import Arrivals, End

SCHEMA: Final = 1
MAX_READS: Final = 200_000


class Reads(msgspec.Struct, frozen=True, omit_defaults=True):
    """Each read: arrival relative to `start_ns`, client lag, size on the wire; parallel arrays."""

    at_ns: list[Ns]
    lag_ns: list[Ns]
    bytes: list[Count]


class Waits(msgspec.Struct, frozen=True):
    """For each read whose stamp says too little about its tokens (see `metrics.validity.doubtful`): how long the read's
    first bytes may have waited for this client, by how late its event loop ran. Parallel arrays.
    """

    reads: list[int]
    ns: list[Ns]


class StreamRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One stream. A field whose event did not happen is absent.

    `start_ns` and `intended_ns` (when an open loop, or a user of shared connections, wanted the stream to start) are
    epoch ns. `dns_ns`, `connect_ns`, `tunnel_ns`, `tls_ns` and `handshake_ns` (TCP's own handshake, measured by the
    kernel) are durations. Every other `*_ns` is ns since `start_ns`.

    `warmup` marks a stream that started before the figures begin. `asked_prompt_tokens` is the prompt's length as this
    client counts it (see run.json: settings), `usage_prompt_tokens` the same as the server counts it, and
    `usage_cached_tokens` the part of it that came from a cache of the server.

    `session` names the conversation, and `turn` counts its requests from 1. `replica` is the name of the replica that
    answered, from a field of the response head.

    `worker` is a process id, or under `load --master` the number that the master gave. There the epoch times are those
    of the master's clock: a worker adds the offset of its own clock when the offset is larger than its error.
    """

    schema: int
    id: str
    outcome: Outcome
    detail: str | None = None
    scenario: str | None = None
    worker: Count | None = None
    method: str
    url: str
    dialect: str | None = None
    status: Count | None = None
    start_ns: Ns
    intended_ns: Ns | None = None
    warmup: bool = False
    reused: bool = False
    dns_ns: Ns | None = None
    connect_ns: Ns | None = None
    tunnel_ns: Ns | None = None
    tls_ns: Ns | None = None
    handshake_ns: Ns | None = None
    sent_ns: Ns | None = None
    first_byte_ns: Ns | None = None
    headers_ns: Ns | None = None
    first_event_ns: Ns | None = None
    first_chunk_ns: Ns | None = None
    first_answer_ns: Ns | None = None
    end_ns: Ns | None = None
    closed_ns: Ns | None = None
    events: Count = 0
    comments: Count = 0
    reads: Reads = msgspec.field(default_factory=lambda: Reads([], [], []))
    token_reads: list[int] = []
    token_chars: Count = 0
    output_tokens: Count | None = None
    tokens_source: str | None = None
    asked_prompt_tokens: Count | None = None
    asked_output_tokens: Count | None = None
    usage_prompt_tokens: Count | None = None
    usage_cached_tokens: Count | None = None
    usage_doubt: str | None = None
    finish_reason: str | None = None
    stamp_source: str | None = None
    unstamped_reads: Count = 0
    wire_bytes: Count = 0
    waits: Waits | None = None
    session: str | None = None
    turn: Count | None = None
    replica: str | None = None

    def __repr__(self) -> str:
        why = f" ({self.detail})" if self.detail else ""
        return f"<StreamRecord {self.id} {self.outcome}{why}: {len(self.token_reads)} token events>"

    @property
    def token_ns(self) -> list[int]:
        """Arrival of each token event, ns since `start_ns`."""
        return list(map(self.reads.at_ns.__getitem__, self.token_reads))


def contradicts_itself(record: StreamRecord) -> bool:
    """Whether the parts of a record that was read do not fit together, so that no figure can be made of it."""
    reads, tokens, waits = record.reads, record.token_reads, record.waits
    count = len(reads.at_ns)
    if not len(reads.lag_ns) == len(reads.bytes) == count:
        return True
    if tokens and not 0 <= min(tokens) <= max(tokens) < count:
        return True
    return waits is not None and not (
        len(waits.reads) == len(waits.ns) and all(0 <= read < count for read in waits.reads)
    )


_TIMES: Final = [
    name for name in StreamRecord.__struct_fields__ if name.endswith("_ns") and name not in ("start_ns", "intended_ns")
]
"""The fields that are times or durations of the stream; without the epoch times."""


class Labels(TypedDict, total=False):
    """The fields of a record that its stream does not tell. `url` must already be masked."""

    url: Required[str]
    scenario: str | None
    intended_ns: int | None
    warmup: bool
    worker: int | None
    asked_prompt_tokens: int | None
    asked_output_tokens: int | None
    session: str | None
    turn: int | None


class ReadColumns(NamedTuple):
    """The reads of a stream in columns: arrival since the start, client lag, size, and how many had no kernel stamp."""

    at_ns: list[int]
    lag_ns: list[int]
    sizes: list[int]
    unstamped: int

    @classmethod
    def of(cls, start_ns: int, arrivals: Arrivals) -> Self:
        """The columns of packed reads."""
        at_ns = list(map(sub, arrivals.t_ns, repeat(start_ns)))
        lag_ns = list(map(sub, arrivals.user_ns, arrivals.t_ns))
        return cls(at_ns, lag_ns, list(arrivals.sizes), len(arrivals.unstamped))

    @property
    def stamp_source(self) -> str | None:
        """See `Capture.stamp_source`."""
        if not self.at_ns:
            return None
        return "kernel" if not self.unstamped else "user" if self.unstamped == len(self.at_ns) else "mixed"


def record_of(transcript: Transcript, stream_id: str, **labels: Unpack[Labels]) -> StreamRecord:
    """The record of an interpreted stream."""
    start, reads = transcript.capture.start_ns, transcript.capture.reads
    arrivals, taken, sizes, stamped, _ = zip(*reads, strict=True) if reads else ((), (), (), (), ())
    columns = ReadColumns(
        [t_ns - start for t_ns in arrivals], list(map(sub, taken, arrivals)), list(sizes), stamped.count(False)
    )
    parts = parts_of(transcript.events, transcript.deltas)
    return assemble(transcript, columns, parts, len(transcript.events), stream_id, labels)


def assemble(
    transcript: Transcript, reads: ReadColumns, parts: "Parts", events: int, stream_id: str, labels: Labels
) -> StreamRecord:
    """The record of a stream with this many events.

    `parts` are of all events. The transcript may lack events that are only text, if an earlier event is of their kind.
    """
    capture, at_ns = transcript.capture, reads.at_ns
    start = capture.start_ns
    wire_bytes = sum(reads.sizes)
    usage = _usage(parts.signals)
    answer = Answer(wire_bytes, parts.token_chars, at_ns[-1] if at_ns else 0)
    output = token_count(usage, ("completion_tokens", "output_tokens"), answer)
    prompt = prompt_counts(usage)
    output_tokens, tokens_source = _output_tokens(output, parts)
    finish = first_of(parts.signals, Kind.FINISH)
    return StreamRecord(
        schema=SCHEMA,
        id=stream_id,
        outcome=transcript.outcome,
        detail=transcript.detail,
        method=capture.method,
        dialect=transcript.dialect.name if transcript.dialect else None,
        status=capture.head.status if capture.head else None,
        start_ns=start,
        reused=capture.reused,
        dns_ns=capture.dns_ns,
        connect_ns=capture.connect_ns,
        tunnel_ns=capture.tunnel_ns,
        tls_ns=capture.tls_ns,
        handshake_ns=capture.handshake_ns,
        sent_ns=_since(start, capture.sent_ns),
        first_byte_ns=at_ns[0] if at_ns else None,
        headers_ns=None if capture.head_read is None else at_ns[capture.head_read],
        first_event_ns=at_ns[transcript.events[0].read_index] if transcript.events else None,
        first_chunk_ns=_event_ns(transcript, at_ns, transcript.deltas[0].event if transcript.deltas else None),
        first_answer_ns=_event_ns(transcript, at_ns, _first_answer(transcript)),
        end_ns=_end_ns(transcript, at_ns, parts.signals),
        closed_ns=_since(start, capture.end_ns),
        events=events,
        comments=transcript.comments,
        reads=Reads(at_ns[:MAX_READS], reads.lag_ns[:MAX_READS], reads.sizes[:MAX_READS]),
        token_reads=_kept(parts.token_reads),
        token_chars=parts.token_chars,
        output_tokens=output_tokens,
        tokens_source=tokens_source,
        usage_prompt_tokens=prompt.tokens,
        usage_cached_tokens=prompt.cached,
        usage_doubt=output.doubt or prompt.doubt,
        finish_reason=brief(finish.delta.value) if finish and finish.delta.value is not None else None,
        stamp_source=reads.stamp_source,
        unstamped_reads=reads.unstamped,
        wire_bytes=wire_bytes,
        **labels,
    )


def without_times(record: StreamRecord, clock_set_ns: int, end: End | None) -> StreamRecord:
    """The record of a stream in which the clock of this machine was set: only what needs no clock is left.

    An outcome that rests on a time, and success, which has to be measured, become a limit of this client.
    """
    timed = record.outcome is Outcome.OK or end is End.TIMEOUT
    return msgspec.structs.replace(
        record,
        outcome=Outcome.CLIENT_LIMIT if timed else record.outcome,
        detail=clock_was_set(clock_set_ns) if timed else record.detail,
        reads=Reads([], [], []),
        token_reads=[],
        waits=None,
        stamp_source=None,
        unstamped_reads=0,
        **dict.fromkeys(_TIMES),
    )


def clock_was_set(by_ns: int) -> str:
    """Why a stream has no times."""
    return f"the clock of this machine was set by {by_ns / SECOND:+.3f} s while the stream ran, so it has no times"


class Parts(NamedTuple):
    """The deltas of a stream, sorted: the read of each token event, the tokens' length in characters, and all deltas
    that are not content, which are few and are searched several times.
    """

    token_reads: list[int]
    token_chars: int
    signals: list[Found]


def parts_of(events: list[Event], deltas: list[Found]) -> Parts:
    """One pass over all deltas, because several passes would cost more than the rest of the record."""
    token_reads: list[int] = []
    signals: list[Found] = []
    chars = 0
    last = -1
    for found in deltas:
        index, (kind, text, _) = found
        if kind is not Kind.CONTENT:
            signals.append(found)
        if text and kind in TOKEN_KINDS:
            chars += len(text)
            if index != last:  # several deltas of one event are one token event
                token_reads.append(events[index].read_index)
            last = index
    return Parts(token_reads, chars, signals)


def _kept(token_reads: list[int]) -> list[int]:
    """The token events of the reads that a record keeps."""
    if not token_reads or token_reads[-1] < MAX_READS:
        return token_reads
    return [read for read in token_reads if read < MAX_READS]


def _since(start_ns: int, at_ns: int | None) -> int | None:
    return None if at_ns is None else at_ns - start_ns


def _event_ns(transcript: Transcript, at_ns: list[int], index: int | None) -> int | None:
    """Arrival of the event with this index, ns since the start; None without an index."""
    return None if index is None else at_ns[transcript.events[index].read_index]


def _first_answer(transcript: Transcript) -> int | None:
    """The index of the first event with a text of the answer, which is not reasoning or tool arguments."""
    return next((f.event for f in transcript.deltas if f.delta.kind is Kind.CONTENT and f.delta.text), None)


def _end_ns(transcript: Transcript, at_ns: list[int], signals: list[Found]) -> int | None:
    """When the stream ended for its user: at the end marker or the error, else at the last byte."""
    done = first_of(signals, Kind.DONE) or first_of(signals, Kind.ERROR)
    if done is not None:
        return _event_ns(transcript, at_ns, done.event)
    return at_ns[-1] if at_ns else None


def _output_tokens(counted: TokenCount, parts: Parts) -> tuple[int | None, str | None]:
    """The number of generated tokens and its source: the server's own count, else the number of token events."""
    if counted.tokens is not None:
        return counted.tokens, "usage"
    return (len(parts.token_reads), "token events") if parts.token_reads else (None, None)


def _usage(signals: list[Found]) -> dict[str, Any]:
    """The server's usage, under OpenAI's or Anthropic's names; later usage replaces earlier."""
    usage: dict[str, Any] = {}
    for _, delta in signals:
        if delta.kind is Kind.USAGE and isinstance(delta.value, dict):
            usage |= delta.value
    return usage
