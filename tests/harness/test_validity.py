"""What a client cannot rule out of its own figures, on hand-made streams: (arrival ms, lag ms, token events in it)."""

from typing import Any

import pytest

from harness.metrics import Totals
from harness.record import SCHEMA, Reads, StreamRecord
from harness.stream import Outcome
from harness.units import MS
from harness.validity import LIMITS, VALIDITY_RULE, Evidence, merged_tokens, ttft_bound_ns, validity
from harness.workers import WorkerRow
from tests.harness.test_workers import row


def stream(*reads: tuple[float, float, int], **changes: Any) -> StreamRecord:
    given: dict[str, Any] = {
        "schema": SCHEMA, "id": "s", "outcome": Outcome.OK, "method": "POST", "url": "u", "start_ns": 10**18,
        "reused": True, "sent_ns": MS // 10, "stamp_source": "kernel",
        "reads": Reads([round(r[0] * MS) for r in reads], [round(r[1] * MS) for r in reads], [9] * len(reads)),
        "token_reads": [index for index, (_, _, tokens) in enumerate(reads) for _ in range(tokens)],
        "end_ns": round(reads[-1][0] * MS) + 1 if reads else None,
    } | changes  # fmt: skip
    return StreamRecord(**given)


def bound_ms(record: StreamRecord) -> float | None:
    bound = ttft_bound_ns(record)
    return None if bound is None else round(bound / MS, 3)


def test_a_late_read_of_one_token_is_harmless_because_its_stamp_is_not_late() -> None:
    assert bound_ms(stream((1, 0.1, 0), (200, 90, 1), (220, 0.1, 1), loop_late_ns=90 * MS)) == 0.1


def test_a_first_token_that_shares_its_read_is_off_by_no_more_than_the_client_was_late() -> None:
    record = stream((1, 0.1, 0), (300, 2, 4), (320, 0.1, 1), loop_late_ns=40 * MS)
    assert bound_ms(record) == 80.1


def test_nor_by_more_than_the_time_since_the_read_before() -> None:
    assert bound_ms(stream((1, 0.1, 0), (30, 2, 4), loop_late_ns=400 * MS)) == pytest.approx(30 - 1.1 + 0.1)
    assert bound_ms(stream((30, 2, 4), loop_late_ns=400 * MS)) == pytest.approx(30 - 0.1 + 0.1)


def test_what_the_server_wrote_at_once_is_not_held_against_a_punctual_client() -> None:
    assert bound_ms(stream((200, 0.1, 5), (300, 0.1, 5), loop_late_ns=0)) == 0.2


def test_without_a_heartbeat_the_lag_of_the_read_decides() -> None:
    assert bound_ms(stream((200, 2.9, 5))) == 0.1
    assert bound_ms(stream((200, 3.1, 5))) == 200


def test_an_end_in_the_same_read_counts_as_company() -> None:
    alone = stream((1, 0.1, 0), (200, 3, 1), loop_late_ns=MS)
    assert bound_ms(alone) == 0.1
    alone.end_ns = 200 * MS
    assert bound_ms(alone) == 3.1
    alone.outcome = Outcome.INCOMPLETE  # then the end is only the last that was seen
    assert bound_ms(alone) == 0.1


def test_a_read_without_a_stamp_is_off_by_what_the_loop_was_late_or_by_nobody_knows_what() -> None:
    record = stream((1, 0, 0), (200, 0, 1), (220, 0, 1), stamp_source="mixed", loop_late_ns=7 * MS)
    assert bound_ms(record) == 14.1
    record.loop_late_ns = None
    assert ttft_bound_ns(record) is None


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
    assert ttft_bound_ns(stream((1, 0.1, 0))) is None


def test_tokens_are_merged_by_us_only_when_the_read_was_late() -> None:
    assert merged_tokens(stream((200, 0.1, 3), (300, 5, 4), (320, 5, 1))) == 3


def test_one_segment_a_read_and_a_punctual_loop_is_valid() -> None:
    assert verdict([stream((200, 0.1, 1), (220, 0.1, 1), loop_late_ns=0)] * 100) == "VALID"


def test_lags_below_the_gap_do_not_hide_that_the_client_is_far_behind() -> None:
    """At 200 tokens/s a client that is 300 ms behind reads sixty tokens at once and sees a lag below 5 ms."""
    behind = stream((1, 0.2, 0), (500, 4, 60), (800, 4.5, 60), loop_late_ns=300 * MS)
    assert verdict([behind] * 100) == "INVALID"
    assert verdict([stream((1, 0.2, 0), (500, 4, 60), loop_late_ns=None)] * 100) == "INVALID"


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


def test_a_loop_that_runs_late_is_suspect_whatever_the_reads_say() -> None:
    good = [stream((200, 0.1, 1), (220, 0.1, 1))] * 10
    assert verdict(good, row(1, late=[11 * MS] * 10)) == "SUSPECT"
    assert verdict(good, row(1, late=[110 * MS] * 10)) == "INVALID"


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
        return validity(Evidence(**{limit.field: value}), tokens=True).verdict

    assert judged(limit.suspect) == "VALID"
    assert judged(limit.suspect * 1.001) == "SUSPECT"
    if limit.invalid is not None:
        assert judged(limit.invalid) == "SUSPECT"
        assert judged(limit.invalid * 1.001) == "INVALID"
    assert limit.what in VALIDITY_RULE


def test_the_reasons_are_those_that_are_exceeded_with_their_numbers() -> None:
    found = validity(Evidence(ttft_bound_p99=1, client_lag_p99=12, busiest_core=0.95), tokens=True)
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "client lag p99 is 12.00 ms",
        "share of a core that a process used or waited for is 95.0%",
    ]


def test_without_a_token_there_is_nothing_to_judge() -> None:
    assert validity(Evidence(client_lag_p99=500), tokens=False).verdict == "NO DATA"
