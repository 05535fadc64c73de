"""The commands `mock` and `proxy`: flags in, a server in the foreground until Ctrl-C."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from streamgauge.mock_provider.config import MockConfig, OnDisconnect, QueuePolicy
from streamgauge.mock_provider.control import fault_list
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.listening import Listening
from streamgauge.mock_provider.loop import new_event_loop
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.proxy import Proxy, ProxyConfig
from streamgauge.mock_provider.proxy.config import OnBreak
from streamgauge.mock_provider.server import Server
from streamgauge.mock_provider.workers import Worker, run_workers

EXIT_USAGE = 2
EXIT_NO_PORT = 3
_ENDING = (signal.SIGINT, signal.SIGTERM)

app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
proxy_app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def mock_command(
    host: Annotated[str, typer.Option(help="Address to listen on; beyond loopback, the control API needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.")] = 8080,
    tokens: Annotated[int, typer.Option(help="Tokens of a stream.")] = 32,
    ttft: Annotated[str, typer.Option(help="Time to the first token: 200ms, or a model: gamma(200ms,2).")] = "50ms",
    itl: Annotated[str, typer.Option(help="Time between tokens: 20ms, or a model: lognormal(20ms,0.5).")] = "10ms",
    seed: Annotated[int, typer.Option(help="Seed of texts, ids, delays and rates.")] = 0,
    text: Annotated[str, typer.Option(help="Kind of token text: ascii, unicode, newlines, ...")] = "ascii",
    heartbeat: Annotated[str | None, typer.Option(help="Silence after which a comment is sent; 0 for never.")] = None,
    reasoning: Annotated[int, typer.Option(help="Tokens of reasoning before each answer that can have them.")] = 0,
    tools: Annotated[int, typer.Option(help="Tool calls in place of text, where a dialect has them.")] = 0,
    profile: Annotated[
        str | None,
        typer.Option(help=f"Whose deviations OpenAI Chat Completions shows: {', '.join(PROFILES)}."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Fault of every stream whose dialect can have it, or of some, as in rst:5@10%; repeatable."),
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
    ledger_size: Annotated[int, typer.Option(help="Streams the ledger keeps, in each worker.")] = 10_000,
    tokens_per_event: Annotated[int, typer.Option(help="Tokens that one event carries.")] = 1,
    events_per_write: Annotated[int, typer.Option(help="Events that one write carries.")] = 1,
    prefill: Annotated[str, typer.Option(help="Time that each word of a prompt adds to the first token.")] = "0",
    trace: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: recorded times, CSV or a run's streams.jsonl, for trace=NAME; repeatable."),
    ] = None,
    replay: Annotated[str | None, typer.Option(help="Trace of the streams that name none.")] = None,
    slots: Annotated[int | None, typer.Option(help="Streams served at once by each worker; without it, all.")] = None,
    queue: Annotated[
        int | None, typer.Option(help="Requests that may wait for a worker's slots; others get 429.")
    ] = None,
    key_slots: Annotated[int | None, typer.Option(help="Streams at once of one API key; others get 429.")] = None,
    key_rate: Annotated[int | None, typer.Option(help="Requests a minute of one API key; others get 429.")] = None,
    queue_policy: Annotated[
        Literal["queue", "reject"], typer.Option(help="What a request does when every slot is taken.")
    ] = "queue",
    prefill_rate: Annotated[float | None, typer.Option(help="Prompt words read a second.")] = None,
    itl_per_active: Annotated[str, typer.Option(help="Time that each active stream adds to every gap.")] = "0",
    knee: Annotated[int | None, typer.Option(help="Active streams beyond which throughput collapses.")] = None,
    collapse: Annotated[
        float, typer.Option(help="Share by which each stream beyond the knee lengthens every gap.")
    ] = 0.0,
    uds: Annotated[str | None, typer.Option(help="Unix socket to listen on in place of host and port.")] = None,
    tls: Annotated[str | None, typer.Option(help="self-signed: TLS with a certificate of a fresh CA.")] = None,
    tls_ca: Annotated[str | None, typer.Option(help="File that gets that CA, for clients to trust.")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate chain for TLS, PEM; needs --tls-key.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Its private key, PEM.")] = None,
    drain: Annotated[
        str,
        typer.Option(help="What the end means to running streams: cut, finish, or a time after which they are cut."),
    ] = "cut",
    request_timeout: Annotated[str, typer.Option(help="From a request's first byte to its last.")] = "30s",
    idle_timeout: Annotated[str, typer.Option(help="For a connection without a request.")] = "75s",
    workers: Annotated[int, typer.Option(help="Processes that share the port; the control API shows them as one.")] = 1,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Print every fault and exit.")] = False,
) -> None:
    """Run a streaming LLM provider whose timing, bytes and failures are known.

    Point an application's base URL at it. A directive in a prompt steers one stream; an example is printed at the
    start.

    streamgauge mock --port 8080 --ttft 200ms --itl 20ms --tokens 100

    streamgauge mock --port 8080 --fault no-terminal --fault crlf

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 a worker failed, 2 a bad flag, 3 the port can't be had.
    """
    if list_faults:
        print_faults()
        return
    try:
        listening = Listening(
            uds=uds,
            tls=tls,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            drain=drain,
            request_timeout=request_timeout,
            idle_timeout=idle_timeout,
        )
        if workers < 1:
            raise ValueError(f"workers: expected 1 or more, got {workers}")
        if workers > 1 and uds is not None:
            raise ValueError("workers: several need a TCP port, a Unix socket can't be shared")
        config = MockConfig(
            host=host,
            port=port,
            listening=listening,
            tokens=tokens,
            ttft=ttft,
            itl=itl,
            seed=seed,
            text=text,
            heartbeat=heartbeat,
            reasoning=reasoning,
            tools=tools,
            profile=profile,
            faults=tuple(fault or ()),
            models=tuple(model or ()),
            api_key=api_key,
            control_token=control_token,
            on_disconnect=_on_disconnect(on_disconnect),
            ledger_size=ledger_size,
            tokens_per_event=tokens_per_event,
            events_per_write=events_per_write,
            prefill=prefill,
            traces=tuple(trace or ()),
            replay=replay,
            slots=slots,
            key_slots=key_slots,
            key_rate=key_rate,
            queue=queue,
            queue_policy=_queue_policy(queue_policy),
            prefill_rate=prefill_rate,
            itl_per_active=itl_per_active,
            knee=knee,
            collapse=collapse,
        )
        listening.prepare(host)
        server = Server(config)
    except (ValueError, OSError) as error:
        typer.echo(f"streamgauge mock: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None

    def hints(url: str) -> str:
        return _mock_hints(url, listening)

    if workers == 1:
        remedy = "choose another --port, or 0" if uds is None else "choose another --uds"
        serve("mock provider", server.start, server.stop, hints, server.drain, remedy)
    else:
        _serve_workers(config, workers, hints)


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
    strip_heartbeats: Annotated[
        bool, typer.Option("--strip-heartbeats", help="Remove the comments of event streams.")
    ] = False,
    cut_idle_ms: Annotated[
        int | None, typer.Option(help="Close when the upstream has been silent for so many milliseconds.")
    ] = None,
    cut_after_ms: Annotated[
        int | None, typer.Option(help="Close so many milliseconds after the request, finished or not.")
    ] = None,
    on_break: Annotated[
        OnBreak,
        typer.Option(help="What becomes of a broken stream: cut, an error event, or one glued to what came."),
    ] = "cut",
    retries: Annotated[int, typer.Option(help="Ask again so many times when the upstream answers 429 or 5xx.")] = 0,
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
            strip_heartbeats=strip_heartbeats,
            cut_idle_ms=cut_idle_ms,
            cut_after_ms=cut_after_ms,
            on_break=on_break,
            retries=retries,
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
    drain: Callable[[], Awaitable[None]] | None = None,
    remedy: str = "choose another --port, or 0",
) -> None:
    """Run a server until SIGINT or SIGTERM; exit 3 when its port can't be had."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_run_server(start, stop, drain, lambda url: _say_listening(what, url, hints), _ENDING))
    except OSError as error:
        _cannot_listen(what, error, remedy)


