"""Totals over hand-made records, and the summary they give."""

import random

import msgspec
import pytest

from streamgauge.metrics.distributions import Distribution, distribution
from streamgauge.metrics.slo import SloResult, SloVerdict, parse_slo
from streamgauge.metrics.summary import Summary, Totals, Window
from streamgauge.metrics.validity import Validity
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord, Waits
from tests.builders.made import made, of_tape
from tests.builders.tapes import MS, START_NS


def point(found: Distribution | None) -> Distribution:
    """The figures without their intervals."""
    assert found is not None
    return msgspec.structs.replace(found, intervals={})


def test_a_run_is_the_sum_of_its_streams() -> None:
    totals = Totals()
    totals.add(made(100, 110, 120))
    totals.add(made(100, 130, start_ms=870, closed_ms=130))
    totals.add(made(50, start_ms=500, outcome=Outcome.TRUNCATED))
    summary = totals.summary()

    assert summary.streams == {"ok": 2, "truncated": 1}
    assert summary.window_s == 1.0
    assert (summary.output_tokens, summary.token_events) == (6, 6)
    assert (summary.output_tokens_per_s, summary.events_per_s, summary.streams_per_s) == (6, 6, 3)
    assert point(summary.ttft_ms) == Distribution(83.333, 100, 100, 100, 100, 100, 3)
    assert summary.itl_ms is not None
    assert (summary.itl_ms.count, summary.itl_ms.max) == (3, 30)
    assert point(summary.tpot_ms) == Distribution(20, 10, 30, 30, 30, 30, 2)
    assert (summary.stamp_source, summary.tokens_source) == ("kernel", "token events")
    assert summary.goodput == 0.6667


def test_throughput_counts_the_tokens_that_arrived_in_the_window() -> None:
    """Ten streams without a pause, each a token every 100 ms: 100 tokens/s, whatever warm-up and drain cut off."""
    window = Window(START_NS + 1_000 * MS, START_NS + 2_000 * MS)
    totals = Totals(window=window)
    for user in range(10):
        for turn in range(3):
            begun = turn * 900 + user
            record = made(*range(100, 1_000, 100), start_ms=begun)
            totals.add(msgspec.structs.replace(record, warmup=begun < 1_000))
    summary = totals.summary()
    assert summary.window_s == 1.0
    assert summary.window_tokens == 100
    assert summary.output_tokens_per_s == 100
    assert summary.output_tokens == 90, "latency and length are of the streams that began in the window"
    assert summary.streams_per_s == 10
    half = totals.so_far(START_NS + 1_500 * MS)
    assert half.window_s == 0.5


def test_a_stream_counts_as_many_tokens_in_the_window_as_its_share_of_events_there() -> None:
    window = Window(START_NS, START_NS + 150 * MS)
    totals = Totals(window=window)
    totals.add(made(50, 100, 200, 300, tokens=40))
    assert totals.summary().window_tokens == 20
    assert window.until(START_NS + 60 * MS).share(made(50, 100, 200, 300), [50 * MS, 100 * MS]) == 0.5
    assert window.until(START_NS - MS) == Window(START_NS, START_NS)


def test_a_summary_can_be_asked_for_twice() -> None:
    totals = Totals()
    totals.add(made(1, 2))
    assert totals.summary() == totals.summary()
    assert totals.summary().stamp_source == "kernel"


def test_the_order_of_the_streams_does_not_matter() -> None:
    records = [made(10, 20, 40), made(5, start_ms=90), of_tape(), made(outcome=Outcome.TIMEOUT, start_ms=3)]
    forward, backward = Totals([parse_slo("ttft < 1s")]), Totals([parse_slo("ttft < 1s")])
    for record in records:
        forward.add(record)
    for record in reversed(records):
        backward.add(record)
    assert msgspec.to_builtins(forward.summary()) == msgspec.to_builtins(backward.summary())


