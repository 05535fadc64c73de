"""The fleet over HTTP, by the ledger of the mock: one short test for each setting."""

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.fleet import forms
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.options import Option, changed, options
from tests.mock_provider.mock_wire import HTTP, Answer, connect, exchange, read_until, request_bytes, wait_for

MS = 1_000_000
SECOND = 1_000 * MS


@contextmanager
def serving(fleet: FleetSettings, **config: object) -> Iterator[MockServer]:
    with MockServer(MockConfig(**{"tokens": 2, "ttft": "0", "itl": "0", "fleet": fleet} | config)) as server:
        yield server


def ask(
    server: MockServer, prompt: str = "hi", *headers: str, dialect: str = "openai-chat", **fields: object
) -> Answer:
    return exchange(server.url, request_bytes(dialect, prompt, headers=("Connection: close", *headers), **fields))


def hold(server: MockServer, stream_id: str, more: str = "script=lockstep") -> socket.socket:
    client = connect(server.url)
    client.sendall(request_bytes("openai-chat", f"[[mock id={stream_id} {more}]]"))
    wait_for(lambda: HTTP.get(f"{server.url}/_mock/streams/{stream_id}").status_code == 200)
    return client


def entry(server: MockServer, stream_id: str, wait_s: int = 5) -> dict:
    return HTTP.get(f"{server.url}/_mock/streams/{stream_id}", params={"wait": wait_s}).json()["streams"][-1]


def release(server: MockServer, stream_id: str) -> None:
    headers = {"Content-Type": "application/json"}
    HTTP.post(f"{server.url}/_mock/streams/{stream_id}/release", params={"upto": 9}, headers=headers)


