"""The capacity model: its closed forms, and a server's ledger against them."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.capacity import (
    Limits,
    Work,
    burst_wait_ns,
    rate_per_s,
    saturation_per_s,
    service_ns,
    ttft_ns,
)
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.embedded import MockServer
from tests.mock_provider.mock_wire import HTTP, connect, exchange, quietly, read_until, request_bytes, wait_for

MS = 1_000_000
SECOND = 1_000 * MS
# Of a duration that the ledger measures, on a machine that other tests load as well.
TOLERANCE = 0.15

LIMITS = Limits(slots=4, prefill_rate=100, itl_per_active_ns=2 * MS, knee=2, collapse=0.25)
WORK = Work(prompt_tokens=3, tokens=10, ttft_ns=10 * MS, itl_ns=4 * MS)
CONFIG = MockConfig(
    tokens=10, ttft="10ms", itl="4ms", slots=4, prefill_rate=100, itl_per_active="2ms", knee=2, collapse=0.25
)


def test_the_closed_forms_by_hand() -> None:
    assert [LIMITS.itl_ns(4 * MS, n) // MS for n in (1, 2, 4)] == [6, 8, 18]  # 12 at 4, times 1.5 beyond the knee
    assert service_ns(LIMITS, WORK, 1) == (30 + 10 + 60) * MS
    assert rate_per_s(LIMITS, WORK, 1) == pytest.approx(10)
    assert saturation_per_s(LIMITS, WORK) == pytest.approx(4 / 0.22)
    assert [ttft_ns(LIMITS, WORK, n) // MS for n in (1, 4, 6, 8)] == [40, 40, 150, 260]
    assert [burst_wait_ns(LIMITS, WORK, i) // MS for i in (0, 3, 4, 8)] == [0, 0, 220, 440]


def test_without_slots_nothing_saturates() -> None:
    assert ttft_ns(Limits(), WORK, 1_000) == 10 * MS
    with pytest.raises(ValueError, match="never saturates"):
        saturation_per_s(Limits(), WORK)


@given(st.integers(1, 50), st.integers(0, 5), st.floats(0.01, 2))
def test_beyond_the_knee_throughput_falls(knee: int, more: int, collapse: float) -> None:
    limits = Limits(slots=1_000, itl_per_active_ns=MS, knee=knee, collapse=collapse)
    work = Work(prompt_tokens=0, tokens=100, ttft_ns=0, itl_ns=0)
    assert rate_per_s(limits, work, knee + more + 1) < rate_per_s(limits, work, knee + more) + 1e-9


def clients(url: str, count: int, rounds: int) -> None:
    """`count` clients that each send `rounds` requests, one after the other."""

    def run() -> None:
        for _ in range(rounds):
            # Its words are the prompt tokens of WORK.
            exchange(url, request_bytes("raw-text", "one two three"))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def streams(url: str) -> list[dict]:
    return HTTP.get(f"{url}/_mock/streams", params={"limit": 1000}).json()["streams"]


@pytest.mark.parametrize("concurrency", [1, 2, 4, 8])
def test_the_ledger_follows_the_closed_forms(concurrency: int) -> None:
    active = min(concurrency, 4)
    forms = pytest.approx(
        (
            service_ns(LIMITS, WORK, active),
            LIMITS.itl_ns(WORK.itl_ns, active),
            ttft_ns(LIMITS, WORK, concurrency),
            SECOND / rate_per_s(LIMITS, WORK, active),
        ),
        rel=TOLERANCE,
    )
    assert quietly(lambda: steady_state(concurrency), forms) == forms


def steady_state(concurrency: int) -> tuple[float, float, float, float]:
    """How long a slot was held, the gap of tokens, the wait for the first, and the time a stream took of all (ns)."""
    rounds = 4
    with MockServer(CONFIG) as server:
        clients(server.url, concurrency, rounds)
        found = streams(server.url)
        full = [HTTP.get(f"{server.url}/_mock/streams/{one['id']}").json()["streams"][0] for one in found]
    assert len(full) == concurrency * rounds
    # The first and last round, in which the slots fill and empty, are not the steady state that the forms describe.
    steady = full[concurrency:-concurrency]
    first = [one["writes"]["t_ns"][one["writes"]["token"].index(0)] for one in steady]
    last = [one["writes"]["t_ns"][one["writes"]["token"].index(9)] for one in steady]
    return (
        median(one["end_ns"] - one["slot_ns"] for one in steady),
        median((late - early) / 9 for early, late in zip(first, last, strict=True)),
        median(at - one["arrival_ns"] for at, one in zip(first, steady, strict=True)),
        (steady[-1]["end_ns"] - steady[0]["slot_ns"]) / len(steady),
    )


def test_a_burst_is_served_in_the_order_in_which_it_came() -> None:
    # Long enough that all have come before the first has ended, on a busy machine too.
    with MockServer(MockConfig(tokens=4, ttft="400ms", itl="100ms", slots=2)) as server:
        clients(server.url, 6, 1)
        found = streams(server.url)
    # Those that find a slot free have it from their arrival, and two of them may arrive before either is read.
    queued = [one["slot_ns"] for one in found[2:]]
    assert queued == sorted(queued)
    for earlier, later in zip(found, found[2:], strict=False):
        # Two slots: the next but one begins when one of the two before it has ended, and at once.
        assert later["slot_ns"] >= earlier["slot_ns"]
    ends = sorted(one["end_ns"] for one in found)
    assert [later["slot_ns"] - end >= 0 for later, end in zip(found[2:], ends, strict=False)] == [True] * 4
    # A busy machine makes some of them wait, and none of them is earlier than the quickest.
    assert min(later["slot_ns"] - end for later, end in zip(found[2:], ends, strict=False)) < 20 * MS


@pytest.fixture
def one_slot() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", slots=1, queue=1)) as server:
        yield server


def hold(server: MockServer, stream_id: str, more: str = "script=lockstep") -> socket.socket:
    client = connect(server.url)
    client.sendall(request_bytes("openai-chat", f"[[mock id={stream_id} {more}]]"))
    wait_for(lambda: HTTP.get(f"{server.url}/_mock/streams/{stream_id}").status_code == 200)
    return client


def entry(server: MockServer, stream_id: str) -> dict:
    return HTTP.get(f"{server.url}/_mock/streams/{stream_id}", params={"wait": 5}).json()["streams"][-1]


@pytest.mark.parametrize("end", ["finish", "fin", "rst", "fault", "silent"])
def test_a_slot_is_given_on_however_its_stream_ends(one_slot: MockServer, end: str) -> None:
    more = {"fault": "script=lockstep fault=rst:1", "silent": "script=silent"}.get(end, "script=lockstep")
    first = hold(one_slot, "first", more)
    second = hold(one_slot, "second", "tokens=1")
    if end in ("finish", "fault"):
        HTTP.post(f"{one_slot.url}/_mock/streams/first/release", params={"upto": 9}, json={})
    elif end == "rst":
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.close()
    else:
        first.close()
    read_until(second, b"[DONE]")
    first.close()
    second.close()
    before, after = entry(one_slot, "first"), entry(one_slot, "second")
    assert before["end"] == {"finish": "complete", "fault": "fault"}.get(end, "disconnected")
    assert after["slot_ns"] > after["arrival_ns"]
    assert 0 <= after["slot_ns"] - before["end_ns"] < SECOND


def test_who_leaves_the_queue_frees_its_place(one_slot: MockServer) -> None:
    first = hold(one_slot, "first")
    hold(one_slot, "gone").close()
    left = entry(one_slot, "gone")
    assert (left["end"], left["status"], left["head_ns"]) == ("disconnected", None, None)
    third = hold(one_slot, "third", "tokens=1")
    HTTP.post(f"{one_slot.url}/_mock/streams/first/release", params={"upto": 9}, json={})
    read_until(third, b"[DONE]")
    first.close()
    third.close()


def test_a_full_queue_is_told_in_the_dialects_shape(one_slot: MockServer) -> None:
    held = [hold(one_slot, "first"), hold(one_slot, "second")]
    answer = exchange(one_slot.url, request_bytes("openai-chat", "[[mock id=third]]"))
    assert (answer.status, answer.header("retry-after")) == (429, ["1"])
    assert json.loads(answer.rest)["error"]["type"] == "rate_limit_error"
    problem = exchange(one_slot.url, request_bytes("event-json", "hi"))
    assert (problem.status, problem.header("content-type")) == (429, ["application/problem+json"])
    assert entry(one_slot, "third")["status"] == 429
    for client in held:
        client.close()


def test_the_policy_reject_has_no_queue() -> None:
    with MockServer(MockConfig(slots=1, queue_policy="reject")) as server:
        with hold(server, "first"):
            assert exchange(server.url, request_bytes("openai-chat", "hi")).status == 429
        wait_for(lambda: exchange(server.url, request_bytes("raw-text", "[[mock tokens=1 ttft=0]]")).status == 200)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 0},
        {"queue": 1},
        {"queue_policy": "reject"},
        {"queue_policy": "hope", "slots": 1},
        {"slots": 1, "queue": -1},
        {"slots": 1, "queue": 3, "queue_policy": "reject"},
        {"prefill_rate": 0.0},
        {"prefill_rate": float("nan")},
        {"itl_per_active": "x"},
        {"knee": 0},
        {"collapse": 0.5},
        {"knee": 1, "collapse": -1.0},
        {"tokens_per_event": 0},
        {"events_per_write": 0},
        {"prefill": "x"},
    ],
)
def test_limits_that_make_no_sense(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        MockConfig(**wrong)


def test_a_config_makes_its_limits() -> None:
    assert CONFIG.limits() == LIMITS
    assert MockConfig().limits() == Limits()
    assert parse_duration(CONFIG.itl_per_active) == LIMITS.itl_per_active_ns
