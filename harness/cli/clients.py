"""`streamgauge clients`: which popular clients can read this stream, and at which byte do the others fail?"""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from streamgauge.cli.clients_output import print_matrix
from streamgauge.cli.console import out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions, Url
from streamgauge.conformance.clients.client_matrix import ReplayedStream, compare_clients, stream_of
from streamgauge.conformance.clients.strict_reading import strict
from streamgauge.conformance.matrix import ASIDE, Matrix
from streamgauge.endpoint.client import StreamClient, not_a_stream, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.signalr import refuse_hub
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.upstream import rehearse
from streamgauge.errors import CannotMeasure, ExitCode, UsageError
from streamgauge.files import must_be_writable, read_file, replace_file
from streamgauge.protocol.dialects.base import Media
from streamgauge.units import show_bytes

DEADLINE_S: Final = 120.0
MAX_FILE_BYTES: Final = 64 * 1024 * 1024


@with_groups
def clients(
    *,
    url: Url = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A saved response body instead of a URL; - is standard input.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the matrix as JSON.")] = None,
    target: TargetOptions,
) -> None:
    """Replay a stream's bytes through popular clients: which of them read it, lose data, raise or hang, and where.

    Python clients run for real (install streamgauge\\[clients]). The others are emulated from their source code. An SDK
    has a row for its raw stream and one for its helper that adds the stream up to one message. The endpoint has 2
    minutes for its stream.

    Examples:

      streamgauge clients http://localhost:8080/v1/chat/completions

      streamgauge clients --file body.sse --json clients.json

      curl -sN http://localhost:5000/api/chat/stream?message=hi | streamgauge clients --file -

    Exit codes: 0 every published client reads everything, 1 one or more do not (code from tutorials does not count),
    2 usage, 3 there was no stream to replay.
    """
    has_target = url is not None or target.target_file is not None
    # A file needs no endpoint, but may be read in a given dialect.
    given = target.target(url) if has_target else Target(url="", dialect=target.request.dialect)
    if (file is None) != has_target:
        raise UsageError("clients takes either a URL or --file FILE", "see --help for examples of both")
    if json_file is not None:
        must_be_writable(json_file)
    matrix = _of_url(given) if file is None else _of_file(file, given)
    name = given.masked_url if file is None else "standard input" if str(file) == "-" else str(file)
    out.print(f"[bold]{safe(name)}[/bold]\n")
    print_matrix(matrix)
    if json_file is not None:
        replace_file(json_file, msgspec.json.format(msgspec.json.encode(matrix), indent=1) + b"\n")
    if all(row.result.verdict in ASIDE for row in matrix.rows):
        raise CannotMeasure("none of the clients reads this kind of stream", "the reason is behind each client above")
    if any(row.broken for row in matrix.rows):
        raise typer.Exit(ExitCode.FAILED)


def _of_url(target: Target) -> Matrix:
    refuse_hub(target, "clients")
    with ExitStack() as stack:
        client = stack.enter_context(StreamClient.to(target, total_s=DEADLINE_S))
        settled = settle(client, target)
        if target.mock is not None:
            rehearse(client, settled, stack.enter_context(MockControl.of(target)))
        spec = settled.request()
        transcript = client.run(spec, dialect=settled.reader(), deadline_s=DEADLINE_S)
    stream = stream_of(transcript)
    if stream is None:
        raise not_a_stream(transcript)
    return compare_clients([stream], settled.reader() or transcript.dialect, spec.method)


def _of_file(file: Path, target: Target) -> Matrix:
    dialect = target.reader()
    try:
        # The standard input may be a live stream: it is read for as long as it lasts.
        is_stream = str(file) == "-"
        body = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if is_stream else read_file(file, MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "give the saved body of one stream") from None
    if len(body) > MAX_FILE_BYTES:
        raise UsageError(
            f"{file} is larger than {show_bytes(MAX_FILE_BYTES)}", "shorten it to the part that you want to replay"
        )
    media = dialect.media if dialect else None
    read = strict([body], media, dialect)
    if not read.events:
        raise CannotMeasure(f"{file} holds no event", "save the body unchanged, with `curl -sN URL > body.sse`")
    label = Media.SSE if read.dialect is None else read.dialect.media
    return compare_clients([ReplayedStream([body], media_type=label.value)], read.dialect)