def together(server: MockServer, requests: list[bytes]) -> list[Answer]:
    answers: list[Answer | None] = [None] * len(requests)

    def run(index: int) -> None:
        answers[index] = exchange(server.url, requests[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def streams(server: MockServer) -> list[dict]:
    return HTTP.get(f"{server.url}/_mock/streams", params={"limit": 1000}).json()["streams"]


@pytest.mark.parametrize(("dialect", "stream"), [("openai-chat", True), ("openai-chat", False), ("raw-text", True)])
def test_an_answer_names_its_replica_and_so_does_the_ledger(dialect: str, stream: bool) -> None:
    with serving(FleetSettings(replicas=3, replica_header="X-Served-By")) as server:
        names = [ask(server, dialect=dialect, stream=stream).header("x-served-by") for _ in range(6)]
        recorded = [[one["replica"]] for one in streams(server)]
    assert names == [["replica-0"], ["replica-1"], ["replica-2"]] * 2
    assert recorded == names


def test_without_several_replicas_no_header_names_one() -> None:
    with serving(FleetSettings(), slots=2) as server:
        assert ask(server).header("x-replica") == []
        assert streams(server)[0]["replica"] == "replica-0"
    with serving(FleetSettings()) as server:
        assert ask(server).header("x-replica") == []
        assert streams(server)[0]["replica"] is None


def test_sticky_sessions_stay_with_their_replica() -> None:
    with serving(FleetSettings(replicas=4, routing="sticky", sticky_header="X-User")) as server:
        seen = {name: {ask(server, "hi", f"x-user: {name}").header("x-replica")[0] for _ in range(2)}
                for name in map(str, range(12))}  # fmt: skip
    assert all(len(replicas) == 1 for replicas in seen.values())
    assert len(set.union(*seen.values())) > 1


def test_weights_skew_the_requests() -> None:
    with serving(FleetSettings(replicas=2, weight="3,1")) as server:
        for _ in range(8):
            ask(server)
        assert Counter(one["replica"] for one in streams(server)) == {"replica-0": 6, "replica-1": 2}


def test_a_slow_replica_takes_longer_in_everything_by_its_speed() -> None:
    with serving(
        FleetSettings(replicas=2, speed="1,0.25"), tokens=4, ttft="20ms", itl="10ms", prefill_rate=100
    ) as server:
        for _ in range(2):
            ask(server, "one two", dialect="raw-text")
        fast, slow = (one["end_ns"] - one["slot_ns"] for one in streams(server))
    assert fast >= (20 + 20 + 4 * 10 - 1) * MS
    assert slow >= 4 * (20 + 20 + 4 * 10 - 1) * MS


def test_users_up_to_the_slots_of_all_replicas_do_not_wait_and_one_more_does() -> None:
    fleet = FleetSettings(replicas=2, routing="least-connections")
    config = MockConfig(slots=2, fleet=fleet)
    most = forms.users_without_waiting(config.fleet_limits())
    with serving(fleet, slots=2) as server:
        held = [hold(server, f"s{number}") for number in range(most + 1)]
        waiting = HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"]
        assert [replica["running"] for replica in waiting] == [2, 2]
        assert sum(replica["waiting"] for replica in waiting) == 1
        release(server, "s0")
        read_until(held[0], b"[DONE]")
        release(server, f"s{most}")
        read_until(held[most], b"[DONE]")
        freed, late = entry(server, "s0"), entry(server, f"s{most}")
        for client in held:
            client.close()
    assert late["replica"] == freed["replica"]
    assert late["slot_ns"] >= freed["end_ns"]


@pytest.mark.parametrize(("status", "retry_after", "header"), [(429, "2s", ["2"]), (503, "1s", ["1"]), (503, "0", [])])
def test_admission_refuses_above_its_limit(status: int, retry_after: str, header: list[str]) -> None:
    fleet = FleetSettings(replicas=2, admit=3, refuse_status=status, retry_after=retry_after)
    with serving(fleet) as server:
        held = [hold(server, f"s{number}") for number in range(3)]
        answer = ask(server, "[[mock id=refused]]")
        refused_entry = entry(server, "refused")
        state = HTTP.get(f"{server.url}/_mock/fleet").json()
        for client in held:
            client.close()
        wait_for(lambda: HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]["running"] == 0)
        assert ask(server).status == 200
    assert (answer.status, answer.header("retry-after")) == (status, header)
    assert answer.header("x-replica") == []  # no replica saw the request
    assert refused_entry["replica"] is None
    assert json.loads(answer.rest)["error"]["message"]
    assert state["refused"] == 1


def test_a_full_replica_refuses_by_its_own_name() -> None:
    with serving(FleetSettings(replicas=2), slots=1, queue=0) as server, hold(server, "a"), hold(server, "b"):
        answer = ask(server)
        assert (answer.status, answer.header("x-replica")) == (429, ["replica-0"])


def test_who_waits_too_long_is_refused_and_frees_the_place() -> None:
    fleet = FleetSettings(queue_timeout="50ms", refuse_status=503)
    with serving(fleet, slots=1, queue=1) as server, hold(server, "first"):
        answer = ask(server, "[[mock id=late]]")
        late = entry(server, "late")
        assert (answer.status, late["status"], late["tokens_written"]) == (503, 503, 0)
        assert late["end_ns"] - late["arrival_ns"] >= 49 * MS
        assert HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]["timed_out"] == 1
        waiting = hold(server, "in-time", "tokens=1")
        release(server, "first")
        read_until(waiting, b"[DONE]", timeout_s=5)
        waiting.close()