async def _run_server(
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    drain: Callable[[], Awaitable[None]] | None,
    started: Callable[[str], None],
    numbers: tuple[signal.Signals, ...],
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, ended.set)
    # A full collection with thousands of streams stops all of them for tens of milliseconds: make it rare and short.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    _allow_descriptors()
    started(await start())
    await ended.wait()
    if drain is not None:
        # A second signal cuts the draining short.
        ended.clear()
        pending = {asyncio.ensure_future(drain()), asyncio.ensure_future(ended.wait())}
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
    await stop()


def _allow_descriptors() -> None:
    """As many as the system grants: a connection takes two, and the usual limit of 1,024 is for smaller programs."""
    if sys.platform != "win32":
        import resource  # Windows has none

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve_workers(config: MockConfig, count: int, hints: Callable[[str], str]) -> None:
    async def serve_one(worker: Worker, port: int, started: Callable[[str], None]) -> None:
        server = Server(replace(config, port=port), worker)
        await _run_server(server.start, server.stop, server.drain, started, (signal.SIGTERM,))

    def started(url: str) -> None:
        _say_listening("mock provider", url, hints)

    try:
        with TemporaryDirectory(prefix="streamgauge-mock-") as folder:
            code = run_workers(count, config.host, config.port, Path(folder), serve_one, started, new_event_loop)
    except OSError as error:
        _cannot_listen("mock provider", error, "choose another --port, or 0")
    if code:
        raise typer.Exit(code)


