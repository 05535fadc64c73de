"""Error bounds of a client's own figures, on hand-made streams of reads: (arrival ms, lag ms, token events)."""

from typing import Any

import pytest

from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.summary import Totals
from streamgauge.metrics.validity import (
    LIMITS,
    TIMES,
    VALIDITY_RULE,
    ClientEvidence,
    Scope,
    disturbed,
    shaken,
    validity,
)
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS
from tests.builders.client_lag import row, stream


def bound_ms(record: StreamRecord) -> float | None:
    bound = StreamFacts(record).ttft_bound_ns
    return None if bound is None else round(bound / MS, 3)


def test_a_late_read_of_one_token_is_harmless_because_its_stamp_is_not_late() -> None:
    assert bound_ms(stream((1, 0.1, 0), (200, 90, 1), (220, 0.1, 1), waited_ms=180)) == 0.1


def test_a_first_token_that_shares_its_read_is_off_by_no_more_than_the_client_was_late() -> None:
    record = stream((1, 0.1, 0), (300, 2, 4), (320, 0.1, 1), waited_ms=80)
    assert bound_ms(record) == 80.1


def test_nor_by_more_than_the_time_since_the_read_before() -> None:
    assert bound_ms(stream((1, 0.1, 0), (30, 2, 4), waited_ms=800)) == pytest.approx(30 - 1.1 + 0.1)
    assert bound_ms(stream((30, 2, 4), waited_ms=800)) == pytest.approx(30 - 0.1 + 0.1)


def test_tokens_written_at_once_by_the_server_give_a_punctual_client_no_bound() -> None:
    assert bound_ms(stream((200, 0.1, 5), (300, 0.1, 5), waited_ms=0)) == 0.2


def test_without_a_heartbeat_the_lag_of_the_read_decides() -> None:
    assert bound_ms(stream((200, 2.9, 5))) == 0.1
    assert bound_ms(stream((200, 3.1, 5))) == 200


def test_an_end_in_the_same_read_counts_as_company() -> None:
    reads = (1, 0.1, 0), (200, 3, 1)
    assert bound_ms(stream(*reads, waited_ms=2)) == 0.1
    assert bound_ms(stream(*reads, waited_ms=2, end_ns=200 * MS)) == 3.1
    # Then the end is only the last that was seen.
    assert bound_ms(stream(*reads, waited_ms=2, end_ns=200 * MS, outcome=Outcome.INCOMPLETE)) == 0.1


def test_a_read_without_a_stamp_is_bounded_by_the_lateness_of_the_loop_or_unbounded() -> None:
    record = stream((1, 0, 0), (200, 0, 1), (220, 0, 1), stamp_source="mixed", waited_ms=14)
    assert bound_ms(record) == 14.1
    record.waits = None
    assert StreamFacts(record).ttft_bound_ns is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sent_ns": 60 * MS}, 60),
        ({"sent_ns": 60 * MS, "reused": False, "handshake_ns": 40 * MS}, 20),
        ({"sent_ns": 130 * MS, "reused": False, "handshake_ns": 40 * MS, "tls_ns": 80 * MS}, 10),
        ({"sent_ns": 30 * MS, "reused": False, "handshake_ns": 40 * MS}, 0),
        ({"sent_ns": None}, 0),
    ],
)
def test_a_request_that_leaves_late_counts_but_for_the_networks_round_trips(
    changes: dict[str, Any], expected: float
) -> None:
    assert bound_ms(stream((200, 0.1, 1), (220, 0.1, 1), **changes)) == expected


def test_without_a_token_there_is_no_bound() -> None:
    assert StreamFacts(stream((1, 0.1, 0))).ttft_bound_ns is None


def gap_bounds_ms(record: StreamRecord) -> list[float]:
    return [round(bound / MS, 3) for bound in StreamFacts(record).itl_bounds_ns]


