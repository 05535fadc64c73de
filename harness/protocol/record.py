"""The stream record: what one stream was, in a form that every metric, verdict and report can be recomputed from.

A token's time is the time of the read that completed its event, so the record stores reads once and, for each
token event, the index of its read. Two tokens of one read share it: that is coalescing, and it shows.
"""

from operator import sub
from typing import Any, Final

import msgspec

from streamgauge.protocol.dialects.base import TOKEN_KINDS, Kind
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Found, Transcript, first_of

SCHEMA: Final = 1
MAX_READS: Final = 200_000


class Reads(msgspec.Struct, frozen=True, omit_defaults=True):
    """Each read: arrival relative to `start_ns`, client lag, size on the wire; parallel arrays."""

    at_ns: list[int]
    lag_ns: list[int]
    bytes: list[int]


class Waits(msgspec.Struct, frozen=True):
    """Of the reads whose stamp does not tell when their tokens came (see `metrics.validity.doubtful`): how long what
    came first in each may have waited for this client, which its event loop tells; parallel arrays.
    """

    reads: list[int]
    ns: list[int]


class StreamRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One stream. `start_ns` and `intended_ns` are epoch ns; every other `*_ns` is ns since `start_ns`, except
    `dns_ns`, `connect_ns`, `tunnel_ns`, `tls_ns`, `handshake_ns` (the round trip of TCP's handshake as the kernel
    measured it), which are durations. What did not happen is absent. `intended_ns` is when an open loop wanted the
    stream to start; `warmup` marks one that started before the figures begin. `asked_prompt_tokens` is the prompt's
    length as this client counts it (see run.json: settings), `usage_prompt_tokens` as the server does.

    `worker` is the process id on one machine, and the number that the master gave under `load --master`; there the
    epoch times are the master's: a worker adds the offset of its clock where that is larger than its error.
    """

    schema: int
    id: str
    outcome: Outcome
    detail: str | None = None
    scenario: str | None = None
    worker: int | None = None
    method: str
    url: str
    dialect: str | None = None
    status: int | None = None
    start_ns: int
    intended_ns: int | None = None
    warmup: bool = False
    reused: bool = False
    dns_ns: int | None = None
    connect_ns: int | None = None
    tunnel_ns: int | None = None
    tls_ns: int | None = None
    handshake_ns: int | None = None
    sent_ns: int | None = None
    first_byte_ns: int | None = None
    headers_ns: int | None = None
    first_event_ns: int | None = None
    first_chunk_ns: int | None = None
    first_answer_ns: int | None = None
    end_ns: int | None = None
    closed_ns: int | None = None
    events: int = 0
    comments: int = 0
    reads: Reads = msgspec.field(default_factory=lambda: Reads([], [], []))
    token_reads: list[int] = []
    token_chars: int = 0
    output_tokens: int | None = None
    tokens_source: str | None = None
    asked_prompt_tokens: int | None = None
    asked_output_tokens: int | None = None
    usage_prompt_tokens: int | None = None
    finish_reason: str | None = None
    stamp_source: str | None = None
    unstamped_reads: int = 0
    wire_bytes: int = 0
    waits: Waits | None = None

    @property
    def token_ns(self) -> list[int]:
        """Arrival of each token event, ns since `start_ns`."""
        return list(map(self.reads.at_ns.__getitem__, self.token_reads))


def record_of(
    transcript: Transcript,
    stream_id: str,
    *,
    url: str,
    scenario: str | None = None,
    intended_ns: int | None = None,
    warmup: bool = False,
    worker: int | None = None,
    asked_prompt_tokens: int | None = None,
    asked_output_tokens: int | None = None,
) -> StreamRecord:
    """The record of an interpreted stream. `url` must already be masked."""
    capture = transcript.capture
    start = capture.start_ns

    def since(at: int | None) -> int | None:
        return None if at is None else at - start

    events, deltas = transcript.events, transcript.deltas
    tokens: list[int] = []
    chars = 0
    last = -1
    others: list[Found] = []
    for found in deltas:
        index, (kind, text, _) = found
        if kind is not Kind.CONTENT:
            others.append(found)
        if text and kind in TOKEN_KINDS:
            chars += len(text)
            if index != last:
                tokens.append(events[index].read_index)
            last = index
    answer = next((f for f in deltas if f.delta.kind is Kind.CONTENT and f.delta.text), None)
    done = first_of(others, Kind.DONE) or first_of(others, Kind.ERROR)
    last_byte = capture.reads[-1].t_ns if capture.reads else None
    usage_tokens = _usage(others, "completion_tokens", "output_tokens")
    finish = first_of(others, Kind.FINISH)
    arrivals, taken, sizes, stamped = zip(*capture.reads, strict=True) if capture.reads else ((), (), (), ())
    return StreamRecord(
        schema=SCHEMA,
        id=stream_id,
        outcome=transcript.outcome,
        detail=transcript.detail,
        scenario=scenario,
        worker=worker,
        method=capture.method,
        url=url,
        dialect=transcript.dialect.name if transcript.dialect else None,
        status=capture.head.status if capture.head else None,
        start_ns=start,
        intended_ns=intended_ns,
        warmup=warmup,
        reused=capture.reused,
        dns_ns=capture.dns_ns,
        connect_ns=capture.connect_ns,
        tunnel_ns=capture.tunnel_ns,
        tls_ns=capture.tls_ns,
        handshake_ns=capture.handshake_ns,
        sent_ns=since(capture.sent_ns),
        first_byte_ns=since(capture.first_byte_ns),
        headers_ns=since(capture.headers_ns),
        first_event_ns=since(transcript.time_of(events[0])) if events else None,
        first_chunk_ns=since(transcript.time_of(events[deltas[0].event])) if deltas else None,
        first_answer_ns=since(transcript.time_of(events[answer.event])) if answer else None,
        end_ns=since(transcript.time_of(events[done.event]) if done else last_byte),
        closed_ns=since(capture.end_ns),
        events=len(events),
        comments=transcript.comments,
        reads=Reads(
            [t_ns - start for t_ns in arrivals[:MAX_READS]],
            list(map(sub, taken[:MAX_READS], arrivals[:MAX_READS])),
            list(sizes[:MAX_READS]),
        ),
        token_reads=[read for read in tokens if read < MAX_READS],
        token_chars=chars,
        output_tokens=usage_tokens if usage_tokens is not None else (len(tokens) or None),
        tokens_source="usage" if usage_tokens is not None else ("token events" if tokens else None),
        asked_prompt_tokens=asked_prompt_tokens,
        asked_output_tokens=asked_output_tokens,
        usage_prompt_tokens=_usage(others, "prompt_tokens", "input_tokens"),
        finish_reason=finish.delta.value if finish else None,
        stamp_source=capture.stamp_source,
        unstamped_reads=stamped.count(False),
        wire_bytes=sum(sizes),
    )


def _usage(deltas: list[Found], *names: str) -> int | None:
    """A count that the server gives, under the name that OpenAI or Anthropic has for it."""
    usage: dict[str, Any] = {}
    for _, delta in deltas:
        if delta.kind is Kind.USAGE and isinstance(delta.value, dict):
            usage |= delta.value
    for key in names:
        if isinstance(usage.get(key), int) and usage[key] > 0:
            return int(usage[key])
    return None
