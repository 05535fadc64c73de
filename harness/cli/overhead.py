"""`streamgauge overhead`: what does a proxy or gateway cost?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamgauge.cli.compare_files import json_text
from streamgauge.cli.console import err, out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions
from streamgauge.comparing import overhead as door
from streamgauge.comparing.overhead import HopCost, LimitVerdict, OverheadReport
from streamgauge.errors import UsageError
from streamgauge.files import must_be_writable, replace_file
from streamgauge.units import MS, plural, show_ms

_COLOURS = {LimitVerdict.WITHIN: "green", LimitVerdict.ABOVE: "red", LimitVerdict.UNDECIDED: "yellow"}


@with_groups
def overhead(
    *,
    direct: Annotated[
        str | None, typer.Option("--direct", metavar="URL", help="The endpoint without the hop.", show_default=False)
    ] = None,
    via: Annotated[
        str | None, typer.Option("--via", metavar="URL", help="The same endpoint through the hop.", show_default=False)
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="DURATION", help="Stop when the cost in TTFT is known within ± this.")
    ] = door.PRECISION,
    max_time: Annotated[str, typer.Option(metavar="DURATION", help="Stop after this long.")] = door.MAX_TIME,
    max_pairs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Stop after so many pairs: two requests each.")
    ] = door.MAX_PAIRS,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC > LIMIT'", help="Fail when the hop costs more, such as 'ttft > 5ms'; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the order of the streams.")] = 1,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Everything as JSON.")] = None,
    target: TargetOptions,
) -> None:
    """Measure what a hop (proxy, gateway, relay) costs in TTFT, ITL and to the end, with an interval.

    Single streams run in pairs, one on each path right after the other, in random and balanced order, on warm
    connections. A slow change of the server cancels out in the pairs.

    Examples:

      streamgauge overhead --direct http://10.0.0.5:8000/v1/chat/completions --via https://gw.example.com/v1/chat/completions

      streamgauge overhead --direct http://127.0.0.1:9000/v1/chat/completions --via http://127.0.0.1:8080/v1/chat/completions
      --max-tokens 20 --fail-on "ttft > 5ms"

    Exit codes: 0 the cost is known as precisely as asked and within every --fail-on, 1 a limit is exceeded, 2 usage,
    3 could not measure, or not decided, 130 interrupted.
    """
    if via is None:
        raise UsageError("no path through the hop given", "pass --via URL, and --direct URL for the path without it")
    if json is not None:
        must_be_writable(json)
    given = target.target(direct)
    with err.status("starting ...") as status:
        report = door.overhead(
            given,
            via,
            precision=precision,
            max_time=max_time,
            max_pairs=max_pairs,
            seed=seed,
            limits=fail_on or (),
            progress=lambda text: status.update(safe(text)),
        )
    print_report(report)
    if json is not None:
        replace_file(json, json_text(report).encode())
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def print_report(report: OverheadReport) -> None:
    """The answer first, then the figures."""
    first = report.costs[0]
    out.print(f"[bold]{safe(_answer(first))}[/bold]")
    out.print(
        f"{plural(report.pairs, 'pair')} of streams in {report.seconds:,.1f} s, stopped by {safe(report.stopped_by)}\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in ("direct p50", "via p50", "the hop costs", "95 % interval", "client's error"):
        table.add_column(column, justify="right")
    table.add_column("", overflow="fold")
    for cost in report.costs:
        table.add_row(
            cost.metric,
            show_ms(cost.direct_ms * MS),
            show_ms(cost.via_ms * MS),
            _signed(cost.cost_ms.point),
            _interval(cost),
            f"± {show_ms(cost.floor_ms * MS)}",
            cost.meaning,
        )
    out.print(table)
    for result in report.limits:
        colour = _COLOURS[result.verdict]
        out.print(f"fails on {safe(result.limit)}: [{colour}]{result.verdict.value}[/{colour}]")
    if not report.reached:
        out.print(
            f"[yellow]The cost in TTFT is not known within ± {report.precision_ms:g} ms:[/yellow] "
            "raise --max-time, or accept less with --precision."
        )
    for note in report.notes:
        out.print(safe(note))


def _answer(cost: HopCost) -> str:
    if cost.visible:
        word = "costs" if cost.cost_ms.point > 0 else "saves"
        return f"The hop {word} {show_ms(abs(cost.cost_ms.point) * MS)} of TTFT (95 %: {_interval(cost)})"
    return f"No cost in TTFT is visible (95 %: {_interval(cost)}; client's error ± {show_ms(cost.floor_ms * MS)})"


def _interval(cost: HopCost) -> str:
    low, high = ("?" if end is None else _signed(end) for end in (cost.cost_ms.low, cost.cost_ms.high))
    return f"{low} to {high}"


def _signed(value_ms: float) -> str:
    return ("+" if value_ms >= 0 else "") + show_ms(value_ms * MS)
