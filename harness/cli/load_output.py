"""What `load` and `calibrate` show: progress while the run goes on, and the figures after it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.live import Live

from streamgauge.cli.console import err, safe
from streamgauge.cli.load_tables import (
    line,
    live_table,
    print_abandonment,
    print_dialect,
    print_failures,
    print_floor,
    print_one_at_a_time,
    print_open_loop,
    print_server,
    print_sessions,
    print_summary,
    print_truth,
)
from streamgauge.loadgen.progress import LoadEvent, LoadProgress, Running
from streamgauge.loadgen.result import LoadResult
from streamgauge.rundir.accounts import clock_lines

_LINE_EVERY_S: Final = 5.0


@contextmanager
def shown() -> Iterator[LoadProgress]:
    """A callback that shows progress: a table that is updated in a terminal, else a line every 5 seconds."""
    live = Live(console=err, refresh_per_second=4, transient=True) if err.is_terminal else None
    printed = time.monotonic()

    def show(event: LoadEvent) -> None:
        nonlocal printed
        if not isinstance(event, Running):
            if live is not None:
                live.stop()
            err.print(safe(event))
        elif live is not None:
            live.start()
            live.update(live_table(event.totals, event.workload, event.now_ns, event.waiting_for))
        elif time.monotonic() - printed >= _LINE_EVERY_S:
            printed = time.monotonic()
            err.print(line(event.totals, event.workload, event.now_ns, event.waiting_for))

    try:
        yield show
    finally:
        if live is not None:
            live.stop()


def print_result(result: LoadResult) -> None:
    """The figures to standard output, clocks and caveats to standard error."""
    run = result.run
    print_dialect(run)
    print_summary(result.summary, run.reader)
    if run.one_at_a_time is not None:
        print_one_at_a_time(run.one_at_a_time)
    print_failures(result.totals.failures + result.totals.remarks)
    if run.open_loop is not None:
        print_open_loop(run.open_loop)
    if run.server is not None:
        ttft = result.summary.ttft_ms
        print_server(run.server, None if ttft is None else ttft.mean)
        for text in run.server.caveats:
            err.print(f"[yellow]caveat:[/yellow] {safe(text)}")
    if run.sessions is not None:
        print_sessions(run.sessions)
    if run.abandonment is not None:
        print_abandonment(run.abandonment)
    for text in clock_lines(run.workers):
        err.print(safe(text))
    for text in result.summary.caveats:
        err.print(f"[yellow]caveat:[/yellow] {safe(text)}")
    for text in run.caveats:
        if run.open_loop is None or text != run.open_loop.caveat:  # print_open_loop has shown that caveat
            err.print(f"[yellow]caveat:[/yellow] {safe(text)}")
    if run.truth is not None:
        print_truth(run.truth)
    if run.calibration is not None:
        print_floor(run.calibration, result.summary, run.most_open)
