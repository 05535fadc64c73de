"""What a load run looks like in the terminal: while it runs, and as a summary."""

from rich.table import Table

from harness.calibration import Calibration, beyond, told
from harness.cli.console import facts, out, safe
from harness.cli.slos import slo_table
from harness.comparison import Comparison
from harness.metrics import Distribution, Summary, Totals


def live_table(totals: Totals, elapsed: float, users: int, length_s: float) -> Table:
    """The run so far."""
    summary = totals.summary()
    title = f"{min(elapsed, length_s):.0f} of {length_s:.0f} s, {users} users"
    table = Table(title=title, title_justify="left")
    for column in ("streams", "failed", "TTFT p50", "TTFT p95", "ITL p50", "ITL p99", "tokens/s"):
        table.add_column(column, justify="right")
    table.add_row(*_cells(summary))
    return table


def line(totals: Totals, elapsed: float, length_s: float) -> str:
    """The same in one line, for a log."""
    names = ("streams", "failed", "TTFT p50", "p95", "ITL p50", "p99", "tokens/s")
    cells = _cells(totals.summary())
    shown = ", ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
    return f"{elapsed:.0f}/{length_s:.0f} s: {shown}"


def _cells(summary: Summary) -> list[str]:
    total = sum(summary.streams.values())
    failed = total - summary.streams.get("ok", 0) - summary.streams.get("incomplete", 0)
    rate = f"{summary.output_tokens_per_s:,.0f}" if summary.output_tokens_per_s else "-"
    return [
        f"{total:,}",
        f"{failed:,}",
        _ms(summary.ttft_ms, "p50"),
        _ms(summary.ttft_ms, "p95"),
        _ms(summary.itl_ms, "p50"),
        _ms(summary.itl_ms, "p99"),
        rate,
    ]


def _ms(values: Distribution | None, name: str) -> str:
    return "-" if values is None else f"{getattr(values, name):.1f} ms"


def print_summary(summary: Summary) -> None:
    """The run in a dozen lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ms")
    for name in ("mean", "p50", "p90", "p95", "p99", "max", "count"):
        table.add_column(name, justify="right")
    for name in ("ttft", "itl", "tpot", "e2e", "client_lag", "ttft_bound"):
        values: Distribution | None = getattr(summary, f"{name}_ms")
        if values is None:
            table.add_row(name, *["-"] * 7)
        else:
            cells = [f"{getattr(values, column):,.2f}" for column in ("mean", "p50", "p90", "p95", "p99", "max")]
            table.add_row(name, *cells, f"{values.count:,}")
    out.print(table)
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.streams.items()))
    rate = f"{summary.output_tokens_per_s:,.1f} tokens/s" if summary.output_tokens_per_s else "-"
    colour = {"VALID": "green", "SUSPECT": "yellow", "INVALID": "red"}.get(summary.validity.verdict, "yellow")
    objectives = safe("; ".join(summary.slos)) or "no SLO given: every stream that is ok"
    reasons = safe("; ".join(summary.validity.reasons))
    rows = [
        ("streams", outcomes or "none"),
        ("throughput", f"{rate} over {summary.window_s:.1f} s"),
        ("goodput", "-" if summary.goodput is None else f"{summary.goodput:.1%} of streams ({objectives})"),
        ("validity", f"[{colour}]{summary.validity.verdict}[/{colour}] {reasons}"),
    ]
    out.print()
    out.print(facts(rows))
    if summary.slo_results:
        out.print()
        out.print(slo_table(summary.slo_results))


def print_truth(truth: Comparison) -> None:
    """Reported against true, in a line."""
    out.print()
    if truth.ttft_error_ms is None:
        out.print("The mock's ledger knows none of these streams: is it the endpoint's upstream?")
        return
    error = truth.ttft_error_ms
    line = f"TTFT reported - true: p50 {error.p50:+.2f} ms, p99 {error.p99:+.2f} ms over {truth.streams:,} streams"
    if truth.itl_ms is not None and truth.true_itl_ms is not None:
        line += f"; ITL p50 {truth.itl_ms.p50:.2f} ms, true {truth.true_itl_ms.p50:.2f} ms"
    out.print(facts([("against the ledger", line)]))


def print_floor(floor: Calibration, summary: Summary, users: int) -> None:
    """The client's error floor, and whether it covers this run."""
    out.print()
    out.print("[bold]error floor of this client[/bold]")
    out.print(facts([(name, safe(value)) for name, value in told(floor)]))
    if why := beyond(floor, summary, users):
        out.print(f"The floor does not cover this run: {why}.")
