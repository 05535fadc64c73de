"""What `load` shows: its progress, and the streams that failed."""

from collections import Counter

import msgspec
import pytest

from streamgauge.cli.load_tables import line, print_failures, print_sessions, print_summary
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.sessions import sessions_of
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Failure, Totals, Window
from streamgauge.protocol.outcome import Outcome
from streamgauge.units import SECOND
from tests.builders.made import made


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


def test_sessions_are_printed_by_how_they_ended_and_by_turn(capsys: pytest.CaptureFixture[str]) -> None:
    turns = [
        msgspec.structs.replace(record, session=session, turn=turn, usage_prompt_tokens=100, usage_cached_tokens=cached)
        for record, session, turn, cached in (
            (made(100, 120), "a", 1, 0),
            (made(50, 70, start_ms=500), "a", 2, 80),
            (made(100, 120), "b", 1, 0),
            (made(outcome=Outcome.TRUNCATED, start_ms=500), "c", 1, 0),
        )
    ]
    found = sessions_of(turns, {"b": 2}.get)
    assert found is not None
    print_sessions(found)
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert "3 sessions with 4 turns, 1 without a failure, 1 failed, 1 not finished when the run ended" in text
    assert "turns completed p50 1, max 2" in text
    assert [row.split() for row in lines if row.split()[0] in ("1", "2")] == [
        ["1", "3", "1", "-", "0%", "100.00", "100.00", "ms"],
        ["2", "1", "0", "-", "80%", "50.00", "50.00", "ms"],
    ]


def test_goodput_without_failed_streams_stands_beside_the_honest_one(capsys: pytest.CaptureFixture[str]) -> None:
    totals = Totals([parse_slo("ttft < 1s")])
    for number in range(3):
        totals.add(made(100, 120, start_ms=number))
    print_summary(totals.summary())
    assert "inference-perf" not in capsys.readouterr().out
    totals.add(made(outcome=Outcome.TRUNCATED, start_ms=5))
    print_summary(totals.summary())
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("goodput 75.0% of streams") for line in shown)
    assert any(line.startswith("of ok only 100.0% of the ok streams; failed streams left out") for line in shown)