def _say_listening(what: str, url: str, hints: Callable[[str], str]) -> None:
    # typer.echo flushes: whoever started this reads the port from the first line.
    typer.echo(f"{what} listening on {url}")
    typer.echo(hints(url))


def _cannot_listen(what: str, error: OSError, remedy: str) -> NoReturn:
    typer.echo(f"{what}: can't listen: {error.strerror or error}; {remedy}", err=True)
    raise typer.Exit(EXIT_NO_PORT)


def _on_disconnect(value: str) -> OnDisconnect:
    return "continue" if value == "continue" else "stop"


def _queue_policy(value: str) -> QueuePolicy:
    return "reject" if value == "reject" else "queue"


def _mock_hints(url: str, listening: Listening) -> str:
    curl = "curl"
    if listening.tls is not None:
        curl += f" --cacert {listening.ca_path()}"
    if listening.uds is not None:
        curl += f" --unix-socket {listening.uds}"
        url = "http://mock" if listening.context is None else "https://localhost"
    width = max(len(path) for dialect in DIALECTS for _, path in dialect.routes) + 2
    routes = [f"  {method:<5}{path:<{width}}{dialect.name}" for dialect in DIALECTS for method, path in dialect.routes]
    return "\n".join(
        [
            *([f"  clients find the CA in {listening.ca_path()}"] if listening.tls is not None else []),
            *routes,
            "  GET  /v1/models, /health",
            "  GET  /_mock/streams, /_mock/streams/ID, /_mock/summary, /_mock/export, /_mock/clock, /_mock/faults",
            "  POST /_mock/streams/ID/release?upto=K, /_mock/reset",
            "Try:",
            f"  {curl} -N {url}/v1/chat/completions -H 'Content-Type: application/json' \\",
            """    -d '{"stream":true,"messages":[{"role":"user","content":"Hi [[mock id=a1 itl=200ms]]"}]}'""",
            f"  {curl} {url}/_mock/streams/a1",
            "Ctrl-C ends it.",
        ]
    )
