"""The data of the drawings, against sums done by hand."""

from pathlib import Path

import pytest

from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.streams import MAX_LANES, TICKS_PER_LANE, Streams, collect
from streamgauge.units import MS
from tests.reports.report_builders import stream, write_streams


def condensed(directory: Path, *records: object) -> Streams:
    write_streams(directory, list(records))  # type: ignore[arg-type]
    streams = collect(directory, [])
    assert streams is not None
    return streams


def test_tokens_over_time_add_up_to_the_tokens(tmp_path: Path) -> None:
    streams = condensed(tmp_path, *(stream(n, tokens=25) for n in range(40)))

    binned = (streams.rates["tokens_per_s"] * streams.bin_s).sum()

    assert binned == pytest.approx(40 * 25, rel=0.02)


def test_open_streams_are_the_mean_over_the_bin(tmp_path: Path) -> None:
    streams = condensed(tmp_path, *(stream(0, ttft_ms=1_000, tokens=101, itl_ms=10) for _ in range(8)))

    assert streams.rates["streams"].to_list()[:-1] == pytest.approx([8.0] * (len(streams.rates) - 1))


def test_a_token_event_weighs_as_many_tokens_as_the_stream_had_per_event(tmp_path: Path) -> None:
    record = stream(0, tokens=100)
    record.output_tokens = 400

    streams = condensed(tmp_path, record)

    assert (streams.rates["tokens_per_s"] * streams.bin_s).sum() == pytest.approx(400, rel=0.05)


def test_the_timeline_shows_failures_stalls_and_slow_starts(tmp_path: Path) -> None:
    records = [stream(n, tokens=20) for n in range(100)]
    records[40] = stream(40, ttft_ms=3_000, tokens=20)
    records[50] = stream(50, outcome=Outcome.TRUNCATED, tokens=3)
    stalled = stream(60, tokens=20)
    late = [at + (2_000 * MS if read > 9 else 0) for read, at in enumerate(stalled.reads.at_ns)]
    stalled.reads = type(stalled.reads)(late, stalled.reads.lag_ns, stalled.reads.bytes)
    records[60] = stalled

    lanes = {lane.id: lane for lane in condensed(tmp_path, *records).lanes}

    assert len(lanes) == MAX_LANES
    assert lanes["s40"].why == "slowest first token"
    assert lanes["s50"].outcome == "truncated"
    assert lanes["s60"].why == "stall 2.0 s"


def test_the_timeline_shows_a_usual_and_the_fastest_first_token_too(tmp_path: Path) -> None:
    lanes = condensed(tmp_path, *(stream(number, ttft_ms=200 + (number * 37) % 101) for number in range(101))).lanes

    (fastest,) = (lane for lane in lanes if lane.why == "fastest first token")
    (usual,) = (lane for lane in lanes if lane.why == "usual first token")
    assert fastest.tokens[0] == 200
    assert 240 < usual.tokens[0] < 260
    assert len({lane.id for lane in lanes}) == len(lanes)


def test_a_long_stream_has_a_bounded_lane(tmp_path: Path) -> None:
    lane = condensed(tmp_path, stream(0, tokens=20_000, itl_ms=1)).lanes[0]

    assert len(lane.tokens) <= TICKS_PER_LANE + 1
    assert lane.tokens[0] == 200


def test_a_directory_without_records_has_none(tmp_path: Path) -> None:
    assert collect(tmp_path, []) is None