@pytest.mark.parametrize(("order", "expected"), [("fifo", "abc"), ("lifo", "cba"), ("shortest", "bca")])
def test_the_order_of_the_queue(order: str, expected: str) -> None:
    with serving(FleetSettings(queue_order=order), slots=1) as server:
        first = hold(server, "first")
        clients = [hold(server, name, f"tokens={tokens}") for name, tokens in (("a", 9), ("b", 1), ("c", 5))]
        release(server, "first")
        for client in clients:
            read_until(client, b"[DONE]")
        by_slot = sorted(("a", "b", "c"), key=lambda name: entry(server, name)["slot_ns"])
        for client in (first, *clients):
            client.close()
    assert "".join(by_slot) == expected


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"replicas": 0}, "replicas: expected 1 to"),
        ({"replicas": 2, "speed": "1,2,3"}, "speed: expected one number, or one for each of 2 replicas, got 3"),
        ({"speed": "fast"}, "speed: expected numbers"),
        ({"weight": "nan"}, "weight: expected numbers"),
        ({"weight": "-1"}, "weight: expected numbers"),
        ({"routing": "magic"}, "routing: expected one of round-robin"),
        ({"replica_header": "X Y"}, "replica-header: expected a field name"),
        ({"sticky_header": ""}, "sticky-header: expected a field name"),
        ({"admit": 0}, "admit: expected 1 or more"),
        ({"refuse_status": 200}, "refuse-status: expected an error status"),
        ({"retry_after": "1500ms"}, "retry-after: expected whole seconds"),
        ({"retry_after": "soon"}, "retry-after: expected a duration"),
        ({"queue_order": "random"}, "queue-order: expected one of fifo"),
        ({"engine": "abacus"}, "engine: expected one of vllm, sglang, llama.cpp"),
        ({"engine": "vllm", "gauge_lie": ("white",)}, "gauge-lie: expected one of stale"),
        ({"gauge_lie": ("zero",)}, "gauge-lie: expected an engine as well"),
        ({"cold_requests": -1}, "cold-requests: expected 0 to 1000000"),
        ({"cold_time": "long"}, "cold-time: expected a duration"),
        ({"cold_after": "later"}, "cold-after: expected a duration"),
        ({"overload_at": 0}, "overload-at: expected 1 to 1000000"),
        ({"overload_factor": 0.5}, "overload-factor: expected 1 to 1000"),
        ({"overload_recovery": "x"}, "overload-recovery: expected a duration"),
        ({"prefix_cache": 0}, "prefix-cache: expected 1 to 1000000"),
        ({"prefix_block": 0}, "prefix-block: expected 1 to 1000000"),
        ({"queue_timeout": "0"}, "queue-timeout: expected more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_named(wrong: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FleetSettings(**wrong)


def test_a_queue_timeout_needs_slots() -> None:
    with pytest.raises(ValueError, match="queue-timeout: expected slots as well"):
        MockConfig(fleet=FleetSettings(queue_timeout="1s"))


def test_the_defaults_model_no_fleet() -> None:
    assert not MockConfig().models_fleet
    assert MockConfig(slots=3).models_fleet
    assert MockConfig(fleet=FleetSettings(admit=1)).models_fleet
    assert MockConfig(fleet=FleetSettings(replicas=2, speed="1,0.5")).fleet_limits().replicas == (
        Limits(),
        Limits(speed=0.5),
    )


def test_the_first_streams_of_a_cold_replica_begin_later() -> None:
    with serving(FleetSettings(cold_requests=2, cold_time="60ms"), ttft="0") as server:
        for _ in range(8):  # a busy machine makes some of them late, and not all
            ask(server, dialect="raw-text")
        first = [one["end_ns"] - one["slot_ns"] for one in streams(server)]
        state = HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]
    assert [duration >= 59 * MS for duration in first[:2]] == [True] * 2
    assert min(first[2:]) < 59 * MS
    assert state["cold_starts"] == 2


def test_an_overloaded_replica_is_slow_until_its_queue_was_empty_for_long_enough() -> None:
    fleet = FleetSettings(overload_at=1, overload_factor=3.0, overload_recovery="400ms")
    with serving(fleet, slots=1, ttft="30ms") as server:
        first = hold(server, "first")
        second = hold(server, "second", "tokens=1 ttft=30ms")
        assert HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]["overloaded"]
        release(server, "first")
        read_until(second, b"[DONE]")
        slow = entry(server, "second")
        assert slow["end_ns"] - slow["slot_ns"] >= 3 * 30 * MS - MS
        wait_for(lambda: not HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]["overloaded"])
        first.close()
        second.close()