def test_a_gap_between_reads_of_one_token_is_exact_however_late_they_were() -> None:
    assert gap_bounds_ms(stream((200, 90, 1), (220, 80, 1), (240, 70, 1), waited_ms=180)) == []


def test_tokens_that_share_a_read_may_have_waited_as_long_as_the_client_was_late() -> None:
    """Seven bounds: the three gaps inside the first read, and the four tokens of the second read."""
    record = stream((200, 0.1, 4), (300, 1, 4), (320, 0.1, 1), waited_ms=40)
    assert gap_bounds_ms(record) == [40] * 7


def test_but_no_longer_than_since_the_read_before() -> None:
    record = stream((200, 0.1, 1), (220, 1, 2), (240, 0.1, 1), waited_ms=600)
    assert gap_bounds_ms(record) == [19.9, 19.9]


def test_tokens_written_at_once_leave_the_gaps_of_a_punctual_client_exact() -> None:
    assert gap_bounds_ms(stream((200, 0.1, 2), (300, 0.1, 2), waited_ms=0)) == [0.1] * 3


def test_without_a_heartbeat_a_gap_is_off_only_where_the_read_was_late() -> None:
    assert gap_bounds_ms(stream((200, 0.1, 3), (300, 5, 4), (320, 5, 1))) == [99.9] * 4


def test_without_a_stamp_a_token_may_be_as_late_as_the_loop_was() -> None:
    record = stream((200, 0, 1), (300, 0, 1), stamp_source="user", waited_ms=16)
    assert gap_bounds_ms(record) == [16]


def test_one_segment_a_read_and_a_punctual_loop_is_valid() -> None:
    assert verdict([stream((200, 0.1, 1), (220, 0.1, 1), waited_ms=0)] * 100) == "VALID"


def test_lags_below_the_gap_do_not_hide_that_the_client_is_far_behind() -> None:
    """At 200 tokens/s a client that is 300 ms behind reads sixty tokens at once and sees a lag below 5 ms."""
    reads = (1, 0.2, 0), (500, 4, 60), (800, 4.5, 60)
    assert verdict([stream(*reads, waited_ms=600)] * 100) == "INVALID"
    assert verdict([stream((1, 0.2, 0), (500, 4, 60), waited_ms=None)] * 100) == "INVALID"


def test_one_stream_in_fifty_is_enough_and_one_in_two_hundred_is_not() -> None:
    good, bad = stream((200, 0.1, 1), (220, 0.1, 1)), stream((200, 0.1, 1), (220, 0.1, 1), sent_ns=20 * MS)
    assert verdict([good] * 98 + [bad] * 2) == "SUSPECT"
    assert verdict([good] * 199 + [bad]) == "VALID"


def test_first_tokens_without_a_stamp_are_noticed_even_when_all_other_reads_have_one() -> None:
    many = [(200 + 10 * n, 0.1, 1) for n in range(1, 300)]
    record = stream((200, 0, 1), *many, stamp_source="mixed", unstamped_reads=1)
    assert verdict([record] * 10) == "SUSPECT"


def test_a_process_without_a_core_to_itself_is_suspect() -> None:
    good = [stream((200, 0.1, 1), (220, 0.1, 1))] * 10
    assert verdict(good, row(1, cpu_ns=890), row(2, cpu_ns=500)) == "VALID"
    assert verdict(good, row(1, cpu_ns=100), row(2, cpu_ns=910)) == "SUSPECT"
    assert verdict(good, row(1, cpu_ns=500, waited_ns=410)) == "SUSPECT"


def test_a_late_loop_puts_off_no_stamp_but_the_load() -> None:
    good = [stream((200, 90, 1), (220, 90, 1))] * 10
    assert verdict(good, row(1, late=[90 * MS] * 10)) == "VALID"
    assert verdict(good, row(1, late=[110 * MS] * 10)) == "SUSPECT"


