"""vLLM: `/metrics` (vllm/v1/metrics/loggers.py), and `/load` of `--enable-server-load-tracking`."""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply, json_reply

_ENDED = "Requests that ended."
_METRICS = (
    gauge("vllm:num_requests_running", "Requests in execution batches.", lambda engine: engine.running),
    gauge("vllm:num_requests_waiting", "Requests that wait for a slot.", lambda engine: engine.waiting),
    gauge("vllm:kv_cache_usage_perc", "KV cache in use, 1 is all of it.", lambda engine: engine.kv_share),
    counter("vllm:prompt_tokens_total", "Prompt tokens.", lambda engine: engine.prompt_tokens),
    counter("vllm:generation_tokens_total", "Generated tokens.", lambda engine: engine.tokens),
    counter("vllm:prefix_cache_queries_total", "Tokens looked up.", lambda engine: engine.prompt_tokens),
    counter("vllm:prefix_cache_hits_total", "Tokens found.", lambda engine: engine.cached_tokens),
    counter("vllm:request_success_total", _ENDED, lambda engine: engine.completed, finished_reason="stop"),
    counter("vllm:request_success_total", _ENDED, lambda engine: engine.aborted, finished_reason="abort"),
    histogram("vllm:request_queue_time_seconds", "Time in the queue.", lambda engine: engine.queue_time),
    histogram("vllm:request_prefill_time_seconds", "From the slot to the first token.", lambda engine: engine.prefill),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(
        _METRICS, [({"engine": str(engine.number), "model_name": engine.model}, engine) for engine in engines]
    )


def _load(engines: Sequence[Snapshot]) -> Reply:
    """The requests of the HTTP layer; it does not know which of them wait."""
    return json_reply(200, {"server_load": sum(engine.running + engine.waiting for engine in engines)})


PAGES = {"/metrics": _metrics, "/load": _load}
RESETS = {"/reset_prefix_cache": lambda done: json_reply(200, {"success": done})}  # 200 also where it did not
