"""Each adapter end to end: a page of the mock, over HTTP, says what the mock itself knows of its fleet."""

from typing import get_args

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.fleet.engines import ENGINES
from streamgauge.mock_provider.fleet.gauges import Engine
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.serverlane.engine import engines
from streamgauge.serverlane.scrape import Source
from tests.mock_provider.fleet.test_fleet_server import hold, release, serving
from tests.mock_provider.mock_wire import read_until, wait_for

ADAPTERS = {
    "vllm": "vllm", "sglang": "sglang", "llama.cpp": "llama-cpp", "tgi": "tgi", "trtllm": "trtllm", "dynamo": "dynamo",
    "kestrel": "kestrel",
}  # fmt: skip
"""The adapter of each engine's page of metrics."""


@pytest.mark.parametrize("engine", get_args(Engine))
def test_the_lane_reads_what_runs_and_waits(engine: Engine) -> None:
    with serving(FleetSettings(engine=engine), slots=1) as server:
        source = Source(Target(url=f"{server.url}/v1/chat/completions"), "auto")
        adapter = engines()[ADAPTERS[engine]]
        assert source.engine == adapter
        assert source.in_hand() == 0
        first, second = hold(server, "a"), hold(server, "b", "tokens=1")
        wait_for(lambda: source.in_hand() == 2)
        found = source.figures()
        assert (found.running, found.waiting) == (1, 1)
        assert found.kv_share == (1.0 if adapter.kv_share and engine != "llama.cpp" else None)
        release(server, "a")
        read_until(second, b"[DONE]")
        wait_for(lambda: source.in_hand() == 0)
        ended = source.figures()
        assert ended.queue is None if not adapter.queue else ended.queue.count == 2
        assert ended.generated is None if not adapter.generated else ended.generated >= 1
        source.close()
        first.close()
        second.close()


@pytest.mark.parametrize(("engine", "path", "adapter"), [
    ("vllm", "/load", "vllm-load"), ("sglang", "/get_load", "sglang-load"), ("llama.cpp", "/slots", "llama-cpp-slots"),
])  # fmt: skip
def test_a_page_of_json_says_the_same(engine: Engine, path: str, adapter: str) -> None:
    with serving(FleetSettings(engine=engine), slots=1) as server:
        stream = hold(server, "a")
        source = Source(Target(url=f"{server.url}/v1/chat/completions"), f"{server.url}{path}")
        wait_for(lambda: source.in_hand() == 1)
        assert source.engine == engines()[adapter]
        source.close()
        stream.close()


def test_every_adapter_but_that_of_triton_has_a_page() -> None:
    assert set(ADAPTERS) == set(ENGINES)
    assert {*ADAPTERS.values(), "vllm-load", "sglang-load", "llama-cpp-slots", "triton"} == engines().keys()
