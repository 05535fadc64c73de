"""The terminal output of a load run: progress while it runs, then its summary."""

from collections import Counter
from textwrap import shorten
from typing import Final

from rich.table import Table

from streamgauge.cli.console import facts, out, safe
from streamgauge.cli.slos import slo_table
from streamgauge.diagnosis.abandonment import Abandonment
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.calibration import Calibration, beyond, calibration_lines
from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.concurrency import OneAtATime
from streamgauge.metrics.definitions import LATENCIES
from streamgauge.metrics.distributions import FIGURES, AdjustedDistribution, Distribution, show_interval
from streamgauge.metrics.facts import NEUTRAL
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.metric import Adjusted
from streamgauge.metrics.openloop import OpenLoop
from streamgauge.metrics.sessions import Sessions
from streamgauge.metrics.steady_state import Steadiness
from streamgauge.metrics.summary import Failure, SoFar, Summary, Totals
from streamgauge.rundir.runs import RunFile
from streamgauge.serverlane.lane import ServerLane
from streamgauge.units import MS, SECOND, plural, show_ms

_FAILURES: Final = 3
_DETAIL: Final = 200


def live_table(totals: Totals, workload: Workload, now_ns: int, before: str) -> Table:
    """The run so far, as a table. Until the run begins, its title is `before`, which says what the run waits for."""
    table = Table(title=f"{_phase(totals, workload, now_ns) or before}, {safe(workload.model)}", title_justify="left")
    for column in ("streams", "failed", "TTFT p50", "TTFT p95", "ITL p50", "ITL p99", "tokens/s"):
        table.add_column(column, justify="right")
    table.add_row(*_cells(totals.so_far(now_ns)))
    return table


def line(totals: Totals, workload: Workload, now_ns: int, before: str) -> str:
    """The run so far in one line, for a log."""
    names = ("streams", "failed", "TTFT p50", "p95", "ITL p50", "p99", "tokens/s")
    cells = _cells(totals.so_far(now_ns))
    shown = ", ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
    return f"{_phase(totals, workload, now_ns) or before}: {shown}"


def _phase(totals: Totals, workload: Workload, now_ns: int) -> str | None:
    """Seconds and phase of the run; None before it has begun."""
    if totals.window is None:
        return None
    passed_ns = now_ns - totals.window.begin_ns + workload.warmup_ns
    shown = f"{min(max(passed_ns, 0), workload.length_ns) / SECOND:.0f} of {workload.length_ns / SECOND:.0f} s"
    if passed_ns < workload.warmup_ns:
        return f"{shown} (warm-up, {totals.warmup:,} streams left out)"
    if passed_ns < workload.length_ns:
        return shown
    return f"{shown} (draining)" if passed_ns < workload.length_ns + workload.drain_ns else f"{shown} (ending)"


def _cells(found: SoFar) -> list[str]:
    total = sum(found.streams.values())
    failed = total - sum(found.streams.get(outcome, 0) for outcome in NEUTRAL)
    rate = f"{found.output_tokens_per_s:,.0f}" if found.output_tokens_per_s else "-"
    return [
        f"{total:,}",
        f"{failed:,}",
        _ms(found.ttft_ms, "p50"),
        _ms(found.ttft_ms, "p95"),
        _ms(found.itl_ms, "p50"),
        _ms(found.itl_ms, "p99"),
        rate,
    ]


def _ms(values: Distribution | None, name: str) -> str:
    return "-" if values is None else f"{values.sign(name)}{getattr(values, name):.1f} ms"


def print_dialect(run: RunFile) -> None:
    """The dialect in which the streams were read, why, and the doubt about it."""
    why = f" ({run.dialect_reason})" if run.dialect_reason else ""
    out.print(facts([("dialect", safe(f"{run.dialect or 'unknown'}{why}"))]))
    if run.dialect_doubt is not None:
        out.print(f"[yellow]{safe(run.dialect_doubt)}[/yellow]")
    out.print()


