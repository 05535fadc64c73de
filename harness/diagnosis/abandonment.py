"""The streams that users left in a load run, and how the upstream reacted according to its ledger. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from streamgauge.diagnosis.cancellation import Upstream, wasted_tokens
from streamgauge.metrics.distributions import Distribution, distribution
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import ns_to_ms


class Abandonment(msgspec.Struct, frozen=True, kw_only=True):
    """`abandonment` of run.json. `propagation_ms` is client close → upstream noticed, ± `clock_error_ms`.

    `joined` counts the streams with a ledger entry. Of those, `seen` counts the streams whose early end the upstream
    noticed, `finished` the streams whose last token was written before the client left, `unnoticed` the rest.
    `wasted_tokens` were written after the client had left.
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
    """The upstream's reaction to the streams that were left; None when no stream was left. Warm-up streams count."""
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
