"""SGLang: `/metrics` of `--enable-metrics`, `/get_load`, and its successor `/v1/loads`.

`num_reqs` of `/get_load` counts the waiting requests as well (GetLoadReqOutput in sglang/srt/managers/io_struct.py).
"""

from collections.abc import Sequence

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge, histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply, json_reply

_METRICS = (
    gauge("sglang:num_running_reqs", "Running requests.", lambda engine: engine.running),
    gauge("sglang:num_queue_reqs", "Requests in the waiting queue.", lambda engine: engine.waiting),
    gauge("sglang:num_used_tokens", "Tokens in use.", lambda engine: engine.held_tokens),
    gauge("sglang:token_usage", "Share of the tokens in use.", lambda engine: engine.kv_share),
    counter("sglang:prompt_tokens_total", "Prefill tokens.", lambda engine: engine.prompt_tokens),
    # As in the engine, when a request has ended.
    counter("sglang:generation_tokens_total", "Generated tokens.", lambda engine: engine.ended_tokens),
    counter("sglang:cached_tokens_total", "Tokens found in the cache.", lambda engine: engine.cached_tokens),
    counter("sglang:num_aborted_requests_total", "Aborted requests.", lambda engine: engine.aborted),
    histogram("sglang:queue_time_seconds", "Time in the queue.", lambda engine: engine.queue_time),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(
        _METRICS, [({"model_name": engine.model, "dp_rank": str(engine.number)}, engine) for engine in engines]
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