def print_summary(summary: Summary, reader: str | None = None) -> None:
    """The latencies, outcomes, throughput, goodput, validity and objectives of a run; `reader` is what read it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ms")
    for name in (*FIGURES, "count", "cut"):
        table.add_column(name, justify="right")
    for metric in LATENCIES:
        values: Distribution | AdjustedDistribution | None = getattr(summary, metric.field)
        if not metric.terminal or (values is None and metric.only_if_present):
            continue
        if isinstance(metric, Adjusted) and (values is None or not getattr(values, "failed", 0)):
            continue  # it is the same as without the adjustment
        if values is None:
            table.add_row(metric.name, *["-"] * 7)
        else:
            cells = [_cell(values, figure) for figure in FIGURES]
            table.add_row(metric.name, *cells, f"{values.count:,}", f"{values.cut:,}" if values.cut else "")
            if metric.objective:
                intervals = [show_interval(values.intervals.get(figure)) for figure in FIGURES]
                table.add_row(f"  {CONFIDENCE:.0%}", *intervals, style="dim")
    out.print(table)
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.streams.items()))
    rate = f"{summary.output_tokens_per_s:,.1f} tokens/s" if summary.output_tokens_per_s else "-"
    colour = {"VALID": "green", "SUSPECT": "yellow", "INVALID": "red"}.get(summary.validity.verdict, "yellow")
    objectives = safe("; ".join(summary.slos)) or "no SLO given: every stream that is ok"
    reasons = safe("; ".join(summary.validity.reasons))
    if summary.warmup_streams:
        outcomes = f"{outcomes or 'none'} ({summary.warmup_streams:,} of the warm-up left out)"
    rows = [
        ("streams", outcomes or "none"),
        ("throughput", f"{rate} over {summary.window_s:.1f} s"),
        *_flow(summary),
        *_cut(summary),
        ("goodput", f"{_goodput(summary)} ({objectives})"),
        *_flattering(summary),
        ("validity", f"[{colour}]{summary.validity.verdict}[/{colour}] {reasons}"),
    ]
    if reader is not None:
        rows.append(("read by", safe(reader)))
    out.print()
    out.print(facts(rows))
    if summary.slo_results:
        out.print()
        out.print(slo_table(summary.slo_results))


def _cell(values: Distribution | AdjustedDistribution, figure: str) -> str:
    value: float | None = getattr(values, figure)
    return "∞" if value is None else f"{values.sign(figure)}{value:,.2f}"


def _flow(summary: Summary) -> list[tuple[str, str]]:
    """The streams in flight, and whether the run had a steady state."""
    rows = []
    if (found := summary.in_flight) is not None:
        rows.append(("in flight", f"{found.mean:,.1f} streams on average, {found.most:,} at most"))
    if (steady := summary.steady_state) is not None:
        colour = {Steadiness.STEADY: "green", Steadiness.NOT_JUDGED: "default"}.get(steady.verdict, "yellow")
        reasons = f": {safe('; '.join(steady.reasons))}" if steady.reasons else ""
        rows.append(("steady", f"[{colour}]{steady.verdict.value}[/{colour}]{reasons}"))
    return rows


def _cut(summary: Summary) -> list[tuple[str, str]]:
    """How many waits for a first token were cut, and the longest of them."""
    if summary.longest_cut_wait_ms is None or summary.ttft_ms is None:
        return []
    streams = plural(summary.ttft_ms.cut, "stream")
    longest = show_ms(round(summary.longest_cut_wait_ms * MS))
    return [
        ("cut waits", f"{streams} without a token when cut, after up to {longest}: lower bounds in ttft and goodput")
    ]


def _goodput(summary: Summary) -> str:
    if summary.goodput is None:
        return "-"
    open_above = summary.goodput_at_most is not None and summary.goodput_at_most > summary.goodput
    shown = f"{summary.goodput:.1%}" + (f" to {summary.goodput_at_most:.1%}" if open_above else "") + " of streams"
    if (interval := summary.share_intervals.get("goodput")) is not None and None not in interval:
        shown += f", {CONFIDENCE:.0%} interval {interval.low:.1%} to {interval.high:.1%}"
    return shown + (
        f", {plural(summary.undecided_streams, 'cut stream')} undecided" if summary.undecided_streams else ""
    )


def _flattering(summary: Summary) -> list[tuple[str, str]]:
    """Goodput as some peers count it, where failed streams make a difference."""
    found = summary.goodput_of_ok
    if found is None or summary.goodput is None or summary.error_rate in (None, 0):
        return []
    return [("  of ok only", f"{found:.1%} of the ok streams; failed streams left out, as inference-perf counts")]


def print_one_at_a_time(found: OneAtATime) -> None:
    """The finding that the endpoint serves one stream at a time."""
    out.print(f"\n[yellow]{safe(found.says)}[/yellow]")


def print_failures(failures: Counter[Failure]) -> None:
    """The most frequent failures, because the reader of a CI log may have no report."""
    shown = [
        (f"{count:,} {failure.outcome}", safe(_reason(failure))) for failure, count in failures.most_common(_FAILURES)
    ]
    if shown:
        out.print()
        out.print(facts(shown))


def _reason(failure: Failure) -> str:
    return shorten(failure.detail or f"HTTP {failure.status}", _DETAIL, placeholder=" ...")


def print_open_loop(found: OpenLoop) -> None:
    """How many of the planned arrivals started, started late, or never started."""
    rates = "" if found.achieved_per_s is None else f", {found.achieved_per_s:,.1f}/s of {found.planned_per_s:,.1f}/s"
    line = f"{found.started:,} of {found.planned:,} arrivals started{rates}; "
    line += f"{found.late:,} late, {found.dropped:,} dropped; at most {plural(found.most_open, 'stream')} open at once"
    out.print(facts([("open loop", line)]))
    if found.closed:
        out.print(
            f"[yellow]the open loop became a closed loop[/yellow]: {found.most_open:,} streams were open, as many as "
            "--max-streams allows"
        )


def print_sessions(found: Sessions) -> None:
    """The conversations: how many, how long they took, and TTFT by turn."""
    parts = [
        f"{plural(found.sessions, 'session')} with {plural(found.streams, 'turn')}",
        f"{found.succeeded:,} without a failure",
        f"{found.failed:,} failed",
        f"{found.unfinished:,} not finished when the run ended",
        f"at most {found.most_open:,} going on at once",
    ]
    line = ", ".join(parts)
    if found.turns_completed is not None:
        line += f"; turns completed p50 {found.turns_completed.p50:,.0f}, max {found.turns_completed.max:,}"
    if found.time_ms is not None:
        line += f"; from first to last p50 {found.time_ms.p50 / 1000:,.2f} s, p95 {found.time_ms.p95 / 1000:,.2f} s"
    out.print(facts([("sessions", line)]))
    table = Table(box=None, pad_edge=False)
    for name in ("turn", "streams", "failed or cut", "prompt tokens", "from cache", "ttft p50", "p95", "ms"):
        table.add_column(name if name != "ms" else "", justify="right")
    for turn in found.turns:
        ttft = turn.ttft_ms
        times = ("-", "-", "") if ttft is None else (f"{ttft.p50:.2f}", f"{ttft.p95:.2f}", "ms")
        asked = "-" if turn.prompt_tokens is None else f"{turn.prompt_tokens:,.0f}"
        name = f"{turn.turn}{'+' if turn.and_later else ''}"
        cached = "-" if turn.cached_share is None else f"{turn.cached_share:.0%}"
        table.add_row(name, f"{turn.streams:,}", f"{turn.failed:,}", asked, cached, *times)
    out.print(table)


def print_server(found: ServerLane, ttft_ms: float | None) -> None:
    """The server's own figures, beside those of the client."""
    queue, split = [], found.split(ttft_ms)
    for name, mean, most in (
        ("running", found.running_mean, found.running_max),
        ("waiting", found.waiting_mean, found.waiting_max),
    ):
        if mean is not None and most is not None:
            queue.append(f"{name} {mean:,.1f} (at most {most:,.0f})")
    if found.kv_share_max is not None:
        queue.append(f"cache at most {found.kv_share_max:.0%}")
    shown = [(f"server ({safe(found.engine)})", ", ".join(queue) or "no figure")]
    if split is not None:
        shown.append(("mean TTFT", split))
    out.print(facts(shown))