def test_nothing_measured_is_all_absent() -> None:
    summary = Totals([parse_slo("ttft < 1s")]).summary()
    written = msgspec.to_builtins(summary)
    assert {name for name, value in written.items() if value is None} == {
        "ttft_ms", "ttfb_ms", "headers_ms", "ttfe_ms", "ttfat_ms", "ttst_ms", "itl_ms", "tpot_ms", "e2e_ms",
        "client_lag_ms", "connect_ms", "ttft_any_chunk_ms", "tpot_incl_first_ms", "itl_request_mean_ms",
        "tokens_source", "output_tokens_per_s", "events_per_s", "streams_per_s", "coalesced_share", "error_rate",
        "goodput", "stamp_source", "ttft_bound_ms", "itl_bound_ms", "loop_late_ms", "record_delay_ms", "merged_share",
        "busiest_core",
        "schedule_delay_ms", "ttft_intended_ms", "e2e_intended_ms", "goodput_at_most", "longest_cut_wait_ms",
            "usage_doubt", "in_flight", "steady_state", "lengths", "adj_ttft_ms", "adj_tpot_ms",
            "adj_e2e_ms", "cached_share", "session_error_rate", "goodput_of_ok",
    }  # fmt: skip
    assert summary.validity.verdict == "NO DATA"


def test_goodput_counts_failed_streams() -> None:
    totals = Totals([parse_slo("ttft < 100ms"), parse_slo("error_rate < 50%")])
    totals.add(made(50, 60))
    totals.add(made(100, 110))
    totals.add(made(50, 60, outcome=Outcome.ERROR_EVENT))
    assert totals.summary().goodput == 0.3333
    assert totals.judged == 3


def test_goodput_of_ok_streams_leaves_out_the_failed_ones_and_is_absent_without_an_objective() -> None:
    for slos, expected in (["ttft < 100ms"], 0.5), (["error_rate < 50%"], None), ([], None):
        totals = Totals(map(parse_slo, slos))
        for ttft in (50, 150):
            totals.add(made(ttft, ttft + 10))
            totals.add(made(50, 60, outcome=Outcome.ERROR_EVENT))
        assert totals.summary().goodput_of_ok == expected
        assert totals.summary().goodput == (0.25 if expected else 0.5)


def hanging() -> Totals:
    """Five streams are answered, then the endpoint hangs: five others wait until the run ends."""
    totals = Totals([parse_slo("ttft p95 < 1s"), parse_slo("goodput > 90%"), parse_slo("ttft p50 < 1s")])
    for _ in range(5):
        totals.add(made(100, 200))
        totals.add(made(outcome=Outcome.INCOMPLETE, closed_ms=9_000))
    return totals


def test_streams_that_still_wait_when_the_run_ends_are_lower_bounds() -> None:
    found = hanging().summary()
    assert found.ttft_ms is not None
    assert (found.ttft_ms.p50, found.ttft_ms.p95, found.ttft_ms.max) == (100, 9_000, 9_000)
    assert found.ttft_ms.at_least == ["mean", "p90", "p95", "p99", "max"]
    assert (found.ttft_ms.count, found.ttft_ms.cut, found.longest_cut_wait_ms) == (5, 5, 9_000)
    assert found.ttft_ms.mean == (100 + 9_000) / 2
    assert found.e2e_ms is not None
    assert (found.e2e_ms.count, found.e2e_ms.cut) == (5, 5)
    assert (found.goodput, found.goodput_at_most, found.undecided_streams) == (0.5, 0.5, 0), "all have missed the SLO"


def test_a_wait_that_has_exceeded_the_limit_misses_it_although_it_never_ended() -> None:
    assert [(result.verdict.value, result.measured) for result in hanging().summary().slo_results] == [
        ("missed", "≥ 9000ms"),
        ("missed", "50%"),
        ("undecided", "100ms"),
    ]