def test_a_prompt_that_came_before_is_read_from_the_cache() -> None:
    """Of 41 words 40 are cached; at 100 words a second the first answer takes 400 ms longer."""
    words = " ".join(f"w{index}" for index in range(41))
    with serving(FleetSettings(prefix_cache=100, prefix_block=8), prefill_rate=100) as server:
        usages = [json.loads(ask(server, words, stream=False).rest)["usage"] for _ in range(4)]
        cold, *warm = streams(server)
    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages] == [0, 40, 40, 40]
    assert {usage["prompt_tokens"] for usage in usages} == {41}
    assert [one["cached_tokens"] for one in (cold, *warm)] == [0, *[forms.cached_tokens(41, 41, 8)] * 3]
    assert cold["end_ns"] - cold["slot_ns"] >= 409 * MS
    assert 9 * MS <= min(one["end_ns"] - one["slot_ns"] for one in warm) < 300 * MS


def test_the_cache_sees_the_whole_conversation_and_each_replica_has_its_own() -> None:
    turns = [{"role": "system", "content": "be brief " * 8}, {"role": "user", "content": "hi"}]
    with serving(FleetSettings(replicas=2, prefix_cache=100, prefix_block=8)) as server:
        found = [json.loads(ask(server, stream=False, messages=turns).rest)["usage"] for _ in range(4)]
        assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in found] == [0, 0, 16, 16]
        assert {usage["prompt_tokens"] for usage in found} == {17}
    with serving(FleetSettings()) as server:
        assert json.loads(ask(server, stream=False, messages=turns).rest)["usage"]["prompt_tokens"] == 1


WORDS = " ".join(f"w{index}" for index in range(17))
USAGES = {
    "/v1/chat/completions": (
        {"messages": [{"role": "user", "content": WORDS}]},
        lambda body: body["usage"]["prompt_tokens_details"]["cached_tokens"],
    ),
    "/v1/responses": ({"input": WORDS}, lambda body: body["usage"]["input_tokens_details"]["cached_tokens"]),
    "/v1/messages": (
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": WORDS}]},
        lambda body: body["usage"]["cache_read_input_tokens"],
    ),
    "/v1beta/models/m:generateContent": (
        {"contents": [{"role": "user", "parts": [{"text": WORDS}]}]},
        lambda body: body["usageMetadata"].get("cachedContentTokenCount", 0),
    ),
    "/v2/chat": (
        {"model": "m", "messages": [{"role": "user", "content": WORDS}], "stream": False},
        lambda body: body["usage"]["cached_tokens"],
    ),
}


@pytest.mark.parametrize("path", USAGES)
def test_cached_tokens_stand_where_each_vendor_puts_them(path: str) -> None:
    body, cached = USAGES[path]
    with serving(FleetSettings(prefix_cache=100)) as server:
        answers = [HTTP.post(f"{server.url}{path}", json=body).json() for _ in range(2)]
    assert [cached(answer) for answer in answers] == [0, 16]


def test_anthropic_counts_cached_tokens_beside_the_others_and_deepseek_both() -> None:
    with serving(FleetSettings(prefix_cache=100), profile="deepseek") as server:
        messages = [HTTP.post(f"{server.url}/v1/messages", json=USAGES["/v1/messages"][0]).json() for _ in range(2)]
        chats = HTTP.post(f"{server.url}/v1/chat/completions", json=USAGES["/v1/chat/completions"][0]).json()
    assert [message["usage"]["input_tokens"] for message in messages] == [17, 1]
    assert chats["usage"]["prompt_cache_hit_tokens"] == 16
    assert chats["usage"]["prompt_cache_miss_tokens"] == 1


@pytest.mark.parametrize(("engine", "path"), [("vllm", "/reset_prefix_cache"), ("sglang", "/flush_cache")])
def test_an_idle_engine_forgets_its_prefixes_and_a_busy_one_refuses(engine: str, path: str) -> None:
    with serving(FleetSettings(prefix_cache=100, engine=engine)) as server:
        for _ in range(2):
            ask(server, WORDS)
        with hold(server, "busy"):
            busy = HTTP.post(f"{server.url}{path}")
        wait_for(lambda: HTTP.get(f"{server.url}/_mock/fleet").json()["replicas"][0]["running"] == 0)
        done = HTTP.post(f"{server.url}{path}")
        ask(server, WORDS)
        cached = [one["cached_tokens"] for one in streams(server) if one["id"] != "busy"]
    assert cached == [0, 16, 0]
    assert done.status_code == 200
    assert busy.status_code == (200 if engine == "vllm" else 400)
    if engine == "vllm":
        assert (busy.json(), done.json()) == ({"success": False}, {"success": True})


