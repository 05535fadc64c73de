"""Faults of timing and of write boundaries: when bytes come, and how they are cut into writes."""

from itertools import pairwise

import pytest

from streamgauge.mock_provider.embedded import MockServer
from tests.mock_provider.fault_wire import play, raw_and_writes
from tests.mock_provider.mock_wire import HTTP, quietly


def test_a_late_head_comes_with_the_first_token(mock: MockServer) -> None:
    play(mock, "raw-text", "[[mock id=late-head ttft=30ms fault=late-head]]")
    entry = HTTP.get(f"{mock.url}/_mock/streams/late-head", params={"wait": 5}).json()["streams"][-1]
    assert entry["head_ns"] - entry["arrival_ns"] >= 30_000_000


@pytest.mark.parametrize("size", [1, 9, 60, 300, 400])
def test_rst_at_a_byte_cuts_there(mock: MockServer, size: int) -> None:
    clean, _, _ = raw_and_writes(mock, "rst-at", "tokens=6")
    faulty, end, writes = raw_and_writes(mock, "rst-at", f"tokens=6 fault=rst-at:{size}")
    assert (faulty, end) == (clean[:size], "rst")
    assert sum(writes["bytes"]) == size


def test_an_rst_beyond_the_last_byte_never_comes(mock: MockServer) -> None:
    clean, _, _ = raw_and_writes(mock, "rst-at", "tokens=6")
    assert raw_and_writes(mock, "rst-at", "tokens=6 fault=rst-at:9999")[:2] == (clean, "fin")


@pytest.mark.parametrize(
    ("spec", "sizes"), [("write-every:5", {1, 2, 3, 4, 5}), ("write-every", {1}), ("drip:1us@0", {1})]
)
def test_write_boundaries(mock: MockServer, spec: str, sizes: set[int]) -> None:
    clean, _, whole = raw_and_writes(mock, "cuts", "tokens=3")
    faulty, end, writes = raw_and_writes(mock, "cuts", f"tokens=3 fault={spec}")
    assert (faulty, end) == (clean, "fin")
    head = 0 if spec.startswith("write") else 1  # the drip begins with the first token
    assert set(writes["bytes"][head:]) <= sizes
    assert len(writes["bytes"]) > len(whole["bytes"])
    assert [token for token in writes["token"] if token is not None] == [0, 1, 2]


def gaps_ms(writes: dict) -> list[float]:
    at = [t_ns for t_ns, token in zip(writes["t_ns"], writes["token"], strict=True) if token is not None]
    return [(later - earlier) / 1e6 for earlier, later in pairwise(at)]


def test_one_late_event_delays_no_other(mock: MockServer) -> None:
    # Due at 0, 20, 40+50, 60, 80, 100: two come with the late one, and the last in its own time.
    expected = pytest.approx([20, 70, 0, 0, 10], abs=8)
    directive = "tokens=6 itl=20ms fault=late-event:50ms@2"
    assert quietly(lambda: gaps_ms(raw_and_writes(mock, "late", directive)[2]), expected) == expected


def test_a_stall_delays_all_that_follows(mock: MockServer) -> None:
    expected = pytest.approx([20, 70, 20], abs=8)
    directive = "tokens=4 itl=20ms fault=stall:50ms@2"
    assert quietly(lambda: gaps_ms(raw_and_writes(mock, "stall", directive)[2]), expected) == expected


@pytest.mark.parametrize(("name", "beats"), [("stall", True), ("stall-quiet", False)])
def test_a_pause_with_and_without_heartbeats(mock: MockServer, name: str, beats: bool) -> None:
    raw, _, _ = raw_and_writes(mock, "beats", f"tokens=4 heartbeat=20ms fault={name}:90ms@2")
    assert (b": heartbeat" in raw) is beats
