"""What `load` shows: its progress, and the streams that failed."""

from collections import Counter

import pytest

from streamgauge.cli.load_tables import line, print_failures
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.summary import Failure, Totals, Window
from streamgauge.units import SECOND


def test_the_commonest_failures_are_printed_short_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Counter(
        {
            Failure("connect_error", None, "cannot connect to 127.0.0.1:1: Connection refused"): 15,
            Failure("http_error", 503, ""): 3,
            Failure("error_event", 200, "\x1b[31m[red]busy[/red] " + "x " * 300): 2,
            Failure("truncated", 200, "no end marker"): 1,
        }
    )
    print_failures(failures)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line[:1].strip()] == [
        ["15", "connect_error"],
        ["3", "http_error"],
        ["2", "error_event"],
    ]
    text = " ".join(lines)
    assert "Connection refused" in text
    assert "HTTP 503" in text
    assert "\\x1b[31m[red]busy[/red]" in text
    assert len(text) < 600
    print_failures(Counter())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("window", "now_s", "told"),
    [
        (None, 100, "1 of 2 workers here: streams 0"),
        (Window(103 * SECOND, 110 * SECOND), 101, "1 of 10 s (warm-up, 0 streams left out): streams 0"),
        (Window(103 * SECOND, 110 * SECOND), 105, "5 of 10 s: streams 0"),
        (Window(103 * SECOND, 110 * SECOND), 112, "10 of 10 s (draining): streams 0"),
        (Window(103 * SECOND, 110 * SECOND), 115, "10 of 10 s (ending): streams 0"),
    ],
)
def test_progress_counts_from_the_beginning_of_the_run(window: Window | None, now_s: int, told: str) -> None:
    workload = Workload(length_ns=10 * SECOND, warmup_ns=3 * SECOND, drain_ns=4 * SECOND)
    assert line(Totals(window=window), workload, now_s * SECOND, "1 of 2 workers here").startswith(told)
