"""What the options of `load` are together, and which of them contradict each other."""

from pathlib import Path
from typing import Any

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.model import workload_from
from streamgauge.loadgen.schedule import Rate
from streamgauge.units import SECOND


def test_without_options_ten_users_ask_for_thirty_seconds() -> None:
    workload = workload_from()
    assert (workload.users, workload.length_ns, workload.is_open) == (10, 30 * SECOND, False)


def test_the_warm_up_comes_before_the_duration() -> None:
    assert workload_from(duration="10s", warmup="5s").length_ns == 15 * SECOND
    assert workload_from(stages="5:10s,9:20s", warmup="5s").length_ns == 35 * SECOND


def test_a_rate_makes_an_open_loop() -> None:
    workload = workload_from(rate="20/s", arrivals="gamma:2", max_streams=50)
    assert workload.rate == Rate(20, 2.0)
    assert sum(1 for _ in workload.arrivals()) == 600


def test_a_replay_lasts_as_long_as_its_trace_or_as_told(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,output_tokens\n100,5\n102,6\n109,7\n")
    whole, part = workload_from(replay=trace), workload_from(replay=trace, duration="5s")
    assert [arrival.at_ns // SECOND for arrival in whole.arrivals()] == [0, 2, 9]
    assert [arrival.output_tokens for arrival in part.arrivals()] == [5, 6]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": "20/s", "users": 5}, "--rate and --users"),
        ({"rate": "20/s", "think_time": "1s"}, "--rate and --think-time"),
        ({"rate": "20/s", "stages": "5:1s"}, "--rate and --stages"),
        ({"time_unit": "ms"}, "--time-unit belongs to a trace"),
        ({"rate": "20/s", "max_gap": "1s"}, "--max-gap belongs to a trace"),
        ({"replay": Path("x"), "rate": "20/s", "users": 5}, "--rate and --users"),
        ({"replay": Path("x"), "users": 5, "turns": "recorded"}, "--turns recorded and --users"),
        ({"replay": Path("x"), "think_time": "1s"}, "--replay and --think-time"),
        ({"replay": Path("x"), "users": 5, "max_streams": 5}, "--max-streams belongs to an open loop"),
        ({"stages": "5:1s", "users": 5}, "--stages and --users"),
        ({"stages": "5:1s", "duration": "5s"}, "--stages and --duration"),
        ({"max_streams": 5}, "--max-streams belongs to an open loop"),
        ({"arrivals": "constant"}, "--arrivals belongs to an open loop"),
        ({"rate": "20/s", "max_streams": 1, "processes": 2}, "less than one for each of 2 processes"),
        ({"duration": "0"}, "--duration must be more than 0"),
        ({"duration": "0", "warmup": "1s"}, "--duration must be more than 0"),
        ({"duration": "5"}, "--duration '5' is not a duration"),
        ({"warmup": "1"}, "--warmup '1' is not a duration"),
        ({"drain": "1000h"}, "longer than a week"),
        ({"rate": "1/h", "duration": "1s"}, "makes no arrival"),
        ({"replay": Path("/no/such/file")}, "cannot be read"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        workload_from(**options)
    assert said in caught.value.message
