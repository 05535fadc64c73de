"""The harness against the truth: what it reported of streams whose upstream's ledger is known, side by side. Pure."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from streamgauge.metrics.distributions import Distribution, distribution, pooled
from streamgauge.metrics.facts import gaps_ns, ttft_ns
from streamgauge.metrics.histogram import Histogram
from streamgauge.protocol.record import StreamRecord

MAX_JOINED: Final = 2000


class Ledgered(msgspec.Struct, frozen=True):
    """A stream in the upstream's own time: when the request had arrived, and when each token was written (ns)."""

    arrival_ns: int
    token_ns: list[int]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`truth` of run.json. `*_error_ms` are reported − true, stream by stream (TTFT) or at the quantile (ITL).

    No clocks are compared: TTFT and ITL are durations, each taken on one side's own clock.
    """

    streams: int
    ttft_ms: Distribution | None
    true_ttft_ms: Distribution | None
    ttft_error_ms: Distribution | None
    itl_ms: Distribution | None
    true_itl_ms: Distribution | None


def compare_with_ledger(records: Iterable[StreamRecord], truth: Mapping[str, Ledgered]) -> Comparison:
    """Join by stream id; a stream that the ledger does not know, or that brought no token, is left out."""
    ours: list[int] = []
    theirs: list[int] = []
    our_gaps, their_gaps = Histogram(), Histogram()
    for record in records:
        ledgered = truth.get(record.id)
        first = ttft_ns(record)
        if ledgered is None or first is None or not ledgered.token_ns:
            continue
        ours.append(first)
        theirs.append(ledgered.token_ns[0] - ledgered.arrival_ns)
        our_gaps.add(gaps_ns(record))
        received = ledgered.token_ns[: len(record.token_reads)]
        their_gaps.add(after - before for before, after in pairwise(received))
    return Comparison(
        streams=len(ours),
        ttft_ms=distribution(ours),
        true_ttft_ms=distribution(theirs),
        ttft_error_ms=distribution(our - true for our, true in zip(ours, theirs, strict=True)),
        itl_ms=pooled(our_gaps),
        true_itl_ms=pooled(their_gaps),
    )
