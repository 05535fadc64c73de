"""The commands `mock` and `proxy`: options become a config, and a server runs until Ctrl-C."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from streamgauge.mock_provider.client_wait import IDLE_TIMEOUT, REQUEST_TIMEOUT
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.control import fault_list
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.fleet.engines import ENGINES
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.listening import Listening
from streamgauge.mock_provider.options import with_options
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.proxy import Proxy, ProxyConfig
from streamgauge.mock_provider.proxy.config import OnBreak
from streamgauge.mock_provider.server import Server
from streamgauge.mock_provider.serving import serve, serve_workers
from streamgauge.mock_provider.text import KINDS
from streamgauge.mock_provider.user_files import read_text

EXIT_USAGE = 2


def _panel(title: str) -> Callable[..., Any]:
    return partial(typer.Option, rich_help_panel=title)


_answer, _timing, _faults = _panel("Answers"), _panel("Timing"), _panel("Faults")
_capacity, _listening, _access = _panel("Capacity and quotas"), _panel("Listening"), _panel("Access and ledger")
_holding, _removing, _breaking = _panel("Hold back"), _panel("Remove"), _panel("Break and retry")

app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
proxy_app: typer.Typer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@with_options(FleetSettings, "fleet", "Fleet of replicas")
def mock_command(
    fleet: Callable[[], FleetSettings],
    tokens: Annotated[int, _answer(help="Tokens of an answer.")] = 32,
    text: Annotated[str, _answer(help=f"Kind of text: {', '.join(KINDS)}.")] = "ascii",
    say: Annotated[
        Path | None,
        _answer(help="File with the text of every answer; with --tools, the arguments of each call.", exists=True),
    ] = None,
    reasoning: Annotated[int, _answer(help="Tokens of reasoning before an answer, in dialects that have it.")] = 0,
    tools: Annotated[int, _answer(help="Tool calls in place of text, in dialects that have them.")] = 0,
    profile: Annotated[
        str | None,
        _answer(help=f"Vendor whose deviations the OpenAI Chat Completions route shows: {', '.join(PROFILES)}."),
    ] = None,
    tokens_per_event: Annotated[int, _answer(help="Tokens in each event.")] = 1,
    events_per_write: Annotated[int, _answer(help="Events in each write to the socket.")] = 1,
    heartbeat: Annotated[
        str | None, _answer(help="Send a comment after this much silence; 0: never. Default: as the vendor does.")
    ] = None,
    seed: Annotated[int, _answer(help="Seed of texts, ids, delays and fault rates; it fixes every byte.")] = 0,
    ttft: Annotated[
        str, _timing(help="Time to the first token: 200ms, or a distribution such as gamma(200ms,2).")
    ] = "50ms",
    itl: Annotated[
        str, _timing(help="Time between tokens: 20ms, or a distribution such as lognormal(20ms,0.5).")
    ] = "10ms",
    prefill: Annotated[str, _timing(help="Time that each word of the prompt adds to the first token.")] = "0",
    trace: Annotated[
        list[str] | None,
        _timing(help="NAME=FILE: recorded times, from CSV or a run's streams.jsonl; repeatable. See --replay."),
    ] = None,
    replay: Annotated[
        str | None, _timing(help="NAME of the trace that every stream replays; a prompt's trace=NAME overrides it.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        _faults(
            help="Fault of every stream, or of a share: rst:5 resets after 5 tokens, rst:5@10% does so in one stream"
            " of ten. Repeatable. A dialect that cannot show the fault ignores it."
        ),
    ] = None,
    list_faults: Annotated[
        bool, _faults("--list-faults", help="Print every fault with the checks that it trips, and exit.")
    ] = False,
    on_disconnect: Annotated[
        Literal["stop", "continue"],
        _faults(help="Whether generation stops or continues when the client leaves."),
    ] = "stop",
    slots: Annotated[
        int | None, _capacity(help="Streams that each replica serves at once; more wait. Default: no limit.")
    ] = None,
    queue: Annotated[
        int | None, _capacity(help="Requests that may wait for a slot; more are refused. Default: no limit.")
    ] = None,
    queue_policy: Annotated[
        Literal["queue", "reject"], _capacity(help="Without a free slot, a request waits or is refused.")
    ] = "queue",
    prefill_rate: Annotated[
        float | None, _capacity(help="Words of a prompt read per second; the first token waits for all of them.")
    ] = None,
    itl_per_active: Annotated[str, _capacity(help="Time that each active stream adds to every gap.")] = "0",
    knee: Annotated[int | None, _capacity(help="Number of active streams above which --collapse applies.")] = None,
    collapse: Annotated[
        float, _capacity(help="Factor by which each stream above the knee lengthens every gap: 0.1 adds 10 %.")
    ] = 0.0,
    key_slots: Annotated[int | None, _capacity(help="Streams at once for each API key; more get 429.")] = None,
    key_rate: Annotated[int | None, _capacity(help="Requests a minute for each API key; more get 429.")] = None,
    host: Annotated[
        str, _listening(help="Address to listen on. Beyond loopback, /_mock/ needs --control-token.")
    ] = "127.0.0.1",
    port: Annotated[int, _listening(help="Port; 0 takes a free one and prints it.")] = 8080,
    uds: Annotated[str | None, _listening(help="Unix socket to listen on in place of --host and --port.")] = None,
    tls: Annotated[
        str | None, _listening(help="Only value: self-signed. Serves TLS with a certificate from a fresh CA.")
    ] = None,
    tls_ca: Annotated[str | None, _listening(help="File to write that CA to, for clients to trust.")] = None,
    tls_cert: Annotated[str | None, _listening(help="PEM file with a certificate chain; needs --tls-key.")] = None,
    tls_key: Annotated[str | None, _listening(help="PEM file with its private key.")] = None,
    workers: Annotated[
        int, _listening(help="Processes that share the port; the control API answers for all of them.")
    ] = 1,
    request_timeout: Annotated[
        str, _listening(help="Longest time from a request's first byte to its last.")
    ] = REQUEST_TIMEOUT,
    idle_timeout: Annotated[
        str, _listening(help="Close a connection after this long without a request.")
    ] = IDLE_TIMEOUT,
    drain: Annotated[
        str,
        _listening(help="At Ctrl-C: cut running streams, finish them, or give them a time such as 10s."),
    ] = "cut",
    model: Annotated[list[str] | None, _access(help="Model name to accept; repeatable. Default: any name.")] = None,
    api_key: Annotated[
        str | None,
        _access(envvar="STREAMGAUGE_MOCK_API_KEY", help="API key that requests must carry. Default: none needed."),
    ] = None,
    control_token: Annotated[
        str | None,
        _access(envvar="STREAMGAUGE_MOCK_CONTROL_TOKEN", help="Bearer token that requests to /_mock/ must carry."),
    ] = None,
    ledger_size: Annotated[
        int, _access(help="Streams that each worker remembers for /_mock/streams; the oldest go first.")
    ] = 10_000,
) -> None:
    """Run a streaming LLM provider whose timing, bytes and failures are known.

    Point an application's base URL at it; the routes are printed at the start.

    Options hold for every stream. A directive in a prompt changes one stream:
    \\[\\[mock id=a1 tokens=20 ttft=200ms fault=rst:5]]

    The control API under /_mock/ tells when each token was written and when the
    client left, such as GET /_mock/streams/a1.

    streamgauge mock --port 8080 --ttft 200ms --itl 20ms --tokens 100

    streamgauge mock --port 8080 --fault no-terminal --fault crlf

    streamgauge mock --port 8080 --slots 8 --replicas 3 --speed 1,1,0.5 --engine vllm

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 a worker failed, 2 a bad flag, 3 cannot listen.
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
        settings = fleet()
        _check_workers(workers, uds, settings)
        config = MockConfig(
            host=host,
            port=port,
            listening=listening,
            tokens=tokens,
            ttft=ttft,
            itl=itl,
            seed=seed,
            text=text,
            say=None if say is None else read_text(say),
            heartbeat=heartbeat,
            reasoning=reasoning,
            tools=tools,
            profile=profile,
            faults=tuple(fault or ()),
            models=tuple(model or ()),
            api_key=api_key,
            control_token=control_token,
            on_disconnect=on_disconnect,
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
            queue_policy=queue_policy,
            prefill_rate=prefill_rate,
            itl_per_active=itl_per_active,
            knee=knee,
            collapse=collapse,
            fleet=settings,
        )
        listening.prepare(host)
        server = Server(config)
    except (ValueError, OSError) as error:
        _bad_flag("mock", error)

    def hints(url: str) -> str:
        return _mock_hints(url, config)

    if workers > 1:
        serve_workers(config, workers, hints)
    elif uds is None:
        serve("mock provider", server.start, server.stop, hints, server.drain)
    else:
        serve("mock provider", server.start, server.stop, hints, server.drain, "choose another --uds")


