"""The status pages of inference engines, one file each: `PAGES` are functions from snapshots to an answer, by path.

`RESETS` are the paths that empty the prefix cache.

A page gets a snapshot for each engine that it is to show, in their order: one of the whole fleet, unless the gauges are
told to show a series for each replica.
"""

from collections.abc import Callable, Mapping, Sequence

from streamgauge.mock_provider.fleet.engines import dynamo, kestrel, llama_cpp, sglang, tgi, trtllm, vllm
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

Page = Callable[[Sequence[Snapshot]], Reply]

Reset = Callable[[bool], Reply]  # the answer, by whether the prefix cache was emptied

RESETS: Mapping[str, Mapping[str, Reset]] = {"vllm": vllm.RESETS, "sglang": sglang.RESETS}
ENGINES: Mapping[str, Mapping[str, Page]] = {
    "vllm": vllm.PAGES,
    "sglang": sglang.PAGES,
    "llama.cpp": llama_cpp.PAGES,
    "tgi": tgi.PAGES,
    "trtllm": trtllm.PAGES,
    "dynamo": dynamo.PAGES,
    "kestrel": kestrel.PAGES,
}
