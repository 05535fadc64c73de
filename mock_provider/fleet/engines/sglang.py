"""SGLang: `/metrics` of `--enable-metrics`, `/get_load`, and its successor `/v1/loads`.

`num_reqs` of `/get_load` counts the waiting requests as well (GetLoadReqOutput in sglang/srt/managers/io_struct.py).
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply, json_reply


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    each = [({"model_name": engine.model, "dp_rank": str(engine.number)}, engine) for engine in engines]
    return exposition(
        gauge("sglang:num_running_reqs", "Running requests.", [(at, it.running) for at, it in each]),
        gauge("sglang:num_queue_reqs", "Requests in the waiting queue.", [(at, it.waiting) for at, it in each]),
        gauge("sglang:num_used_tokens", "Tokens in use.", [(at, it.held_tokens) for at, it in each]),
        gauge("sglang:token_usage", "Share of the tokens in use.", [(at, it.kv_share) for at, it in each]),
        counter("sglang:prompt_tokens_total", "Prefill tokens.", [(at, it.prompt_tokens) for at, it in each]),
        # As the engine does it: when a request has ended.
        counter("sglang:generation_tokens_total", "Generated tokens.", [(at, it.ended_tokens) for at, it in each]),
        counter(
            "sglang:cached_tokens_total", "Tokens found in the cache.", [(at, it.cached_tokens) for at, it in each]
        ),
        counter("sglang:num_aborted_requests_total", "Aborted requests.", [(at, it.aborted) for at, it in each]),
        histogram("sglang:queue_time_seconds", "Time in the queue.", [(at, it.queue_time) for at, it in each]),
    )


def _get_load(engines: Sequence[Snapshot]) -> Reply:
    loads = [
        {
            "dp_rank": engine.number,
            "num_reqs": engine.running + engine.waiting,
            "num_waiting_reqs": engine.waiting,
            "num_tokens": engine.held_tokens,
        }
        for engine in engines
    ]
    return json_reply(200, loads)


def _loads(engines: Sequence[Snapshot]) -> Reply:
    loads = [
        {
            "dp_rank": engine.number,
            "num_running_reqs": engine.running,
            "num_waiting_reqs": engine.waiting,
            "num_total_reqs": engine.running + engine.waiting,
            "num_used_tokens": engine.held_tokens,
            "token_usage": engine.kv_share,
        }
        for engine in engines
    ]
    return json_reply(200, {"dp_rank_count": len(loads), "loads": loads})


PAGES = {"/metrics": _metrics, "/get_load": _get_load, "/v1/loads": _loads}
RESETS = {
    "/flush_cache": lambda done: Reply(200 if done else 400, b"Cache flushed.\n" if done else b"Busy.\n", "text/plain")
}
