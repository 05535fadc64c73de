"""Whether the client could have distorted the figures: an error bound for each TTFT and gap, and a rule over them.

The kernel's stamps make a late read harmless as long as a read holds one segment. Three errors remain:

- The request left late: between `start_ns` and `sent_ns` lies the client's own queue (and the network's handshakes).
- Segments merged: a late `recvmsg` takes several segments, and the kernel gives the stamp of the last. A token then
  seems as late as the segment behind it. The lag does not show this, because it is counted from the same stamp: at
  200 tokens/s a client that is 300 ms behind still reads lags below 5 ms. The lateness of its event loop shows it.
- A read without a stamp: its time is the client's own.

So the verdict rests on these bounds. Lag and lateness alone do not delay a stamp; they only delay a user's next action.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS

LATE_READ_NS: Final = 3 * MS
"""A read with several events and a lag above this counts as merged by this client. Under load the client collects
reads once a millisecond, so a lag of one or two milliseconds is normal.
"""


class Scope(StrEnum):
    """The figures that a doubt about the client concerns."""

    EVERYTHING = "every figure"
    STARTS = "times from the start of a stream"
    GAPS = "times between tokens"


TIMES: Final = frozenset({Scope.STARTS, Scope.GAPS})


class Doubt(msgspec.Struct, frozen=True):
    """A reason against the client, whether it makes the figures SUSPECT or INVALID, and which figures it concerns.

    `limit` is the field of the limit that is exceeded; None for another reason.
    """

    verdict: str
    reason: str
    concerns: frozenset[Scope] = frozenset({Scope.EVERYTHING})
    limit: str | None = None


class Validity(msgspec.Struct, frozen=True):
    """Whether the client could have distorted the figures, with the rule and the numbers it was applied to.

    `doubts` are the reasons against the client, each with the figures that it concerns; empty for VALID and NO DATA.
    """

    verdict: str
    rule: str
    reasons: list[str]
    doubts: list[Doubt] = []

    def about(self, figures: Iterable[Scope]) -> "Validity":
        """The verdict on figures of these kinds alone. A verdict without known doubts concerns every figure."""
        if not self.doubts or self.verdict == "NO DATA":
            return self
        asked = {Scope.EVERYTHING, *figures}
        return self._of([doubt for doubt in self.doubts if doubt.concerns & asked])

    def without(self, limits: Collection[str]) -> "Validity":
        """The verdict without the doubts that make figures SUSPECT because of these limits."""
        if not self.doubts or self.verdict == "NO DATA":
            return self
        return self._of([doubt for doubt in self.doubts if doubt.limit not in limits or doubt.verdict == "INVALID"])

    def _of(self, doubts: list[Doubt]) -> "Validity":
        if not doubts:
            return Validity("VALID", self.rule, ["no limit is exceeded that concerns these figures"])
        return Validity(_worst(doubts), self.rule, [doubt.reason for doubt in doubts], doubts)


class ClientEvidence(NamedTuple):
    """The facts of a run about its client. Times are in ms, shares are fractions, None means unknown."""

    ttft_bound_p99: float | None = None
    itl_bound_p99: float | None = None
    loop_late_p99: float | None = None
    unstamped_share: float | None = None
    busiest_core: float | None = None
    schedule_delay_p99: float | None = None


class Limit(NamedTuple):
    """Above `suspect` the verdict is SUSPECT, above `invalid` (if any) INVALID, for the figures that it concerns."""

    field: str
    title: str
    suspect: float
    invalid: float | None
    meaning: str
    concerns: frozenset[Scope] = frozenset({Scope.EVERYTHING})

    def show(self, value: float) -> str:
        share = self.title.startswith("share")
        # A value above its limit must not be rounded down onto it.
        near = abs(value - self.suspect) < 0.01
        return f"{value:.{4 if near else 1}%}" if share else f"{value:.{6 if near else 2}f} ms"


_TTFT_BOUND: Final = "ttft_bound_p99"
_ITL_BOUND: Final = "itl_bound_p99"
LATE_USERS: Final = "loop_late_p99"
UNSTAMPED: Final = "unstamped_share"
BOUNDS: Final = frozenset({_TTFT_BOUND, _ITL_BOUND})
"""The limits of error bounds. Each stream carries its own bound, so an objective can be met or missed for certain."""
LIMITS: Final = (
    Limit(
        _TTFT_BOUND,
        "TTFT error bound p99",
        5,
        50,
        "this client may report TTFT this much too late",
        frozenset({Scope.STARTS}),
    ),
    Limit(
        _ITL_BOUND,
        "ITL error bound p99",
        5,
        50,
        "tokens may have waited for each other in this client",
        frozenset({Scope.GAPS}),
    ),
    Limit(
        LATE_USERS,
        "event loop lateness p99",
        100,
        None,
        "users began the next stream late, so the load was smaller",
    ),
    Limit(
        UNSTAMPED,
        "share of reads without a kernel stamp",
        0.01,
        None,
        "their times are the client's own",
        TIMES,
    ),
    Limit(
        "busiest_core",
        "share of a core that a process used or waited for",
        0.9,
        None,
        "the process had no CPU time to spare",
    ),
    Limit("schedule_delay_p99", "schedule delay p99", 10, None, "streams began later than the load model wanted"),
)
DELAYS: Final = frozenset(limit.field for limit in LIMITS) - {UNSTAMPED}
"""The limits that a client exceeds because it was late."""


def _limit(limit: Limit) -> str:
    share = limit.title.startswith("share")
    suspect, invalid = (
        "" if v is None else f"{v:.0%}" if share else f"{v:g} ms" for v in (limit.suspect, limit.invalid)
    )
    return f"{limit.title} above {suspect}" + (f" ({invalid})" if invalid else "")


VALIDITY_RULE: Final = (
    "SUSPECT when any of these limits is exceeded, INVALID when a limit in brackets is exceeded: "
    f"{'; '.join(map(_limit, LIMITS))}. SUSPECT when nothing could connect to the endpoint for half a second. "
    "INVALID when the dialect is uncertain, when a token is older than the upstream's write of it, or when the run has "
    "faults: a process or a record was lost, or a process or its clock was disturbed. VALID otherwise"
)


def misread(validity: Validity, why: str) -> Validity:
    """The verdict on figures of streams that were not read with certainty: no figure about tokens is believed."""
    return _doubted(validity, [Doubt("INVALID", why)], always=True)


def disturbed(client: Validity, faults: Sequence[str]) -> Validity:
    """The verdict on a run with faults: the figures are not those of the planned load, or not all of them."""
    return _doubted(client, [Doubt("INVALID", fault) for fault in faults])


def shaken(client: Validity, outages: str) -> Validity:
    """The verdict on a run in which the endpoint was out of reach for a while; nothing changes without `outages`."""
    return _doubted(client, [Doubt("SUSPECT", outages)] if outages else [])


def _doubted(client: Validity, doubts: list[Doubt], *, always: bool = False) -> Validity:
    """The verdict with more reasons against the client, which come first. Without data, a verdict stays NO DATA unless
    `always`.
    """
    if not doubts:
        return client
    found = [*doubts, *client.doubts]
    verdict = client.verdict if client.verdict == "NO DATA" and not always else _worst(found)
    reasons = [] if client.verdict == "VALID" else client.reasons
    return Validity(verdict, client.rule, [*(doubt.reason for doubt in doubts), *reasons], found)


def _worst(doubts: Sequence[Doubt]) -> str:
    return "INVALID" if any(doubt.verdict == "INVALID" for doubt in doubts) else "SUSPECT"


def validity(evidence: ClientEvidence, *, tokens: bool) -> Validity:
    """The verdict; `tokens` says whether any token arrived in the run."""
    if not tokens:
        return Validity("NO DATA", VALIDITY_RULE, ["no token arrived, so there is no figure to distort"])
    found = [(limit, value) for limit in LIMITS if (value := getattr(evidence, limit.field)) is not None]
    exceeded = [(limit, value) for limit, value in found if value > limit.suspect]
    if not exceeded:
        margins = [f"{limit.title} is {limit.show(value)}" for limit, value in found[:2]]
        return Validity("VALID", VALIDITY_RULE, [", ".join(margins) or "no limit is exceeded"])
    doubts = [
        Doubt(
            "INVALID" if limit.invalid is not None and value > limit.invalid else "SUSPECT",
            f"{limit.title} is {limit.show(value)}: {limit.meaning}",
            limit.concerns,
            limit.field,
        )
        for limit, value in exceeded
    ]
    return Validity(_worst(doubts), VALIDITY_RULE, [doubt.reason for doubt in doubts], doubts)


def distorted(client: Validity | None) -> str | None:
    """Why the figures of this client support no good verdict; None when they do. See metrics/slo.py."""
    if client is None or client.verdict != "INVALID":
        return None
    return f"the figures are INVALID: {client.reasons[0]}"


def unfit(client: Validity) -> str | None:
    """Why no conclusion may rest on these figures: they are INVALID, or there are none. None for VALID and SUSPECT."""
    if client.verdict == "NO DATA":
        return f"there are no figures: {client.reasons[0]}"
    return distorted(client)


def ttft_bound_ns(record: StreamRecord, waits: Mapping[int, int | None]) -> int | None:
    """The most by which this stream's TTFT can be too late (ns); None without a token or a bound.

    `waits` is that of `arrival_waits_ns`.
    """
    if not record.token_reads:
        return None
    arrival = waits.get(record.token_reads[0], 0)
    return None if arrival is None else _departure_bound_ns(record) + arrival


def _departure_bound_ns(record: StreamRecord) -> int:
    """From the start to the last byte handed to the kernel, less the round trips that the network itself took."""
    network = record.dns_ns or 0
    if record.handshake_ns is not None:
        # A TLS handshake takes one more round trip (RFC 8446), or two (RFC 5246).
        network += record.handshake_ns * (1 if record.tls_ns is None else 3)
    return max((record.sent_ns or 0) - network, 0)


def itl_bounds_ns(record: StreamRecord, waits: Mapping[int, int | None]) -> list[int]:
    """For each gap whose token may be stamped too late: by how much at most (ns). Other gaps are left out.

    `waits` is that of `arrival_waits_ns`.
    """
    if not waits:
        return []
    # The previous token has the exact time of its read, so only this token's own wait can distort the gap.
    return [bound for read in record.token_reads[1:] if (bound := waits.get(read))]


def doubtful(record: StreamRecord, crowded: Collection[int] = ()) -> list[int]:
    """The reads whose stamp may not be the arrival of their first token: no stamp, or more bytes came behind it."""
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
    if crowded:
        found.update(set(crowded) & set(tokens))
    return sorted(found)


def arrival_waits_ns(record: StreamRecord) -> dict[int, int | None]:
    """For each doubtful read: how long before its stamp (ns) its first token may have come; None if unknown."""
    if record.waits is not None:
        return {
            read: min(_since_last_read_ns(record, read), waited)
            for read, waited in zip(record.waits.reads, record.waits.ns, strict=True)
        }
    return {read: _wait_without_loop_lag_ns(record, read) for read in doubtful(record)}


def _wait_without_loop_lag_ns(record: StreamRecord, read: int) -> int | None:
    """The wait where the record does not say how late the client's event loop ran."""
    lag = record.reads.lag_ns[read]
    if not lag and record.stamp_source != "kernel":
        return None
    # With a small lag the server may as well have written everything at once, and then the stamp is right.
    return _since_last_read_ns(record, read) if lag > LATE_READ_NS else 0


def _since_last_read_ns(record: StreamRecord, read: int) -> int:
    """Time since the previous read. That read emptied the socket, so the bytes of this read arrived after it."""
    reads = record.reads
    before = reads.at_ns[read - 1] + reads.lag_ns[read - 1] if read else record.sent_ns or 0
    return max(reads.at_ns[read] - before, 0)