def test_waits_below_the_limit_leave_the_objective_undecided() -> None:
    totals = Totals([parse_slo("ttft p95 < 10s"), parse_slo("goodput > 90%"), parse_slo("goodput > 20%")])
    for _ in range(5):
        totals.add(made(100, 200))
        totals.add(made(outcome=Outcome.INCOMPLETE, closed_ms=9_000))
    found = totals.summary()
    assert (found.goodput, found.goodput_at_most, found.undecided_streams) == (0.5, 1, 5)
    slow, most, few = found.slo_results
    assert (slow.verdict, slow.measured) == (SloVerdict.UNDECIDED, "≥ 9000ms")
    assert "5 waits had not ended" in (slow.reason or "")
    assert (most.verdict, most.measured) == (SloVerdict.UNDECIDED, "50% to 100%")
    assert "5 streams had neither met nor missed it" in (most.reason or "")
    assert few.verdict is SloVerdict.MET
    assert (few.interval, few.streams, few.needed) == ("23.66% to 100%", 5, 1)


def test_a_healthy_run_is_decided_although_its_last_streams_are_cut() -> None:
    """400 streams of 2.2 s, and 50 that the end of the run cuts: 4 of them before their first token."""
    totals = Totals([parse_slo("ttft p99 < 250ms"), parse_slo("e2e p95 < 3s"), parse_slo("goodput > 99%")])
    streams = [made(200 + number % 5, 1_000, 2_200 + number % 5) for number in range(400)]
    streams += [made(200, 300, outcome=Outcome.INCOMPLETE, closed_ms=300 + 40 * number) for number in range(46)]
    streams += [made(outcome=Outcome.INCOMPLETE, closed_ms=waited_ms) for waited_ms in (20, 60, 110, 170)]
    for stream in random.Random(1).sample(streams, len(streams)):  # in one burst they would depend on each other
        totals.add(stream)
    found = totals.summary()
    assert [result.verdict for result in found.slo_results] == [SloVerdict.MET] * 3
    assert (found.goodput, found.goodput_at_most, found.undecided_streams) == (1, 1, 50)
    assert found.ttft_ms is not None
    assert (found.ttft_ms.p50, found.ttft_ms.p99, found.ttft_ms.max, found.ttft_ms.at_least) == (202, 204, 204, [])
    assert (found.ttft_ms.count, found.ttft_ms.cut) == (446, 4)
    assert found.ttft_ms.intervals["p50"] == (201, 202)
    assert found.ttft_ms.intervals["p99"] == (204, 204), "the cut waits are no reason to leave its end open"
    assert found.e2e_ms is not None
    assert (found.e2e_ms.max, found.e2e_ms.count, found.e2e_ms.cut) == (2_204, 400, 50)


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.CANCELLED])
def test_a_wait_that_the_client_gave_up_is_a_lower_bound_too(outcome: Outcome) -> None:
    totals = Totals()
    totals.add(made(100, 200))
    totals.add(made(outcome=outcome, closed_ms=60_000))
    found = totals.summary().ttft_ms
    assert found is not None
    assert (found.max, found.at_least, found.cut) == (60_000, ["mean", "p90", "p95", "p99", "max"], 1)


def test_the_clients_error_bound_decides_whether_an_objective_is_decided() -> None:
    """Each first token shares its read with the next one, which this client may have made 300 ms too late."""
    totals = Totals(parse_slo(f"ttft p95 < {limit}ms") for limit in (100, 400, 600))
    for _ in range(100):
        record = made(50, 500, 510)
        waits = Waits([1], [300 * MS])
        totals.add(msgspec.structs.replace(record, token_reads=[1, 1, 2], sent_ns=0, waits=waits))
    client = totals.summary().validity
    assert client.verdict == "INVALID"

    def verdict(text: str) -> tuple[SloVerdict, str]:
        found = totals.judge_slo(parse_slo(text), client)
        return found.verdict, found.reason or ""

    assert verdict("ttft p95 < 100ms")[0] is SloVerdict.MISSED, "500 − 300 ms are too much, too"
    near = verdict("ttft p95 < 400ms")
    assert near[0] is SloVerdict.UNDECIDED
    assert "300.00 ms" in near[1]
    met = verdict("ttft p95 < 600ms")
    assert met[0] is SloVerdict.UNDECIDED
    assert "INVALID: TTFT error bound p99 is 300.00 ms" in met[1]
    assert verdict("error_rate < 1%")[0] is SloVerdict.UNDECIDED


