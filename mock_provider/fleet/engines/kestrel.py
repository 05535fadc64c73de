"""ASP.NET Core with a rate limiter that queues, as OpenTelemetry's Prometheus exporter shows its meters at `/metrics`.

Names and types: learn.microsoft.com, "ASP.NET Core built-in HTTP metrics": `http.server.active_requests` and those of
the meter Microsoft.AspNetCore.RateLimiting. The exporter writes dots as underscores, and the unit at the end. A request
in the limiter's queue is an active one.
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

_METRICS = (
    gauge("http_server_active_requests", "Active requests.", lambda engine: engine.running + engine.waiting),
    gauge("aspnetcore_rate_limiting_active_request_leases", "Leases held.", lambda engine: engine.running),
    gauge("aspnetcore_rate_limiting_queued_requests", "Requests in the queue.", lambda engine: engine.waiting),
    histogram(
        "aspnetcore_rate_limiting_request_time_in_queue_seconds", "Time in the queue.", lambda engine: engine.queue_time
    ),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    labels = {"http_request_method": "POST", "url_scheme": "http"}
    return exposition(_METRICS, [({**labels, "replica": str(engine.number)}, engine) for engine in engines])


PAGES = {"/metrics": _metrics}
