"""The status pages: what they tell of a fleet, and how each lie differs from the truth."""

import json
import re
from typing import get_args

import pytest

from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.fleet.engines import ENGINES
from streamgauge.mock_provider.fleet.fleet import Fleet
from streamgauge.mock_provider.fleet.gauges import LIES, Engine, Gauges, Lie
from streamgauge.mock_provider.fleet.limits import FleetLimits
from streamgauge.mock_provider.fleet.replica import Seat
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.fleet.simulation import Served
from tests.mock_provider.fleet.test_fleet_server import ask, hold, release, serving
from tests.mock_provider.mock_wire import HTTP, read_until, wait_for

SAMPLE = re.compile(r"(?P<name>[\w:]+)(\{(?P<labels>[^}]*)\})? (?P<value>[-+.\w]+)")


class Load:
    """Two replicas of two slots; the first is full with one waiting, the second has one stream."""

    def __init__(self, engine: Engine, *lies: Lie) -> None:
        limits = FleetLimits(replicas=(Limits(slots=2),) * 2, weights=(1, 1))
        self.now_ns = 0
        self.fleet = Fleet(limits, lambda: self.now_ns)
        self.gauges = Gauges(self.fleet, engine, lies, "m")
        self.seats = [self.enter(0), self.enter(0), self.enter(0), self.enter(1)]

    def enter(self, replica: int) -> Seat:
        stream = Served(
            seq=7, user=0, arrival_ns=0, prompt_tokens=3, replica=replica, cached_tokens=2, tokens_written=5
        )
        return self.fleet.replicas[replica].enter(lambda: None, 8, stream)

    def end(self, seat: Seat, *, completed: bool = True) -> None:
        next(replica for replica in self.fleet.replicas if seat in replica.running or seat in replica.waiting).leave(
            seat, completed=completed
        )

    def page(self, path: str = "/metrics") -> dict[str, float]:
        """The samples by name and labels, without those of histograms' buckets."""
        text = self.gauges.answer(path).body.decode()
        samples = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                match = SAMPLE.fullmatch(line)
                assert match, line
                samples[line.rpartition(" ")[0]] = float(match["value"])
        return samples

    def json(self, path: str) -> object:
        return json.loads(self.gauges.answer(path).body)


def one(samples: dict[str, float], name: str) -> float:
    (value,) = [value for key, value in samples.items() if key.partition("{")[0] == name]
    return value


def running_and_waiting(load: Load) -> tuple[float, float]:
    samples = load.page()
    return one(samples, "vllm:num_requests_running"), one(samples, "vllm:num_requests_waiting")


def test_vllm_tells_the_truth() -> None:
    load = Load("vllm")
    load.now_ns = 400_000_000
    load.end(load.seats[0])
    load.end(load.seats[3], completed=False)
    samples = load.page()
    labels = '{engine="0",model_name="m"}'
    assert samples[f"vllm:num_requests_running{labels}"] == 2
    assert samples[f"vllm:num_requests_waiting{labels}"] == 0
    assert samples[f"vllm:kv_cache_usage_perc{labels}"] == 0.5
    assert samples[f"vllm:prompt_tokens_total{labels}"] == 12
    assert samples[f"vllm:generation_tokens_total{labels}"] == 20
    assert samples['vllm:request_success_total{engine="0",model_name="m",finished_reason="stop"}'] == 1
    assert samples['vllm:request_success_total{engine="0",model_name="m",finished_reason="abort"}'] == 1
    load.end(load.seats[2])  # it waited for 400 ms
    samples = load.page()
    assert one(samples, "vllm:request_queue_time_seconds_sum") == 0.4
    assert one(samples, "vllm:request_queue_time_seconds_count") == 2
    assert samples['vllm:request_queue_time_seconds_bucket{engine="0",model_name="m",le="0.3"}'] == 1
    assert samples['vllm:request_queue_time_seconds_bucket{engine="0",model_name="m",le="+Inf"}'] == 2
    assert load.json("/load") == {"server_load": 1}


def test_sglang_tells_the_truth() -> None:
    load = Load("sglang")
    assert load.json("/get_load") == [{"dp_rank": 0, "num_reqs": 4, "num_waiting_reqs": 1, "num_tokens": 24}]
    (rank,) = load.json("/v1/loads")["loads"]
    assert (rank["num_running_reqs"], rank["num_waiting_reqs"], rank["token_usage"]) == (3, 1, 0.75)
    samples = load.page()
    assert (one(samples, "sglang:num_running_reqs"), one(samples, "sglang:num_queue_reqs")) == (3, 1)
    assert one(samples, "sglang:generation_tokens_total") == 0  # no stream has ended
    load.end(load.seats[0])
    assert one(load.page(), "sglang:generation_tokens_total") == 5


def test_llama_cpp_tells_the_truth() -> None:
    load = Load("llama.cpp")
    load.end(load.seats[1], completed=False)
    slots = load.json("/slots")
    assert [slot["is_processing"] for slot in slots] == [True, True, True, False]
    assert [slot["id"] for slot in slots] == [0, 1, 2, 3]
    assert slots[0] == {
        "id": 0,
        "id_task": 7,
        "is_processing": True,
        "next_token": [{"has_next_token": True, "n_decoded": 5}],
    }
    samples = load.page()
    assert samples["llamacpp:requests_processing"] == 3
    assert samples["llamacpp:requests_deferred"] == 0
    assert samples["llamacpp:tokens_predicted_total"] == 0  # those of a cancelled stream never count
    assert samples["llamacpp:n_decode_total"] == 20


