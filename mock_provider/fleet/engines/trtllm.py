"""TensorRT-LLM: `/prometheus/metrics` of `trtllm-serve` (tensorrt_llm/metrics/collector.py).

Names and types of the gauges: the Gateway API Inference Extension's page on model servers
(gateway-api-inference-extension.sigs.k8s.io/implementations/model-servers).
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

_METRICS = (
    gauge("trtllm_num_requests_running", "Requests that run.", lambda engine: engine.running),
    gauge("trtllm_num_requests_waiting", "Requests that wait.", lambda engine: engine.waiting),
    gauge("trtllm_kv_cache_utilization", "KV cache in use, 1 is all of it.", lambda engine: engine.kv_share),
    counter(
        "trtllm_request_success_total", "Requests that ended.", lambda engine: engine.completed, finished_reason="stop"
    ),
    histogram("trtllm_request_queue_time_seconds", "Time in the queue.", lambda engine: engine.queue_time),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(
        _METRICS,
        [({"engine_type": "trtllm", "model_name": engine.model, "rank": str(engine.number)}, engine)
         for engine in engines],
    )  # fmt: skip


PAGES = {"/prometheus/metrics": _metrics}
