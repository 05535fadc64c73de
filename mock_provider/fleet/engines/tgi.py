"""Text Generation Inference: `/metrics`.

Names and types: huggingface.co/docs/text-generation-inference/reference/metrics.
The batch is what runs, and its histograms hold finished requests.
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import Totals, counter, exposition, gauge, histogram, totals
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

_METRICS = (
    gauge("tgi_batch_current_size", "Requests in the batch.", lambda engine: engine.running),
    gauge("tgi_queue_size", "Requests in the queue.", lambda engine: engine.waiting),
    counter("tgi_request_success", "Requests that ended well.", lambda engine: engine.completed),
    totals(
        "tgi_request_generated_tokens",
        "Generated tokens of an answer.",
        lambda engine: Totals(engine.completed, engine.ended_tokens),
    ),
    histogram("tgi_request_queue_duration", "Time in the queue.", lambda engine: engine.queue_time),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(_METRICS, [({"replica": str(engine.number)}, engine) for engine in engines])


PAGES = {"/metrics": _metrics}