def print_abandonment(found: Abandonment) -> None:
    """How many streams users left, and how the upstream reacted."""
    line = f"{found.streams:,} streams left by their users after {found.received_tokens:,} token events"
    if found.joined:
        line += (
            f"; {found.joined:,} of them are in the ledger: the upstream noticed that {found.seen:,} were left, had "
            f"finished {found.finished:,} before, and did not notice {found.unnoticed:,}; "
            f"{found.wasted_tokens:,} tokens wasted"
        )
    if found.propagation_ms is not None:
        delay = found.propagation_ms
        line += f"; noticed after p50 {delay.p50:.2f} ms, p99 {delay.p99:.2f} ms"
        line += f" (clocks ± {found.clock_error_ms:.2f} ms)"
    out.print(facts([("abandoned", line)]))


def print_truth(truth: Comparison) -> None:
    """Reported minus true latencies, in one line: this client's error, or the time that the path adds."""
    out.print()
    difference = truth.ttft_error_ms or truth.ttft_added_ms
    if difference is None:
        out.print("[red]The mock's ledger has none of these streams:[/red] nothing could be compared with it.")
        return
    label, what = ("against the ledger", " reported - true") if truth.direct else ("added by the path", "")
    line = f"TTFT{what}: p50 {difference.p50:+.2f} ms, p99 {difference.p99:+.2f} ms over {truth.streams:,} streams"
    if truth.itl_ms is not None and truth.true_itl_ms is not None:
        whose = "true" if truth.direct else "the mock wrote"
        line += f"; ITL p50 {truth.itl_ms.p50:.2f} ms, {whose} {truth.true_itl_ms.p50:.2f} ms"
    out.print(facts([(label, line)]))


def print_floor(floor: Calibration, summary: Summary, most_open: int | None) -> None:
    """The client's error floor, and whether it covers this run."""
    out.print()
    out.print("[bold]error floor of this client[/bold]")
    out.print(facts([(name, safe(value)) for name, value in calibration_lines(floor)]))
    if why := beyond(floor, summary, most_open):
        out.print(f"The floor does not cover this run: {why}.")
