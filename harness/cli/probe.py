"""`streamgauge probe` opens one stream and prints it in detail."""

from collections import Counter
from typing import Annotated, Final

import typer
from rich.table import Table

from streamgauge.cli.console import err, facts, out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions, Url
from streamgauge.endpoint import probe as door
from streamgauge.endpoint.client import not_a_stream
from streamgauge.endpoint.probe import Stream
from streamgauge.errors import ExitCode
from streamgauge.metrics.distributions import Distribution, distribution
from streamgauge.metrics.facts import gaps_ns, tpot_ns, ttft_ns
from streamgauge.metrics.reading import reading_caveats
from streamgauge.metrics.timeline import marks, reads
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.protocol.wire_secrets import secrets_in_wire
from streamgauge.secrets import hidden_piece
from streamgauge.units import SECOND, show_bytes, show_ms
from streamgauge.wire import End

_READS_SHOWN: Final = 12
_WIRE_SHOWN: Final = 16 * 1024


@with_groups
def probe(
    *,
    url: Url = None,
    show_wire: Annotated[bool, typer.Option("--show-wire", help="Print each read's bytes with its time.")] = False,
    target: TargetOptions,
) -> None:
    """Open one stream and print its timeline, reads, rates and the client's own lag. It takes at most 10 minutes.

    Examples:

      streamgauge probe http://localhost:8080/v1/chat/completions

      streamgauge probe "https://example.com/api/chat/stream?message=hello" --show-wire

    Exit codes: 0 the stream was ok, 1 it was not, 2 usage, 3 there was no stream.
    """
    stream = door.probe(target.target(url))
    if show_wire:
        _print_wire(stream.transcript)
    if not stream.transcript.is_stream:
        raise not_a_stream(stream.transcript)
    _print_timeline(stream)
    if stream.transcript.outcome is Outcome.TRUNCATED and stream.transcript.capture.end is End.COMPLETE:
        err.print("[yellow]--no-end-marker[/yellow] accepts a stream that ends with its body, where that is meant")
    if not stream.ok:
        raise typer.Exit(ExitCode.FAILED)


def _print_timeline(stream: Stream) -> None:
    transcript = stream.transcript
    record = record_of(transcript, "probe", url=stream.url)
    outcome = transcript.outcome
    colour = "green" if outcome is Outcome.OK else "red"
    out.print(f"[bold]{safe(transcript.capture.method)} {safe(stream.url)}[/bold]")
    out.print(f"[{colour}]{outcome}[/{colour}]  {safe(transcript.detail or '')}\n")

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("at", justify="right")
    table.add_column("moment")
    table.add_column("", overflow="fold")
    for mark in marks(transcript):
        table.add_row(show_ms(mark.at_ns), mark.name, safe(mark.note))
    out.print(table)

    out.print()
    out.print(facts([("dialect", safe(_dialect(transcript))), *_figures(record, stream.doubt)]))
    for caveat in (*reading_caveats(transcript, record), *_doubts(record)):
        err.print(f"[yellow]caveat:[/yellow] {safe(caveat)}")
    _print_reads(transcript)


def _doubts(record: StreamRecord) -> list[str]:
    """The caveat about a token count that is not believed."""
    if record.usage_doubt is None:
        return []
    return [f"the endpoint's token count is not believed: {record.usage_doubt}; token events are counted instead"]


def _dialect(transcript: Transcript) -> str:
    name = transcript.dialect.name if transcript.dialect else "unknown"
    return f"{name} ({transcript.dialect_rule})" if transcript.dialect_rule else name


def _figures(record: StreamRecord, doubt: str | None) -> list[tuple[str, str]]:
    """The figures about tokens; while the dialect is uncertain, why there are none."""
    if doubt is not None:
        return [
            ("doubt", f"[yellow]{safe(doubt)}[/yellow]"),
            ("TTFT, ITL, tokens", "withheld: it is not certain which events are tokens"),
        ]
    itl, tpot = distribution(gaps_ns(record)), tpot_ns(record)
    source = f"by {record.tokens_source}" if record.tokens_source else "none came"
    return [
        ("TTFT", show_ms(ttft_ns(record))),
        ("ITL", _spread(itl) if itl else "- (fewer than 2 tokens)"),
        ("TPOT", show_ms(tpot)),
        ("tokens", f"{record.output_tokens or 0} ({source}) in {len(record.token_reads)} events"),
        ("rate", f"{SECOND / tpot:,.1f} tokens/s after the first" if tpot else "-"),
        ("finish reason", safe(record.finish_reason or "-")),
    ]


def _spread(values: Distribution) -> str:
    return f"p50 {values.p50:.2f} ms, p99 {values.p99:.2f} ms, max {values.max:.2f} ms"


def _print_reads(transcript: Transcript) -> None:
    rows = reads(transcript)
    per_read = Counter(row.tokens for row in rows if row.tokens)
    shape = ", ".join(f"{count} with {tokens}" for tokens, count in sorted(per_read.items()))
    lags = distribution(row.lag_ns for row in rows if row.lag_ns is not None)
    lag = (
        f"p50 {lags.p50:.3f} ms, max {lags.max:.3f} ms"
        if lags
        else "- (no kernel stamps: the times were taken in user space)"
    )
    out.print()
    out.print(facts([("tokens per read", shape or "-"), ("client lag", lag)]))
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("read", "at", "lag", "size", "events", "tokens"):
        table.add_column(column, justify="right")
    for index, row in enumerate(rows[:_READS_SHOWN]):
        lag_text = show_ms(row.lag_ns)
        table.add_row(str(index), show_ms(row.at_ns), lag_text, show_bytes(row.size), str(row.events), str(row.tokens))
    out.print(table)
    if len(rows) > _READS_SHOWN:
        out.print(f"... and {len(rows) - _READS_SHOWN} more reads")


def _print_wire(transcript: Transcript) -> None:
    capture = transcript.capture
    left = _WIRE_SHOWN
    wire, start = b"".join(capture.wire or []), 0
    secrets = secrets_in_wire(capture, left)
    for read, data in zip(capture.reads, capture.wire or [], strict=False):
        out.print(f"[bold]--- {show_ms(read.t_ns - capture.start_ns)}, {show_bytes(read.size)}[/bold]")
        shown = hidden_piece(wire, start, start + min(len(data), left), secrets)
        out.print(safe(shown.decode("utf-8", "backslashreplace").replace("\r\n", "\\r\n")))
        start += len(data)
        left -= len(data)
        if left <= 0:
            out.print(f"[bold]... the rest is left out (more than {show_bytes(_WIRE_SHOWN)})[/bold]")
            break
    out.print()
