"""How late the hub runs, as each client process writes it about itself."""

import time
from pathlib import Path

import gevent

from streamgauge.metrics.histogram import Histogram
from streamgauge.rundir.runs import workers
from streamgauge.scenarios.loop_lag import LoopLag
from streamgauge.units import MS


def test_a_pause_of_the_hub_is_in_the_row_of_the_process(tmp_path: Path) -> None:
    LoopLag(tmp_path)
    gevent.sleep(0.02)
    time.sleep(1.1)  # the next measurement is late by this, and a row is due
    gevent.sleep(0.02)

    (row,) = workers(tmp_path)
    late = Histogram.of(row.late)
    assert (late.quantile(1) or 0) >= 1000 * MS
    assert (late.quantile(0.5) or 0) >= 100 * MS, "the measurements that the pause left out count too"


def test_what_the_warm_up_cost_is_left_out_of_the_figures(tmp_path: Path) -> None:
    LoopLag(tmp_path, warm_ns=time.time_ns() + 900 * MS)
    gevent.sleep(0.02)
    time.sleep(0.5)  # users are being started
    gevent.sleep(0.15)
    time.sleep(0.5)  # and the last of them when the warm-up ends
    warm_ns = time.monotonic_ns()
    longest_ns = 0
    while not (rows := list(workers(tmp_path))):
        before_ns = time.monotonic_ns()
        gevent.sleep(0.01)
        longest_ns = max(longest_ns, time.monotonic_ns() - before_ns)

    assert rows[-1].wall_ns <= time.monotonic_ns() - warm_ns
    assert (Histogram.of(rows[-1].late).quantile(1) or 0) <= longest_ns * 1.1, "a bin of the histogram is 1 % wide"


def test_what_the_end_of_a_run_cost_is_no_lateness_and_the_next_run_is_measured_again(tmp_path: Path) -> None:
    lag = LoopLag(tmp_path)
    gevent.sleep(0.05)
    lag.pause()
    (row,) = workers(tmp_path)  # without waiting for the end of the second
    time.sleep(1.2)  # thousands of streams are cut
    gevent.sleep(0.05)
    lag.resume()
    lag.pause()
    assert [again.late for again in workers(tmp_path)] == [row.late]
    lag.resume()
    gevent.sleep(0.05)
    lag.pause()
    assert Histogram.of(workers(tmp_path)[0].late).count > Histogram.of(row.late).count