def test_a_doubt_about_the_gaps_leaves_an_objective_on_the_ttft_decided() -> None:
    """Later tokens share their reads, so this client may have made their gaps 300 ms too long; no TTFT is concerned."""
    totals = Totals([parse_slo(text) for text in ("ttft p95 < 200ms", "error_rate < 5%", "itl p50 < 800ms")])
    for _ in range(100):
        record = made(50, 500, 510)
        totals.add(msgspec.structs.replace(record, token_reads=[0, 1, 1], waits=Waits([1], [300 * MS])))
    found = totals.summary()

    assert found.validity.verdict == found.deciding_validity.verdict == "INVALID"
    assert [result.verdict.value for result in found.slo_results] == ["met", "met", "undecided"]
    assert "INVALID: ITL error bound p99" in (found.slo_results[2].reason or "")
    assert msgspec.structs.replace(found, slos=found.slos[:2]).deciding_validity.verdict == "VALID"
    # Goodput rests on what each stream must meet, so on the gaps as well.
    assert totals.judge_slo(parse_slo("goodput > 50%"), found.validity).verdict is SloVerdict.UNDECIDED


def test_a_rate_that_this_client_may_have_limited_is_not_missed() -> None:
    totals = Totals()
    totals.add(made(*range(100, 1_100, 100)))
    busy = Validity("SUSPECT", "rule", ["the process had no CPU time to spare"])
    assert totals.judge_slo(parse_slo("output_tokens_per_s > 5"), busy).verdict is SloVerdict.MET
    assert totals.judge_slo(parse_slo("output_tokens_per_s > 50"), busy).verdict is SloVerdict.UNDECIDED
    assert totals.judge_slo(parse_slo("output_tokens_per_s > 50")).verdict is SloVerdict.MISSED


def test_a_stream_without_the_value_is_not_good() -> None:
    totals = Totals([parse_slo("tpot < 1s")])
    totals.add(made(50))
    assert totals.summary().goodput == 0


def test_an_objective_is_judged_over_the_run() -> None:
    def judged(text: str) -> tuple[str, str | None]:
        totals = Totals([parse_slo(text)])
        for ttft in random.Random(1).sample(range(1, 101), 100):
            totals.add(made(ttft, ttft + 10))
        totals.add(made(outcome=Outcome.TIMEOUT))
        found = totals.judge_slo(totals.slos[0])
        return found.verdict.value, found.measured

    assert judged("ttft p95 < 101ms") == ("met", "95ms")
    assert judged("ttft p95 < 98ms") == ("undecided", "95ms")
    assert judged("ttft p95 < 92ms") == ("undecided", "95ms")
    assert judged("ttft p95 < 90ms") == ("missed", "95ms")
    assert judged("ttft p99.9 < 1h") == ("undecided", "100ms")
    assert judged("ttft p99.9 < 97ms") == ("missed", "100ms")
    assert judged("ttft mean <= 50.5ms") == ("met", "50.5ms")
    assert judged("ttft < 100ms") == ("missed", "100ms")
    assert judged("ttft < 101ms") == ("met", "100ms")
    assert judged("itl p50 < 10.1ms")[0] == "met"
    assert judged("itl max <= 10ms") == ("met", "10ms")
    assert judged("error_rate < 6%") == ("met", "0.99%")
    assert judged("error_rate < 1%") == ("undecided", "0.99%")
    assert judged("error_rate < 0.1%") == ("missed", "0.99%")
    assert judged("error_rate <= 0%") == ("missed", "0.99%")
    assert judged("goodput > 94%") == ("met", "99.01%")
    assert judged("goodput > 99%") == ("undecided", "99.01%")
    assert judged("goodput >= 100%") == ("missed", "99.01%")
    assert judged("streams_per_s > 0")[0] == "met"


@pytest.mark.parametrize(
    "text", ["ttft < 1h", "itl < 1h", "error_rate < 100%", "goodput > 0%", "output_tokens_per_s > 0", "tpot mean < 1h"]
)
def test_an_objective_without_data_is_neither_met_nor_missed(text: str) -> None:
    assert Totals().judge_slo(parse_slo(text)).verdict is SloVerdict.UNDECIDED


