"""llama.cpp's server: `/metrics` of `--metrics`, and `/slots` (tools/server/README.md).

`tokens_predicted_total` grows when an answer has ended, so tokens of a cancelled one are never counted. A server has a
fixed number of slots: without `--slots`, only those in use are shown. It has no replicas: all their slots are listed.
"""

from collections.abc import Sequence
from itertools import chain

from streamgauge.mock_provider.fleet.engines.exposition import counter, exposition, gauge
from streamgauge.mock_provider.fleet.snapshot import Snapshot, together
from streamgauge.mock_provider.http import Reply, json_reply

_METRICS = (
    counter("llamacpp:prompt_tokens_total", "Prompt tokens.", lambda engine: engine.prompt_tokens),
    counter("llamacpp:tokens_predicted_total", "Generated tokens.", lambda engine: engine.ended_tokens),
    counter("llamacpp:n_decode_total", "Calls of llama_decode().", lambda engine: engine.tokens),
    gauge("llamacpp:requests_processing", "Requests in a slot.", lambda engine: engine.running),
    gauge("llamacpp:requests_deferred", "Requests that wait.", lambda engine: engine.waiting),
)


def _metrics(engines: Sequence[Snapshot]) -> Reply:
    return exposition(_METRICS, [({}, together(engines))])


def _slots(engines: Sequence[Snapshot]) -> Reply:
    slots = [
        {
            "id": index,
            "id_task": -1 if slot is None else slot.task,
            "is_processing": slot is not None,
            "next_token": [{"has_next_token": slot is not None, "n_decoded": 0 if slot is None else slot.tokens}],
        }
        for index, slot in enumerate(chain.from_iterable(engine.slots for engine in engines))
    ]
    return json_reply(200, slots)


PAGES = {"/metrics": _metrics, "/slots": _slots}
