"""Streams that users left in a load run, and what the upstream's ledger says became of them. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from streamgauge.diagnosis.cancellation import Upstream, wasted_tokens
from streamgauge.metrics.distributions import Distribution, distribution
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import ns_to_ms


class Abandonment(msgspec.Struct, frozen=True, kw_only=True):
    """`abandonment` of run.json. `propagation_ms` is client close → upstream saw it, ± `clock_error_ms`.

    Of `joined` streams the ledger is known; `seen` of them the upstream saw end early, `finished` had written their
    last token before the client left, `unnoticed` are the rest. `wasted_tokens` were written after the client had left.
    """

    streams: int
    joined: int
    seen: int
    finished: int
    unnoticed: int
    propagation_ms: Distribution | None
    clock_error_ms: float | None
    received_tokens: int
    wasted_tokens: int


def abandonment(records: Iterable[StreamRecord], upstreams: Mapping[str, Upstream]) -> Abandonment | None:
    """What the ledger says of the streams that were left; None when none was. The warm-up counts too."""
    streams = joined = finished = unnoticed = received = wasted = 0
    delays: list[int] = []
    error_ns = 0
    for record in records:
        if record.outcome is not Outcome.CANCELLED or record.closed_ns is None:
            continue
        streams += 1
        received += len(record.token_reads)
        upstream = upstreams.get(record.id)
        if upstream is None:
            continue
        joined += 1
        error_ns = max(error_ns, upstream.error_ns)
        close_ns = record.start_ns + record.closed_ns
        wasted += wasted_tokens(upstream, close_ns)
        if upstream.disconnect_ns is not None:
            delays.append(max(upstream.disconnect_ns - close_ns, 0))
        elif upstream.finished_before(close_ns):
            finished += 1
        else:
            unnoticed += 1
    if not streams:
        return None
    return Abandonment(
        streams=streams,
        joined=joined,
        seen=len(delays),
        finished=finished,
        unnoticed=unnoticed,
        propagation_ms=distribution(delays),
        clock_error_ms=ns_to_ms(error_ns) if joined else None,
        received_tokens=received,
        wasted_tokens=wasted,
    )
