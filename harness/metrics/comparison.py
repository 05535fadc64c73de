"""Reported figures beside true ones, of streams that a mock's ledger knows."""

import operator
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
    """A stream on the upstream's own clock (ns): the arrival of the request, and the write of each token."""

    arrival_ns: int
    token_ns: list[int]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`truth` of run.json. `ttft_error_ms` is reported − true, stream by stream.

    No clocks are compared: TTFT and ITL are durations, and each side takes them on its own clock.
    """

    streams: int
    ttft_ms: Distribution | None
    true_ttft_ms: Distribution | None
    ttft_error_ms: Distribution | None
    itl_ms: Distribution | None
    true_itl_ms: Distribution | None


def compare_with_ledger(records: Iterable[StreamRecord], truth: Mapping[str, Ledgered]) -> Comparison:
    """Join by stream id. Streams without a token, and streams that the ledger does not know, are left out."""
    reported: list[int] = []
    true: list[int] = []
    gaps, true_gaps = Histogram(), Histogram()
    for record in records:
        ledgered = truth.get(record.id)
        first = ttft_ns(record)
        if ledgered is None or first is None or not ledgered.token_ns:
            continue
        reported.append(first)
        true.append(ledgered.token_ns[0] - ledgered.arrival_ns)
        gaps.add(gaps_ns(record))
        received = ledgered.token_ns[: len(record.token_reads)]
        true_gaps.add(after - before for before, after in pairwise(received))
    return Comparison(
        streams=len(reported),
        ttft_ms=distribution(reported),
        true_ttft_ms=distribution(true),
        ttft_error_ms=distribution(map(operator.sub, reported, true)),
        itl_ms=pooled(gaps),
        true_itl_ms=pooled(true_gaps),
    )