def test_streams_added_after_a_summary_are_in_the_next_summary() -> None:
    totals, random_order = Totals(), random.Random(7)
    times = [random_order.randrange(1, 10_000) for _ in range(500)]
    for number, ms in enumerate(times, 1):
        totals.add(made(ms))
        if number % 100 == 0:
            assert point(totals.of("ttft")) == distribution(ms * MS for ms in times[:number])


def test_the_share_of_coalesced_tokens_is_of_all_gaps() -> None:
    totals = Totals()
    totals.add(of_tape())
    assert totals.summary().coalesced_share == 0.3333


def test_lag_without_kernel_stamps_is_absent() -> None:
    totals = Totals()
    totals.add(made(1, 2, 3, stamps="user"))
    summary = totals.summary()
    assert summary.client_lag_ms is None
    assert (summary.stamp_source, summary.unstamped_reads, summary.validity.verdict) == ("user", 3, "SUSPECT")


def test_mixed_stamps_are_called_so() -> None:
    totals = Totals()
    totals.add(made(1, stamps="user"))
    totals.add(made(1))
    assert totals.summary().stamp_source == "mixed"


def test_an_endpoint_that_refuses_is_not_fast() -> None:
    totals = Totals()
    totals.add(made(100, 200))
    for _ in range(99):
        refused = made(outcome=Outcome.HTTP_ERROR, start_ms=1)
        totals.add(msgspec.structs.replace(refused, end_ns=MS, first_byte_ns=MS))
    summary = totals.summary()
    assert summary.e2e_ms is not None
    assert (summary.e2e_ms.p50, summary.e2e_ms.count) == (200, 1)
    assert totals.judge_slo(parse_slo("error_rate < 1%")).verdict is SloVerdict.MISSED


def late(record: StreamRecord, delay_ms: float, *, warmup: bool = False) -> StreamRecord:
    """The same stream, with an intended start `delay_ms` earlier."""
    intended_ns = record.start_ns - round(delay_ms * MS)
    return msgspec.structs.replace(record, intended_ns=intended_ns, warmup=warmup)


def test_latency_from_the_intended_start_holds_the_wait_before_it() -> None:
    totals = Totals()
    for delay_ms in (0, 2_000):
        totals.add(late(made(50, 100), delay_ms))
    summary = totals.summary()
    assert summary.schedule_delay_ms is not None
    assert summary.schedule_delay_ms.max == 2_000
    assert summary.ttft_ms is not None
    assert summary.ttft_ms.max == 50
    assert summary.ttft_intended_ms is not None
    assert summary.ttft_intended_ms.max == 2_050
    assert summary.e2e_intended_ms is not None
    assert summary.e2e_intended_ms.max == 2_100
    assert (totals.started, totals.late) == (2, 1)


def test_a_start_is_late_from_ten_milliseconds_on() -> None:
    totals = Totals()
    for delay_ms in (0, 9.9, 10, 10.1):
        totals.add(late(made(50), delay_ms))
    assert totals.late == 1


def test_the_warm_up_is_counted_and_left_out() -> None:
    totals = Totals([parse_slo("ttft < 100ms")])
    totals.add(late(made(9_000), 50, warmup=True))
    totals.add(made(50, 60, start_ms=10_000))
    summary = totals.summary()
    assert summary.warmup_streams == 1
    assert summary.streams == {"ok": 1}
    assert summary.ttft_ms is not None
    assert summary.ttft_ms.max == 50
    assert summary.goodput == 1
    assert summary.window_s == 0.06
    assert (totals.started, totals.late) == (2, 1)  # the schedule has no warm-up


def test_what_is_wrong_with_an_ok_stream_is_a_remark_and_no_failure() -> None:
    totals = Totals()
    for record in (made(100), msgspec.structs.replace(made(100), detail="Transfer-Encoding says chunked twice")):
        totals.add(record)

    assert totals.failures == {}
    assert [(remark.detail, count) for remark, count in totals.remarks.items()] == [
        ("Transfer-Encoding says chunked twice", 1)
    ]


