"""NVIDIA Dynamo: `/metrics` of its frontend. Names and types: docs.nvidia.com/dynamo, "Metrics Catalog".

A request is in flight from its arrival to its end, so those that wait are among them.
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import Totals, counter, exposition, gauge, totals
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

_METRICS = (
    gauge("dynamo_frontend_inflight_requests", "Requests in flight.", lambda engine: engine.running + engine.waiting),
    gauge("dynamo_frontend_queued_requests", "Requests without a first token.", lambda engine: engine.waiting),
    counter("dynamo_frontend_requests_total", "Requests.", lambda engine: engine.completed, status="success"),
    totals(
        "dynamo_frontend_output_sequence_tokens",
        "Generated tokens of an answer.",
        lambda engine: Totals(engine.completed, engine.ended_tokens),
    ),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(
        _METRICS, [({"model": engine.model, "replica": str(engine.number)}, engine) for engine in engines]
    )


PAGES = {"/metrics": _metrics}
