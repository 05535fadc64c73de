"""vLLM: `/metrics` (vllm/v1/metrics/loggers.py), and `/load` of `--enable-server-load-tracking`."""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply, json_reply


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    each = [({"engine": str(engine.number), "model_name": engine.model}, engine) for engine in engines]
    return exposition(
        gauge("vllm:num_requests_running", "Requests in execution batches.", [(at, it.running) for at, it in each]),
        gauge("vllm:num_requests_waiting", "Requests that wait for a slot.", [(at, it.waiting) for at, it in each]),
        gauge("vllm:kv_cache_usage_perc", "KV cache in use, 1 is all of it.", [(at, it.kv_share) for at, it in each]),
        counter("vllm:prompt_tokens_total", "Prompt tokens.", [(at, it.prompt_tokens) for at, it in each]),
        counter("vllm:generation_tokens_total", "Generated tokens.", [(at, it.tokens) for at, it in each]),
        counter("vllm:prefix_cache_queries_total", "Tokens looked up.", [(at, it.prompt_tokens) for at, it in each]),
        counter("vllm:prefix_cache_hits_total", "Tokens found.", [(at, it.cached_tokens) for at, it in each]),
        counter(
            "vllm:request_success_total",
            "Requests that ended.",
            [
                ({**at, "finished_reason": reason}, count)
                for at, it in each
                for reason, count in (("stop", it.completed), ("abort", it.aborted))
            ],
        ),
        histogram("vllm:request_queue_time_seconds", "Time in the queue.", [(at, it.queue_time) for at, it in each]),
        histogram(
            "vllm:request_prefill_time_seconds", "Time from the slot to a token.", [(at, it.prefill) for at, it in each]
        ),
    )


def _load(engines: Sequence[Snapshot]) -> Reply:
    """The requests of the HTTP layer; it does not know which of them wait."""
    return json_reply(200, {"server_load": sum(engine.running + engine.waiting for engine in engines)})


PAGES = {"/metrics": _metrics, "/load": _load}
RESETS = {"/reset_prefix_cache": lambda done: json_reply(200, {"success": done})}  # 200 also where it did not