def test_streams_that_may_be_read_wrongly_decide_nothing_about_tokens() -> None:
    totals = Totals(
        [
            parse_slo("ttft p95 < 1s"),
            parse_slo("ttft p95 < 1ms"),
            parse_slo("error_rate < 1%"),
            parse_slo("ttfb < 1ms"),
        ],
        reading_doubt="the stream looked like raw-text",
    )
    totals.add(made(100, 200))
    found = totals.summary()
    assert (found.validity.verdict, found.validity.reasons[0]) == ("INVALID", "the stream looked like raw-text")
    *tokens, first_byte = found.slo_results
    assert {(result.verdict, result.reason) for result in tokens} == {
        (SloVerdict.UNDECIDED, "the stream looked like raw-text")
    }
    assert first_byte.verdict is SloVerdict.MISSED, "the first byte is the same in every dialect"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_endpoint_that_says_itself_that_it_failed_misses_its_error_rate_however_it_is_read(outcome: Outcome) -> None:
    totals = Totals([parse_slo("error_rate < 1%")], reading_doubt="the stream looked like raw-text")
    for _ in range(20):
        totals.add(made(100, outcome=outcome))
    said_so = outcome in (Outcome.HTTP_ERROR, Outcome.ERROR_EVENT, Outcome.CONNECT_ERROR)
    (found,) = totals.summary().slo_results
    assert found.verdict is (SloVerdict.MISSED if said_so else SloVerdict.UNDECIDED)


@pytest.mark.parametrize(
    ("record", "stalls", "longest_ms"),
    [
        (made(100, 120, 140, outcome=Outcome.INCOMPLETE, closed_ms=4_140), 1, 4_000),
        (made(100, 120, 140, outcome=Outcome.INCOMPLETE, closed_ms=600), 0, 20),
        (made(100, outcome=Outcome.STALLED, closed_ms=6_100), 1, 6_000),
        (made(100, outcome=Outcome.INCOMPLETE, closed_ms=2_100), 0, None),  # perhaps its tokens are so far apart
        (made(100, 1_100, 2_100, outcome=Outcome.CANCELLED, closed_ms=4_100), 0, 1_000),
    ],
)
def test_a_stall_that_no_token_ended_counts(record: StreamRecord, stalls: int, longest_ms: float | None) -> None:
    totals = Totals([parse_slo("itl max < 1500ms")])
    totals.add(record)
    summary = totals.summary()
    assert summary.stalls == stalls
    assert (summary.itl_ms.max if summary.itl_ms else None) == longest_ms
    assert summary.ttst_ms is None or summary.ttst_ms.max <= 6_000
    verdict = SloVerdict.UNDECIDED if longest_ms is None else SloVerdict.MISSED if stalls else SloVerdict.MET
    assert summary.slo_results[0].verdict is verdict


def test_a_stream_that_had_finished_does_not_stall() -> None:
    totals = Totals()
    record = made(100, 120, 140, outcome=Outcome.INCOMPLETE, closed_ms=4_140)
    totals.add(msgspec.structs.replace(record, finish_reason="stop"))
    assert totals.summary().stalls == 0


def test_a_percentile_at_the_edge_of_its_rounding_decides_no_objective() -> None:
    totals = Totals()
    for _ in range(60):
        totals.pools["itl"].add([100 * MS] * 20)
    judged = totals.judge_slo(parse_slo("itl p95 < 100.1ms"))
    assert judged.verdict is SloVerdict.UNDECIDED
    assert totals.judge_slo(parse_slo("itl p95 < 102ms")).verdict is SloVerdict.MET
    assert totals.judge_slo(parse_slo("itl p95 < 98ms")).verdict is SloVerdict.MISSED
    assert totals.judge_slo(parse_slo("itl max < 100.1ms")).verdict is SloVerdict.MET  # a maximum is exact


def with_failures(good: int, failed: int, *slos: str) -> Totals:
    totals = Totals(map(parse_slo, slos))
    starts = iter(random.Random(2).sample(range(good + failed), good + failed))
    for number in random.Random(1).sample(range(good), good):
        totals.add(made(100 + number, 200 + number, start_ms=next(starts)))
    for _ in range(failed):
        totals.add(made(10, 20, outcome=Outcome.TRUNCATED, start_ms=next(starts)))
    return totals


