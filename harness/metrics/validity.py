"""Whether the client could have distorted the figures: what each TTFT and each gap can be off by, and a rule over them.

The kernel's stamps make a late read harmless as long as a read holds one segment. What is left:

- The request left late: between `start_ns` and `sent_ns` lies the client's own queue (and the network's handshakes).
- Segments merged: a late `recvmsg` takes several and the kernel gives the stamp of the last. A token then seems as late
  as what came behind it. The lag does not show that, because it is counted from the same stamp: at 200 tokens/s a
  client that is 300 ms behind still reads lags below 5 ms. What shows it is how late its event loop ran meanwhile.
- A read without a stamp: its time is the client's own.

So the verdict rests on these bounds. Lag and lateness by themselves put off no stamp, only what the users do next.
"""

from collections import Counter
from typing import Final, NamedTuple

import msgspec

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS

LATE_READ_NS: Final = 3 * MS
"""Lag from which a read with several events counts as merged by us. Under load reads are collected once a millisecond,
so a lag of one or two is how the client works, and not a sign that it fell behind.
"""


class Validity(msgspec.Struct, frozen=True):
    """Whether the client could have distorted the figures, with the rule and the numbers it was applied to."""

    verdict: str
    rule: str
    reasons: list[str]


class ClientEvidence(NamedTuple):
    """What a run knows of its client. Times in ms, shares as fractions; None where it is not known."""

    ttft_bound_p99: float | None = None
    itl_bound_p99: float | None = None
    loop_late_p99: float | None = None
    unstamped_share: float | None = None
    busiest_core: float | None = None
    schedule_delay_p99: float | None = None


class Limit(NamedTuple):
    """Above `suspect` the verdict is SUSPECT, above `invalid` (if any) INVALID."""

    field: str
    what: str
    suspect: float
    invalid: float | None
    meaning: str

    def show(self, value: float) -> str:
        share = self.what.startswith("share")
        # A value above its limit must not be rounded down onto it.
        near = abs(value - self.suspect) < 0.01
        return f"{value:.{4 if near else 1}%}" if share else f"{value:.{6 if near else 2}f} ms"


LIMITS: Final = (
    Limit("ttft_bound_p99", "TTFT error bound p99", 5, 50, "what this client cannot rule out of its own TTFT figures"),
    Limit("itl_bound_p99", "ITL error bound p99", 5, 50, "tokens may have waited for each other in this client"),
    Limit("loop_late_p99", "event loop lateness p99", 100, None, "users began their next stream late: less load"),
    Limit("unstamped_share", "share of reads without a kernel stamp", 0.01, None, "their times are the client's own"),
    Limit("busiest_core", "share of a core that a process used or waited for", 0.9, None, "it had no time to spare"),
    Limit("schedule_delay_p99", "schedule delay p99", 10, None, "streams began later than the load model wanted"),
)


def _limit(limit: Limit) -> str:
    share = limit.what.startswith("share")
    suspect, invalid = (
        "" if v is None else f"{v:.0%}" if share else f"{v:g} ms" for v in (limit.suspect, limit.invalid)
    )
    return f"{limit.what} above {suspect}" + (f" ({invalid})" if invalid else "")


VALIDITY_RULE: Final = (
    f"SUSPECT when any of these is exceeded, INVALID when the limit in brackets is: {'; '.join(map(_limit, LIMITS))}. "
    "VALID otherwise"
)


def validity(evidence: ClientEvidence, *, tokens: bool) -> Validity:
    """The verdict; `tokens` says whether any came."""
    if not tokens:
        return Validity("NO DATA", VALIDITY_RULE, ["no token arrived, so there is nothing to distort"])
    found = [(limit, value) for limit in LIMITS if (value := getattr(evidence, limit.field)) is not None]
    exceeded = [(limit, value) for limit, value in found if value > limit.suspect]
    if not exceeded:
        told = [f"{limit.what} is {limit.show(value)}" for limit, value in found[:2]]
        return Validity("VALID", VALIDITY_RULE, [", ".join(told) or "nothing speaks against it"])
    invalid = any(limit.invalid is not None and value > limit.invalid for limit, value in exceeded)
    reasons = [f"{limit.what} is {limit.show(value)}: {limit.meaning}" for limit, value in exceeded]
    return Validity("INVALID" if invalid else "SUSPECT", VALIDITY_RULE, reasons)


def ttft_bound_ns(record: StreamRecord) -> int | None:
    """How much later than the truth this stream's TTFT can be (ns); None without a token or a bound."""
    if not record.token_reads:
        return None
    arrival = _arrival_bound_ns(record)
    return None if arrival is None else _departure_bound_ns(record) + arrival


def _departure_bound_ns(record: StreamRecord) -> int:
    """From the start to the last byte handed to the kernel, less the round trips that the network itself took."""
    network = record.dns_ns or 0
    if record.handshake_ns is not None:
        # A TLS handshake takes one more round trip (RFC 8446), or two (RFC 5246).
        network += record.handshake_ns * (1 if record.tls_ns is None else 3)
    return max((record.sent_ns or 0) - network, 0)


def _arrival_bound_ns(record: StreamRecord) -> int | None:
    """From the first token's arrival to the stamp of its read."""
    return _waits_ns(record).get(record.token_reads[0], 0)


def itl_bounds_ns(record: StreamRecord) -> list[int]:
    """How much later than the truth a token may have been put, for each gap where that is not known to be nothing."""
    waited = _waits_ns(record)
    if not waited:
        return []
    # The last token of the read before has that read's stamp, so a gap is off by what its own token waited.
    return [bound for read in record.token_reads[1:] if (bound := waited.get(read))]


def doubtful(record: StreamRecord) -> list[int]:
    """The reads whose stamp is not the arrival of their first token: there is none, or something came behind it."""
    tokens, reads = record.token_reads, record.reads
    if not tokens:
        return []
    found = set[int]()
    if record.stamp_source != "kernel":
        found.update(read for read in tokens if not reads.lag_ns[read])
    if len(set(tokens)) < len(tokens):
        found.update(read for read, count in Counter(tokens).items() if count > 1)
    if record.end_ns == reads.at_ns[tokens[0]] and record.outcome not in (Outcome.CANCELLED, Outcome.INCOMPLETE):
        found.add(tokens[0])
    return sorted(found)


def _waits_ns(record: StreamRecord) -> dict[int, int | None]:
    """How long before the time of each doubtful read its first token may have come; None where nothing is known."""
    if record.waits is not None:
        return {
            read: min(_room_ns(record, read), waited)
            for read, waited in zip(record.waits.reads, record.waits.ns, strict=True)
        }
    return {read: _unwatched_ns(record, read) for read in doubtful(record)}


def _unwatched_ns(record: StreamRecord, read: int) -> int | None:
    """The same where no heartbeat of the client is known."""
    lag = record.reads.lag_ns[read]
    if not lag and record.stamp_source != "kernel":
        return None
    # The server may as well have written it all at once, and then the stamp is right.
    return _room_ns(record, read) if lag > LATE_READ_NS else 0


def _room_ns(record: StreamRecord, read: int) -> int:
    """The time since the read before, which left the socket empty: what is in this one came after it."""
    reads = record.reads
    before = reads.at_ns[read - 1] + reads.lag_ns[read - 1] if read else record.sent_ns or 0
    return max(reads.at_ns[read] - before, 0)