def test_a_frontend_counts_waiting_requests_among_those_in_flight() -> None:
    samples = Load("dynamo").page()
    assert (one(samples, "dynamo_frontend_inflight_requests"), one(samples, "dynamo_frontend_queued_requests")) == (
        4,
        1,
    )
    samples = Load("kestrel").page()
    assert one(samples, "http_server_active_requests") == 4
    assert one(samples, "aspnetcore_rate_limiting_queued_requests") == 1


@pytest.mark.parametrize(("engine", "path"), [(engine, path) for engine, pages in ENGINES.items() for path in pages])
def test_every_page_of_an_idle_fleet_can_be_read(engine: Engine, path: str) -> None:
    gauges = Gauges(Fleet(FleetLimits(), lambda: 0), engine, (), "m")
    answer = gauges.answer(path)
    assert answer.status == 200
    if path.endswith("/metrics"):
        text = answer.body.decode()
        assert text.endswith("\n")
        assert answer.content_type.startswith("text/plain; version=0.0.4")
        typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        named = {re.sub("_(bucket|sum|count)$", "", line.partition(" ")[0].partition("{")[0])
                 for line in text.splitlines() if not line.startswith("#")}  # fmt: skip
        assert named == typed
    else:
        json.loads(answer.body)


def test_stale_shows_the_scrape_before() -> None:
    load = Load("vllm", "stale")
    assert running_and_waiting(load) == (0, 0)
    load.end(load.seats[0])
    assert running_and_waiting(load) == (3, 1)
    assert running_and_waiting(load) == (3, 0)


def test_frozen_keeps_the_last_stream() -> None:
    load = Load("vllm", "frozen")
    assert running_and_waiting(load) == (3, 1)
    for seat in load.seats:
        load.end(seat)
    assert running_and_waiting(load) == (2, 0)  # one for each replica
    assert running_and_waiting(Load("vllm")) == (3, 1)


def test_running_only_never_shows_a_waiting_request() -> None:
    assert running_and_waiting(Load("vllm", "running-only")) == (3, 0)


def test_zero_is_stuck() -> None:
    load = Load("vllm", "zero")
    assert running_and_waiting(load) == (0, 0)
    assert one(load.page(), "vllm:kv_cache_usage_perc") == 0
    assert one(load.page(), "vllm:generation_tokens_total") == 15  # counters go on


def test_missing_answers_nothing_while_a_request_waits() -> None:
    load = Load("vllm", "missing")
    assert load.gauges.answer("/metrics").status == 503
    load.end(load.seats[0])
    assert load.gauges.answer("/metrics").status == 200


def test_aborts_are_not_counted() -> None:
    load = Load("vllm", "no-aborts")
    load.end(load.seats[0], completed=False)
    assert load.page()['vllm:request_success_total{engine="0",model_name="m",finished_reason="abort"}'] == 0


def test_a_double_decrement_goes_below_zero() -> None:
    load = Load("vllm", "double-decrement")
    for seat in load.seats:
        load.end(seat, completed=False)
    assert load.json("/load") == {"server_load": -4}


def test_a_series_for_each_engine() -> None:
    samples = Load("vllm", "per-engine").page()
    assert [samples[f'vllm:num_requests_running{{engine="{n}",model_name="m"}}'] for n in (0, 1)] == [2, 1]


def test_each_scrape_shows_another_replica() -> None:
    load = Load("vllm", "one-replica")
    assert sorted(running_and_waiting(load) for _ in range(2)) == [(1, 0), (2, 1)]


def test_lies_are_combined() -> None:
    assert running_and_waiting(Load("vllm", "running-only", "stale")) == (0, 0)
    load = Load("vllm", "stale", "running-only")
    load.page()
    assert running_and_waiting(load) == (3, 0)


def test_the_pages_are_served_beside_the_streams() -> None:
    with serving(FleetSettings(engine="vllm"), slots=1) as server:
        first, second = hold(server, "a"), hold(server, "b", "tokens=1")
        metrics = HTTP.get(f"{server.url}/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert 'vllm:num_requests_running{engine="0",model_name="mock-1"} 1\n' in metrics.text
        assert 'vllm:num_requests_waiting{engine="0",model_name="mock-1"} 1\n' in metrics.text
        assert HTTP.get(f"{server.url}/load").json() == {"server_load": 2}
        assert HTTP.post(f"{server.url}/metrics").status_code == 405
        assert "/load" in HTTP.get(f"{server.url}/nowhere").json()["error"]["message"]
        release(server, "a")
        read_until(second, b"[DONE]")
        wait_for(lambda: HTTP.get(f"{server.url}/load").json() == {"server_load": 0})
        first.close()
        second.close()


def test_a_mock_without_an_engine_has_no_status_pages() -> None:
    with serving(FleetSettings(), slots=1) as server:
        assert HTTP.get(f"{server.url}/metrics").status_code == 404
        assert ask(server).status == 200


def test_every_lie_has_a_sentence() -> None:
    assert tuple(LIES) == get_args(Lie)
