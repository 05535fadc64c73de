"""Every metric on hand-made tapes: exact numbers."""

import msgspec
import pytest

from streamgauge.metrics.definitions import METRICS, per_stream
from streamgauge.metrics.facts import StreamFacts, coalesced, gaps_ns, stalls_of, tpot_ns, ttft_ns
from streamgauge.protocol.outcome import Outcome
from tests.builders.made import made, of_tape
from tests.builders.tapes import MS


def test_ttft_is_the_first_token_and_not_the_role_chunk() -> None:
    values = per_stream(StreamFacts(of_tape()))
    assert ttft_ns(of_tape()) == values["ttft"] == 200 * MS
    assert values["ttft_any_chunk"] == 20 * MS
    assert values["ttfat"] == 220 * MS


def test_two_tokens_of_one_read_have_a_gap_of_zero_and_are_counted_as_coalesced() -> None:
    assert gaps_ns(of_tape()) == [20 * MS, 0, 40 * MS]
    assert coalesced(of_tape()) == 1


def test_tpot_divides_by_the_tokens_that_the_server_counted() -> None:
    assert tpot_ns(of_tape()) == 60 * MS / 12


def test_every_metric_of_a_stream() -> None:
    assert per_stream(StreamFacts(of_tape())) == {
        "ttft": 200 * MS,
        "ttfb": 10 * MS,
        "headers": 10 * MS,
        "ttfe": 20 * MS,
        "ttfat": 220 * MS,
        "ttst": 20 * MS,
        "tpot": 5 * MS,
        "e2e": 300 * MS,
        "connect": None,
        "ttft_any_chunk": 20 * MS,
        "tpot_incl_first": 300 * MS / 13,
        "itl_request_mean": 20 * MS,
        "itl": 40 * MS,
        "client_lag": 0,
        "ttft_bound": 0,
        "itl_bound": 0,
        "schedule_delay": None,
        "ttft_intended": None,
        "e2e_intended": None,
        "adj_ttft": 200 * MS,
        "adj_tpot": 5 * MS,
        "adj_e2e": 300 * MS,
    }


def test_absent_is_none_and_never_zero() -> None:
    assert set(per_stream(StreamFacts(made())).values()) == {None}
    one = per_stream(StreamFacts(made(5)))
    assert (one["ttft"], one["ttst"], one["tpot"], one["itl"], one["itl_request_mean"]) == (5 * MS, *[None] * 4)
    assert tpot_ns(made(5, 6, tokens=1)) is None


@pytest.mark.parametrize(
    ("outcome", "finish", "stalls"),
    [
        (Outcome.STALLED, None, [980_000_000]),
        (Outcome.INCOMPLETE, None, [980_000_000]),
        (Outcome.CANCELLED, None, [980_000_000]),
        (Outcome.TRUNCATED, None, [980_000_000]),
        (Outcome.TRUNCATED, "stop", []),
        (Outcome.OK, None, []),
        (Outcome.ERROR_EVENT, None, []),
    ],
)
def test_a_silence_without_a_token_behind_it_is_a_stall(
    outcome: Outcome, finish: str | None, stalls: list[int]
) -> None:
    record = msgspec.structs.replace(made(0, 10, 20), outcome=outcome, finish_reason=finish, closed_ns=1_000_000_000)
    assert StreamFacts(record).stalls_ns == stalls
    assert StreamFacts(msgspec.structs.replace(record, closed_ns=500_000_000)).stalls_ns == []


def test_a_stall_is_above_ten_medians_and_half_a_second() -> None:
    assert stalls_of(gaps_ns(made(0, 10, 20, 520.001))) == [500_001_000]
    assert stalls_of(gaps_ns(made(0, 10, 20, 520))) == []
    assert stalls_of(gaps_ns(made(0, 100, 200, 1200))) == []
    assert stalls_of(gaps_ns(made(0, 100, 200, 1200.001))) == [1_000_001_000]
    assert stalls_of(gaps_ns(made(0))) == []


def test_each_metric_is_defined_once_and_says_when_it_is_absent() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.definition and metric.absent for metric in METRICS)