def test_a_held_tail_keeps_its_slot() -> None:
    with serving(FleetSettings(), slots=1, faults=("tail-hold:80ms",)) as server:
        answers = together(server, [request_bytes("openai-chat", "hi")] * 2)
        first, second = streams(server)
        held = [entry(server, stream["id"]) for stream in (first, second)]
    assert [answer.whole for answer in answers] == [True, True]
    assert second["slot_ns"] - first["slot_ns"] >= 79 * MS
    gaps_ns = []
    for stream in held:
        writes = stream["writes"]
        last = max(index for index, token in enumerate(writes["token"]) if token is not None)
        assert writes["t_ns"][last + 1] - stream["slot_ns"] >= 79 * MS
        gaps_ns.append(writes["t_ns"][last + 1] - writes["t_ns"][last])
    assert max(gaps_ns) > 20 * MS  # a busy machine writes some tokens late


def configure(server: MockServer, **values: str) -> tuple[int, dict]:
    headers = {"Content-Type": "application/json"}
    names = {name.replace("_", "-"): value for name, value in values.items()}
    answer = HTTP.post(f"{server.url}/_mock/fleet", params=names, headers=headers)
    return answer.status_code, answer.json()


def test_the_fleet_changes_while_it_runs() -> None:
    with serving(FleetSettings(), slots=1) as server:
        first, second = hold(server, "first"), hold(server, "second", "tokens=1")
        status, state = configure(server, replicas="2", speed="1,0.5", routing="least-connections")
        assert (status, state["settings"]["replicas"]) == (200, 2)
        assert [(one["name"], one["running"], one["waiting"]) for one in state["replicas"]] == [
            ("replica-0", 1, 1),
            ("replica-1", 0, 0),
        ]
        assert ask(server).header("x-replica") == ["replica-1"]
        release(server, "first")
        read_until(second, b"[DONE]")
        assert configure(server, replicas="1", speed="")[1]["settings"]["speed"] == "1"
        first.close()
        second.close()


def test_a_mock_without_a_fleet_gets_one_and_its_status_pages() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0")) as server:
        assert HTTP.get(f"{server.url}/metrics").status_code == 404
        assert configure(server, engine="llama.cpp", gauge_lie="zero,stale")[0] == 200
        assert HTTP.get(f"{server.url}/slots").json() == []
        assert configure(server, engine="", gauge_lie="")[0] == 200
        assert HTTP.get(f"{server.url}/slots").status_code == 404


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": "two"}, "replicas: expected a whole number, got 'two'"),
        ({"overload_factor": "x"}, "overload-factor: expected a number"),
        ({"speed": "1,2"}, "speed: expected one number"),
        ({"colour": "red"}, "'colour': expected one of replicas, speed"),
        ({"queue_timeout": "1s"}, "queue-timeout: expected slots as well"),
        ({"gauge_lie": "white", "engine": "vllm"}, "gauge-lie: expected one of stale"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(values: dict, named: str) -> None:
    with serving(FleetSettings(admit=7)) as server:
        before = HTTP.get(f"{server.url}/_mock/fleet").json()
        status, answer = configure(server, **{"admit": "9"} | values)
        assert (status, named in answer["error"]["message"]) == (400, True), answer
        assert HTTP.get(f"{server.url}/_mock/fleet").json() == before


@given(st.sampled_from(options(FleetSettings)), st.text(max_size=20) | st.sampled_from(["nan", "inf", "-1", "1e400"]))
def test_any_text_is_a_setting_or_a_value_error(option: Option, text: str) -> None:
    name = option.flag.removeprefix("--")
    with contextlib.suppress(ValueError):
        settings = changed(FleetSettings(engine="vllm"), {name: text})
        assert settings.limits(Limits(slots=2)).replicas[0].slots == 2
