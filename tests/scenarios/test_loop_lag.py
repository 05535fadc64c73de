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
