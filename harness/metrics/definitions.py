"""The vocabulary as code: one definition each (docs/definitions.md#metrics), of one stream's record.

`METRICS` is the table that the README and every report print; the functions below compute what it says.
"""

import operator
from statistics import median
from typing import Final, NamedTuple

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS

STALL_FLOOR_NS: Final = 500 * MS
STALL_FACTOR: Final = 10
NEUTRAL: Final = frozenset({Outcome.OK, Outcome.CANCELLED, Outcome.INCOMPLETE})
"""Not a failure of the endpoint's: it answered, we left, or the run ended."""
_ENDLESS: Final = frozenset({Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.HTTP_ERROR})
"""What we cut has no end of its own, and an endpoint that refuses is not fast."""
LATE_NS: Final = 10 * MS
"""An arrival that starts this long after its time is late: peers aim at less (inference-perf's schedule delay)."""


class Metric(NamedTuple):
    """A row of the metric table."""

    name: str
    definition: str
    absent: str


METRICS: Final = (
    Metric(
        "ttft",
        "arrival of the first event with generated text (content, reasoning or tool arguments) − start",
        "no token came",
    ),
    Metric("ttfb", "first response byte − start", "no answer"),
    Metric("headers", "end of the response head − start", "no answer"),
    Metric("ttfe", "first event of any kind − start", "no event"),
    Metric("ttfat", "first non-reasoning text − start", "no answer text"),
    Metric("ttst", "second token event − first", "fewer than 2 token events"),
    Metric(
        "itl",
        "gaps between successive token events, pooled over streams; 0 inside one read, counted as coalesced",
        "fewer than 2 token events",
    ),
    Metric(
        "tpot",
        "per stream: (last token − first token) / (output tokens − 1); excludes TTFT",
        "fewer than 2 tokens",
    ),
    Metric(
        "e2e", "end of the stream (end marker, else last byte) − start", "no answer, a refusal, or cut by the client"
    ),
    Metric("schedule_delay", "actual − intended start of a stream of an open loop", "closed loop"),
    Metric(
        "ttft_intended",
        "ttft from the intended start: what a user who came on time waited (coordinated omission)",
        "closed loop, or no token came",
    ),
    Metric("e2e_intended", "e2e from the intended start", "closed loop, or no e2e"),
    Metric(
        "client_lag",
        "user-space read − kernel arrival, per read: the error this client would have added",
        "no kernel stamps",
    ),
    Metric(
        "ttft_bound",
        "per stream: how much later than the truth this client may have put its ttft (late send, merged reads)",
        "no token came",
    ),
    Metric(
        "itl_bound",
        "per gap: how much later than the truth this client may have put its token; 0 where it came in a read alone",
        "fewer than 2 token events",
    ),
    Metric(
        "output_tokens_per_s",
        "output tokens that came in the measured window (warm-up and drain excluded), of whichever stream / its length",
        "no token came",
    ),
    Metric(
        "goodput",
        "share of streams that are ok and meet every SLO; failed ones count, streams cut by the end of the run do not",
        "no stream ended",
    ),
    Metric(
        "stall",
        "a gap between token events above max(10 × the stream's median gap, 500 ms)",
        "fewer than 2 token events",
    ),
    Metric(
        "ttft_any_chunk",
        "first chunk of any content, role included − start (vLLM bench's TTFT)",
        "no chunk came",
    ),
    Metric("tpot_incl_first", "e2e / output tokens (guidellm's TPOT)", "no token came"),
    Metric(
        "itl_request_mean",
        "per stream: mean gap between token events (aiperf's and guidellm's ITL)",
        "fewer than 2 token events",
    ),
)


def ttft_ns(record: StreamRecord) -> int | None:
    """First token event − start."""
    return record.reads.at_ns[record.token_reads[0]] if record.token_reads else None


def schedule_delay_ns(record: StreamRecord) -> int | None:
    """Actual − intended start; None in a closed loop."""
    return None if record.intended_ns is None else record.start_ns - record.intended_ns


def gaps_ns(record: StreamRecord) -> list[int]:
    """Gaps between successive token events."""
    return gaps_of(record.token_ns)


def gaps_of(times: list[int]) -> list[int]:
    """`gaps_ns`, of token times that are known already."""
    return list(map(operator.sub, times[1:], times))


def tpot_ns(record: StreamRecord) -> float | None:
    """(last token − first token) / (output tokens − 1)."""
    tokens, at = record.token_reads, record.reads.at_ns
    if len(tokens) < 2 or record.output_tokens is None or record.output_tokens < 2:
        return None
    return (at[tokens[-1]] - at[tokens[0]]) / (record.output_tokens - 1)


def stalls_ns(record: StreamRecord) -> list[int]:
    """The gaps of this stream that count as stalls."""
    return stalls_of(gaps_ns(record))


def stalls_of(gaps: list[int]) -> list[int]:
    """`stalls_ns`, of gaps that are known already."""
    # Most streams have no gap as long as the floor, and a median costs more than looking.
    if not gaps or max(gaps) <= STALL_FLOOR_NS:
        return []
    limit = max(STALL_FACTOR * median(gaps), STALL_FLOOR_NS)
    return [gap for gap in gaps if gap > limit]


def coalesced(record: StreamRecord) -> int:
    """Token events that arrived in the same read as the one before: their gap says nothing about the server."""
    return len(record.token_reads) - len(set(record.token_reads))


def per_stream(record: StreamRecord, gaps: list[int] | None = None) -> dict[str, float | None]:
    """Every per-stream metric in ns; `gaps` are those of `gaps_ns`, where they are known already."""
    gaps = gaps_ns(record) if gaps is None else gaps
    end_ns = None if record.outcome in _ENDLESS else record.end_ns
    first_ns, delay_ns = ttft_ns(record), schedule_delay_ns(record)
    return {
        "ttft": first_ns,
        "ttfb": record.first_byte_ns,
        "headers": record.headers_ns,
        "ttfe": record.first_event_ns,
        "ttfat": record.first_answer_ns,
        "ttst": gaps[0] if gaps else None,
        "tpot": tpot_ns(record),
        "e2e": end_ns,
        "connect": record.connect_ns,
        "ttft_any_chunk": record.first_chunk_ns,
        "tpot_incl_first": end_ns / record.output_tokens if end_ns and record.output_tokens else None,
        "itl_request_mean": sum(gaps) / len(gaps) if gaps else None,
        "itl": max(gaps) if gaps else None,
        "schedule_delay": delay_ns,
        "ttft_intended": None if first_ns is None or delay_ns is None else first_ns + delay_ns,
        "e2e_intended": None if end_ns is None or delay_ns is None else end_ns + delay_ns,
    }