@proxy_app.command()
def proxy_command(
    upstream: Annotated[str, typer.Argument(help="Base URL of the server behind the proxy, such as the mock's.")],
    hold_bytes: Annotated[int | None, _holding(help="Hold the body until this many bytes have come.")] = None,
    hold_ms: Annotated[
        int | None, _holding(help="Hold the body until its oldest byte has waited this many ms.")
    ] = None,
    until_close: Annotated[bool, _holding("--until-close", help="Hold the body until the upstream ends it.")] = False,
    one_behind: Annotated[bool, _holding("--one-behind", help="Hold each piece until the next one comes.")] = False,
    gzip_no_flush: Annotated[
        bool,
        _holding("--gzip-no-flush", help="Compress for clients that accept gzip, and flush only at the end."),
    ] = False,
    strip_accel: Annotated[bool, _removing("--strip-accel", help="Remove the X-Accel-Buffering field.")] = False,
    strip_heartbeats: Annotated[
        bool, _removing("--strip-heartbeats", help="Remove comment lines from event streams.")
    ] = False,
    whole_events: Annotated[
        bool,
        _holding("--whole-events", help="Hold each event until two LFs end it: CRLF streams come at their end."),
    ] = False,
    spaced_data: Annotated[
        bool, _removing("--spaced-data", help="Remove data lines without a space after the colon.")
    ] = False,
    ignore_abort: Annotated[
        bool, _breaking("--ignore-abort", help="Keep reading the upstream after the client has left.")
    ] = False,
    cut_idle_ms: Annotated[
        int | None, _breaking(help="Close when the upstream has been silent for this many ms.")
    ] = None,
    cut_after_ms: Annotated[
        int | None, _breaking(help="Close this many ms after the request, finished or not.")
    ] = None,
    on_break: Annotated[
        OnBreak,
        _breaking(
            help="When the upstream breaks off: cut the client's stream, too; end it with an error event (error); or"
            " append that event to the unfinished one (glued)."
        ),
    ] = "cut",
    retries: Annotated[int, _breaking(help="How often to repeat a request that is answered with 429 or 5xx.")] = 0,
    errors_as: Annotated[
        int | None, _breaking(help="The status in place of every error status of the upstream, without Retry-After.")
    ] = None,
    key: Annotated[
        str | None,
        _breaking(
            envvar="STREAMGAUGE_PROXY_KEY", help="An API key for the upstream, in place of the client's Authorization."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.")] = 8081,
    forward_control: Annotated[
        bool,
        typer.Option(
            "--forward-control",
            help="Forward requests below /_mock/ as well, in place of 404. The mock needs --control-token then.",
        ),
    ] = False,
    request_timeout: Annotated[
        str, typer.Option(help="Longest time from a request's first byte to its last.")
    ] = REQUEST_TIMEOUT,
    idle_timeout: Annotated[
        str, typer.Option(help="Close a connection after this long without a request.")
    ] = IDLE_TIMEOUT,
) -> None:
    """Run a reverse proxy with the buffering faults that you choose; without options it passes everything through.

    It shows what a misconfigured proxy does to a stream: put it between a client and an endpoint, then measure.

    streamgauge proxy http://127.0.0.1:8080 --hold-bytes 4096

    streamgauge proxy http://127.0.0.1:8080 --ignore-abort

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 a bad flag, 3 cannot listen on the port.
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
            whole_events=whole_events,
            spaced_data=spaced_data,
            cut_idle_ms=cut_idle_ms,
            cut_after_ms=cut_after_ms,
            on_break=on_break,
            retries=retries,
            errors_as=errors_as,
            key=key,
            forward_control=forward_control,
            request_timeout=request_timeout,
            idle_timeout=idle_timeout,
        )
    except ValueError as error:
        _bad_flag("proxy", error)
    proxy = Proxy(config)
    serve("buffering proxy", proxy.start, proxy.stop, lambda url: f"  {url} -> {upstream}\n  Ctrl-C ends it.")


def print_faults() -> None:
    """Print the table of `--list-faults`."""
    table = Table(box=None, pad_edge=False)
    for column in ("fault", "level", "what it does", "trips"):
        table.add_column(column, overflow="fold")
    for fault in fault_list():
        where = " (server-wide flag only)" if fault["server_wide"] else ""
        # Escaped, because rich takes [:COUNT] for markup.
        usage = fault["usage"].replace("[", "\\[")
        table.add_row(usage, fault["level"], fault["sentence"] + where, ", ".join(fault["trips"]) or "none: legal")
    Console().print(table)


def _check_workers(workers: int, uds: str | None, fleet: FleetSettings) -> None:
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, got {workers}")
    if workers > 1 and uds is not None:
        raise ValueError("workers: expected 1 with --uds, because processes cannot share a Unix socket")
    if workers > 1 and fleet != FleetSettings():
        raise ValueError("workers: expected 1 with the options of a fleet, because each process would have its own")


def _bad_flag(command: str, error: Exception) -> NoReturn:
    typer.echo(f"streamgauge {command}: {error}", err=True)
    raise typer.Exit(EXIT_USAGE) from None


def _mock_hints(url: str, config: MockConfig) -> str:
    curl, listening = "curl", config.listening
    # The control API answers to a loopback address, and not to the name of all addresses.
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    if listening.tls is not None:
        curl += f" --cacert {listening.ca_path}"
    if listening.uds is not None:
        curl += f" --unix-socket {listening.uds}"
        url = "http://mock" if listening.context is None else "https://localhost"
    token = "" if config.control_token is None else ' -H "Authorization: Bearer $STREAMGAUGE_MOCK_CONTROL_TOKEN"'
    width = max(len(path) for dialect in DIALECTS for _, path in dialect.routes) + 2
    routes = [f"  {method:<5}{path:<{width}}{dialect.name}" for dialect in DIALECTS for method, path in dialect.routes]
    return "\n".join(
        [
            *([f"  CA certificate for clients: {listening.ca_path}"] if listening.tls is not None else []),
            *routes,
            "  GET  /v1/models, /health",
            *([f"  GET  {', '.join(ENGINES[engine])}"] if (engine := config.fleet.engine) is not None else []),
            "  GET  /_mock/streams, /_mock/streams/ID, /_mock/summary, /_mock/export, /_mock/clock, /_mock/faults",
            "       /_mock/fleet",
            "  POST /_mock/streams/ID/release?upto=K, /_mock/reset, /_mock/refuse?seconds=S, /_mock/accept",
            "       /_mock/fleet?SETTING=VALUE",
            "       with Content-Type: application/json",
            "Try:",
            f"  {curl} -N {url}/v1/chat/completions -H 'Content-Type: application/json' \\",
            """    -d '{"stream":true,"messages":[{"role":"user","content":"Hi [[mock id=a1 itl=200ms]]"}]}'""",
            f"  {curl} {url}/_mock/streams/a1{token}",
            "Ctrl-C ends it.",
        ]
    )
