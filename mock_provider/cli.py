"""The commands `mock` and `proxy`: flags in, a server in the foreground until Ctrl-C."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from mock_provider.config import MockConfig, OnDisconnect
from mock_provider.control import fault_list
from mock_provider.dialects import DIALECTS
from mock_provider.loop import new_event_loop
from mock_provider.proxy import Proxy, ProxyConfig
from mock_provider.server import Server

EXIT_USAGE = 2
EXIT_NO_PORT = 3

app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
proxy_app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def mock_command(
    host: Annotated[str, typer.Option(help="Address to listen on; beyond loopback, the control API needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.")] = 8080,
    tokens: Annotated[int, typer.Option(help="Tokens of a stream.")] = 32,
    ttft: Annotated[str, typer.Option(help="Time from a request's arrival to its first token.")] = "50ms",
    itl: Annotated[str, typer.Option(help="Time between tokens.")] = "10ms",
    seed: Annotated[int, typer.Option(help="Seed of the token texts.")] = 0,
    text: Annotated[str, typer.Option(help="Kind of token text: ascii, unicode, newlines, ...")] = "ascii",
    heartbeat: Annotated[str | None, typer.Option(help="Silence after which a comment is sent; 0 for never.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Fault of every stream whose dialect can have it, as in a directive; repeatable."),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Model to accept; repeatable; without any, all are.")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="STREAMGAUGE_MOCK_API_KEY", help="Key that requests must carry as Bearer."),
    ] = None,
    control_token: Annotated[
        str | None,
        typer.Option(envvar="STREAMGAUGE_MOCK_CONTROL_TOKEN", help="Token that the control API demands as Bearer."),
    ] = None,
    on_disconnect: Annotated[
        Literal["stop", "continue"], typer.Option(help="What a stream does when its client leaves.")
    ] = "stop",
    ledger_size: Annotated[int, typer.Option(help="Streams the ledger keeps.")] = 10_000,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Print every fault and exit.")] = False,
) -> None:
    """Run a streaming LLM provider whose timing, bytes and failures are known.

    Point an application's base URL at it. A directive in a prompt steers one stream; an example is printed at the
    start.

    streamgauge mock --port 8080 --ttft 200ms --itl 20ms --tokens 100

    streamgauge mock --port 8080 --fault no-terminal --fault crlf

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 a bad flag, 3 the port can't be had.
    """
    if list_faults:
        print_faults()
        return
    try:
        config = MockConfig(
            host=host,
            port=port,
            tokens=tokens,
            ttft=ttft,
            itl=itl,
            seed=seed,
            text=text,
            heartbeat=heartbeat,
            faults=tuple(fault or ()),
            models=tuple(model or ()),
            api_key=api_key,
            control_token=control_token,
            on_disconnect=_on_disconnect(on_disconnect),
            ledger_size=ledger_size,
        )
    except ValueError as error:
        typer.echo(f"streamgauge mock: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    server = Server(config)
    serve("mock provider", server.start, server.stop, _mock_hints)


@proxy_app.command()
def proxy_command(
    upstream: Annotated[str, typer.Argument(help="Base URL to forward to.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.")] = 8081,
    hold_bytes: Annotated[int | None, typer.Option(help="Hold until so many bytes have come.")] = None,
    hold_ms: Annotated[int | None, typer.Option(help="Hold for so many milliseconds.")] = None,
    until_close: Annotated[bool, typer.Option("--until-close", help="Hold until the upstream has finished.")] = False,
    one_behind: Annotated[bool, typer.Option("--one-behind", help="Hold each piece until the next.")] = False,
    ignore_abort: Annotated[
        bool, typer.Option("--ignore-abort", help="Go on reading the upstream when the client has left.")
    ] = False,
    gzip_no_flush: Annotated[
        bool, typer.Option("--gzip-no-flush", help="Compress if offered, flushing only at the end.")
    ] = False,
    strip_accel: Annotated[bool, typer.Option("--strip-accel", help="Remove X-Accel-Buffering.")] = False,
) -> None:
    """Run a reverse proxy that buffers as badly as it is told to; without a flag it passes everything through.

    streamgauge proxy http://127.0.0.1:8080 --hold-bytes 4096

    streamgauge proxy http://127.0.0.1:8080 --ignore-abort

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 a bad flag, 3 the port can't be had.
    """
    try:
        config = ProxyConfig(
            upstream=upstream,
            host=host,
            port=port,
            hold_bytes=hold_bytes,
            hold_ms=hold_ms,
            until_close=until_close,
            one_behind=one_behind,
            ignore_abort=ignore_abort,
            gzip_no_flush=gzip_no_flush,
            strip_accel=strip_accel,
        )
    except ValueError as error:
        typer.echo(f"streamgauge proxy: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    proxy = Proxy(config)
    serve("buffering proxy", proxy.start, proxy.stop, lambda url: f"  {url} -> {upstream}\n  Ctrl-C ends it.")


def print_faults() -> None:
    """The table of `--list-faults`."""
    table = Table(box=None, pad_edge=False)
    for column in ("fault", "level", "what it does", "trips"):
        table.add_column(column, overflow="fold")
    for fault in fault_list():
        where = " (server-wide flag only)" if fault["server_wide"] else ""
        # rich would take [:COUNT] for markup
        usage = fault["usage"].replace("[", "\\[")
        table.add_row(usage, fault["level"], fault["sentence"] + where, ", ".join(fault["trips"]) or "none: legal")
    Console().print(table)


def serve(
    what: str,
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    hints: Callable[[str], str],
) -> None:
    """Run a server until SIGINT or SIGTERM; exit 3 when its port can't be had."""

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        url = await start()
        # typer.echo flushes: whoever started this reads the port from the first line.
        typer.echo(f"{what} listening on {url}")
        typer.echo(hints(url))
        await ended.wait()
        await stop()

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
    except OSError as error:
        typer.echo(f"{what}: can't listen: {error.strerror or error}; choose another --port, or 0", err=True)
        raise typer.Exit(EXIT_NO_PORT) from None


def _on_disconnect(value: str) -> OnDisconnect:
    return "continue" if value == "continue" else "stop"


def _mock_hints(url: str) -> str:
    routes = [f"  {method:<5}{path:<23}{dialect.name}" for dialect in DIALECTS for method, path in dialect.routes]
    return "\n".join(
        [
            *routes,
            "  GET  /v1/models, /health",
            "  GET  /_mock/streams, /_mock/streams/ID, /_mock/summary, /_mock/clock, /_mock/faults",
            "  POST /_mock/streams/ID/release?upto=K, /_mock/reset",
            "Try:",
            f"  curl -N {url}/v1/chat/completions -H 'Content-Type: application/json' \\",
            """    -d '{"stream":true,"messages":[{"role":"user","content":"Hi [[mock id=a1 itl=200ms]]"}]}'""",
            f"  curl {url}/_mock/streams/a1",
            "Ctrl-C ends it.",
        ]
    )