def test_one_gap_in_fifty_is_enough_and_one_in_two_hundred_is_not() -> None:
    alone = stream((200, 0.1, 1), (220, 0.1, 1))
    shared = stream((200, 0.1, 1), (220, 1, 2), waited_ms=12)
    assert verdict([alone] * 98 + [shared] * 2) == "SUSPECT"
    assert verdict([alone] * 399 + [shared]) == "VALID"


def test_starting_later_than_intended_is_suspect() -> None:
    late = stream((200, 0.1, 1), (220, 0.1, 1), intended_ns=10**18 - 11 * MS)
    assert verdict([late] * 10) == "SUSPECT"


def verdict(records: list[StreamRecord], *workers: WorkerRow) -> str:
    totals = Totals()
    for record in records:
        totals.add(record)
    return totals.summary(workers).validity.verdict


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.field)
def test_each_limit_is_exceeded_above_and_not_at_it(limit: Any) -> None:
    def judged(value: float) -> str:
        return validity(ClientEvidence(**{limit.field: value}), tokens=True).verdict

    assert judged(limit.suspect) == "VALID"
    assert judged(limit.suspect * 1.001) == "SUSPECT"
    if limit.invalid is not None:
        assert judged(limit.invalid) == "SUSPECT"
        assert judged(limit.invalid * 1.001) == "INVALID"
    assert limit.title in VALIDITY_RULE


def test_the_reasons_are_those_that_are_exceeded_with_their_numbers() -> None:
    found = validity(ClientEvidence(ttft_bound_p99=1, itl_bound_p99=12, busiest_core=0.95), tokens=True)
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "ITL error bound p99 is 12.00 ms",
        "share of a core that a process used or waited for is 95.0%",
    ]


def test_without_a_token_there_is_nothing_to_judge() -> None:
    assert validity(ClientEvidence(itl_bound_p99=500), tokens=False).verdict == "NO DATA"


def test_a_run_with_faults_is_invalid_and_says_why_first() -> None:
    good = validity(ClientEvidence(ttft_bound_p99=1.0), tokens=True)
    late = validity(ClientEvidence(ttft_bound_p99=20.0), tokens=True)
    none = validity(ClientEvidence(), tokens=False)
    assert disturbed(good, []) is good
    assert disturbed(good, ["Locust was killed"]).reasons == ["Locust was killed"]
    assert disturbed(late, ["Locust was killed"]).reasons == ["Locust was killed", *late.reasons]
    assert [disturbed(one, ["x"]).verdict for one in (good, late, none)] == ["INVALID", "INVALID", "NO DATA"]


def test_a_doubt_concerns_only_the_figures_that_it_can_distort() -> None:
    found = validity(ClientEvidence(ttft_bound_p99=1.0, itl_bound_p99=60.0), tokens=True)

    assert [found.about(scopes).verdict for scopes in ([Scope.GAPS], TIMES)] == ["INVALID", "INVALID"]
    assert [found.about(scopes).verdict for scopes in ([Scope.STARTS], [])] == ["VALID", "VALID"]
    assert validity(ClientEvidence(ttft_bound_p99=20.0), tokens=True).about([Scope.GAPS]).verdict == "VALID"


def test_a_doubt_about_the_load_concerns_every_figure() -> None:
    late = validity(ClientEvidence(itl_bound_p99=60.0, loop_late_p99=200.0), tokens=True)
    assert late.about([Scope.STARTS]).verdict == "SUSPECT"
    assert [reason.partition(" is ")[0] for reason in late.about([]).reasons] == ["event loop lateness p99"]
    assert disturbed(late, ["Locust was killed"]).about([]).reasons[0] == "Locust was killed"
    assert shaken(late, "out of reach").about([Scope.STARTS]).reasons[0] == "out of reach"
    none = validity(ClientEvidence(), tokens=False)
    assert disturbed(none, ["x"]).about([]).verdict == "NO DATA"