def test_a_failed_stream_is_infinitely_slow_in_the_adjusted_percentiles() -> None:
    summary = with_failures(90, 10).summary()
    assert summary.ttft_ms is not None
    assert summary.ttft_ms.p50 < 140, "streams that failed early make it smaller"
    found = summary.adj_ttft_ms
    assert found is not None
    assert (found.p50, found.p90, found.p95, found.p99, found.max, found.mean) == (149, 189, None, None, None, None)
    assert (found.count, found.failed) == (90, 10)
    assert found.intervals["p50"] == (140, 160)
    assert found.intervals["p90"].high is None
    assert "p99" not in found.intervals or found.intervals["p99"].low is not None
    again = msgspec.json.decode(msgspec.json.encode(summary), type=Summary)
    assert again == summary, "an infinite figure is null in the file"


def test_without_failed_streams_the_adjusted_percentiles_are_the_plain_ones() -> None:
    summary = with_failures(50, 0).summary()
    plain, found = summary.e2e_ms, summary.adj_e2e_ms
    assert plain is not None
    assert found is not None
    assert {**msgspec.to_builtins(found), "at_least": []} == {**msgspec.to_builtins(plain), "at_least": []}


def test_an_objective_on_an_adjusted_metric_is_missed_by_failures() -> None:
    totals = with_failures(85, 15, "adj_ttft p90 < 1s", "adj_ttft p95 < 1s", "ttft p95 < 1s", "adj_ttft p50 < 1s")
    missed = totals.judge_slo(parse_slo("adj_ttft p90 < 1s"))
    assert (missed.verdict, missed.measured) == (SloVerdict.UNDECIDED, "∞")
    assert missed.interval == "184ms to ∞"
    assert totals.judge_slo(parse_slo("adj_ttft p95 < 1s")).verdict is SloVerdict.MISSED
    assert totals.judge_slo(parse_slo("ttft p95 < 1s")).verdict is SloVerdict.MET
    assert totals.judge_slo(parse_slo("adj_ttft p50 < 1s")).verdict is SloVerdict.MET


def test_a_stream_that_was_cut_is_not_a_failed_one() -> None:
    totals = with_failures(20, 0)
    totals.add(made(outcome=Outcome.INCOMPLETE, closed_ms=50))
    found = totals.summary().adj_ttft_ms
    assert found is not None
    assert (found.count, found.failed, found.cut) == (20, 0, 1)


def test_the_share_of_cached_prompt_tokens_is_of_streams_that_say_it() -> None:
    totals = Totals()
    for prompt, cached in ((100, 0), (300, 200), (None, None), (50, None)):
        totals.add(msgspec.structs.replace(made(10, 20), usage_prompt_tokens=prompt, usage_cached_tokens=cached))
    assert totals.summary().cached_share == 0.5


def in_a_queue(text: str) -> SloResult:
    """300 streams; each has nearly the TTFT of the one before, from 200 to 300 ms and back."""
    totals = Totals([parse_slo(text)])
    for number in range(300):
        totals.add(made(200 + abs(number % 100 - 50) * 2, 500, start_ms=10 * number))
    return totals.judge_slo(totals.slos[0])


def test_streams_that_depend_on_each_other_decide_less() -> None:
    found = in_a_queue("ttft p95 < 320ms")
    assert (found.verdict, found.measured, found.streams) == (SloVerdict.UNDECIDED, "294ms", 300)
    assert (found.reason or "").startswith("300 streams that depend on each other, and are worth ")
    assert "without a miss would decide it" in (found.reason or "")
    assert in_a_queue("ttft p50 < 210ms").verdict is SloVerdict.MISSED


def test_an_objective_is_met_where_no_stream_came_near_its_limit() -> None:
    found = in_a_queue("ttft p95 < 1s")
    assert (found.verdict, found.reason) == (SloVerdict.MET, "no stream took more than half of the limit")
    assert in_a_queue("ttft p99.9 < 1h").verdict is SloVerdict.UNDECIDED, "2,995 streams could show it"
