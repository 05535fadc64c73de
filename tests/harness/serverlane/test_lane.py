"""What a server's samples say of a run, and when they are doubted."""

from streamgauge.serverlane.figures import Figures, Seconds
from streamgauge.serverlane.lane import Sample, ServerLane, rate, summary
from streamgauge.units import MS, SECOND


def sample(at_s: float, **figures: object) -> Sample:
    at_ns = int(at_s * SECOND)
    return Sample(begin_ns=at_ns - MS, end_ns=at_ns + MS, figures=Figures(**figures))  # type: ignore[arg-type]


def lane(samples: list[Sample], open_mean: float | None = None, **changes: object) -> ServerLane:
    return summary("http://127.0.0.1:8000/metrics", "vLLM", "It can be stale.", samples, open_mean=open_mean, **changes)  # type: ignore[arg-type]


BUSY = [
    sample(at, running=4.0, waiting=float(at), kv_share=at / 10, queue=Seconds(10 * at, 2.0 * at),
           prefill=Seconds(10 * at, 0.5 * at), generated=100.0 * at)
    for at in range(1, 6)
]  # fmt: skip


def test_the_figures_of_a_run_are_those_of_its_samples() -> None:
    found = lane(BUSY, open_mean=7)

    assert (found.samples, found.running_mean, found.running_max) == (5, 4, 4)
    assert (found.waiting_mean, found.waiting_max, found.kv_share_max) == (3, 5, 0.5)
    assert (found.queue_ms, found.prefill_ms, found.requests) == (200, 50, 40)
    assert found.error_ms == 2
    assert found.caveats == []
    assert rate(BUSY[0], BUSY[2]) == 100


def test_the_window_leaves_out_the_warm_up() -> None:
    found = lane(BUSY, window=(3 * SECOND, 5 * SECOND))

    assert (found.samples, found.waiting_mean, found.requests) == (3, 4, 20)


def test_the_mean_ttft_is_split_into_queue_prefill_and_rest() -> None:
    assert (
        lane(BUSY).split(280.0) == "280.0 ms = 200.0 ms queue, 50.0 ms prefill, 30.0 ms network, front end and the rest"
    )
    assert lane(BUSY).split(None) is None
    assert lane(BUSY).split(100.0) is None  # the server counted other requests than these
    without = [sample(at, running=1.0, queue=Seconds(at, at / 10)) for at in range(4)]
    assert lane(without).split(150.0) == "150.0 ms = 100.0 ms queue, 50.0 ms prefill, network and the rest"
    assert lane([sample(1, running=1.0)]).split(150.0) is None


def test_a_server_without_queue_times_has_them_by_littles_law() -> None:
    five = [sample(at, running=4.0, waiting=1.0) for at in range(5)]

    found = lane(five, open_mean=5, first_tokens_per_s=2.0)
    assert (found.queue_ms, found.queue_estimate_ms) == (None, 500)
    assert str(found.split(600.0)).startswith("600 ms = about 500 ms queue (")
    assert "500 ms queue" not in str(lane(BUSY, open_mean=7, first_tokens_per_s=2.0).split(600.0))

    saturated = lane(five, open_mean=5, first_tokens_per_s=1.0).split(990.0)  # the samples missed an empty queue
    assert str(saturated).endswith(" 0 ms prefill and the rest")


def test_littles_law_is_not_used_where_the_requests_are_not_this_clients() -> None:
    five = [sample(at, running=4.0, waiting=1.0) for at in range(5)]

    assert lane(five, open_mean=2, first_tokens_per_s=2.0).queue_estimate_ms is None
    assert lane(five, open_mean=20, first_tokens_per_s=2.0).queue_estimate_ms is None
    assert lane(five, open_mean=5, first_tokens_per_s=0.0).queue_estimate_ms is None
    assert lane(five[:2], open_mean=5, first_tokens_per_s=2.0).queue_estimate_ms is None
    assert lane([sample(at, running=4.0) for at in range(5)], open_mean=4, first_tokens_per_s=2.0).split(9.0) is None


def test_a_server_that_was_started_again_tells_no_queue_time() -> None:
    again = [sample(1, running=1.0, queue=Seconds(50, 5)), sample(2, running=1.0, queue=Seconds(3, 0.1))]

    assert lane(again).queue_ms is None
    assert rate(sample(1, generated=10.0), sample(2, generated=3.0)) is None


def test_a_gauge_that_stands_still_at_zero_is_doubted() -> None:
    (caveat,) = lane([sample(at, running=0.0, waiting=0.0) for at in range(5)], open_mean=8).caveats
    assert "stands still, or another server answered" in caveat

    assert lane([sample(at, running=0.0, waiting=0.0) for at in range(5)], open_mean=0.2).caveats == []
    assert lane([sample(at, running=0.0) for at in range(5)]).caveats == []


def test_a_server_with_a_part_of_the_streams_is_one_of_several() -> None:
    (caveat,) = lane([sample(at, running=2.0 + at % 2, waiting=0.0) for at in range(5)], open_mean=8).caveats
    assert "one of several" in caveat


def test_few_samples_and_failures_are_named() -> None:
    found = lane(BUSY[:2], open_mean=7, failed=9, failure="HTTP 500")

    assert found.caveats == [
        "9 answers of the server's metrics failed: HTTP 500",
        "only 2 samples of the server's metrics in the window: too few for a picture",
    ]
    assert lane([]).running_mean is None


def test_a_negative_count_is_named() -> None:
    assert any("counter is wrong" in text for text in lane([sample(at, running=-1.0) for at in range(4)]).caveats)
