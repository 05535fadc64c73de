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
from streamgauge.units import MS, plural

MAX_JOINED: Final = 2000
TOO_EARLY_NS: Final = MS
"""The request leaves before it arrives, and a token arrives after it was written, so reported − true is never below 0.
Two clocks can drift apart by far less than this within a stream.
"""


class Ledgered(msgspec.Struct, frozen=True):
    """A stream on the upstream's own clock (ns): the arrival of the request, and the write of each token."""

    arrival_ns: int
    token_ns: list[int]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`truth` of run.json: reported − true, stream by stream.

    Where the endpoint is the mock itself (`direct`), that difference is this client's error, `ttft_error_ms`. Where the
    mock is the endpoint's upstream, it is the time that the path adds: `ttft_added_ms`. The other one is absent.
    `too_early` streams had a first token sooner than the mock wrote one: it was not the mock's.

    No clocks are compared: TTFT and ITL are durations, and each side takes them on its own clock.
    """

    streams: int
    direct: bool
    ttft_ms: Distribution | None
    true_ttft_ms: Distribution | None
    ttft_error_ms: Distribution | None
    ttft_added_ms: Distribution | None
    itl_ms: Distribution | None
    true_itl_ms: Distribution | None
    too_early: int = 0

    @property
    def caveat(self) -> str | None:
        """The warning about first tokens that the mock cannot have written; None without one."""
        if not self.too_early:
            return None
        return (
            f"{self.too_early:,} of {plural(self.streams, 'stream')} had a first token sooner than the mock wrote one: "
            "that token is not the mock's, or the answer is read in a wrong dialect (--dialect). Its TTFT is wrong."
        )


def compare_with_ledger(records: Iterable[StreamRecord], truth: Mapping[str, Ledgered], *, direct: bool) -> Comparison:
    """Join by stream id. Streams without a token, and streams that the ledger does not know, are left out.

    `direct`: the endpoint is the mock itself.
    """
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
    differences = list(map(operator.sub, reported, true))
    difference = distribution(differences)
    return Comparison(
        streams=len(reported),
        direct=direct,
        ttft_ms=distribution(reported),
        true_ttft_ms=distribution(true),
        ttft_error_ms=difference if direct else None,
        ttft_added_ms=None if direct else difference,
        itl_ms=pooled(gaps),
        true_itl_ms=pooled(true_gaps),
        too_early=sum(found < -TOO_EARLY_NS for found in differences),
    )
