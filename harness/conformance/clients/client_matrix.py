"""Replays captured bytes through popular clients, and says what each client makes of them.

    body ──cut: as it arrived, whole, single bytes──► client ──messages, error──► compared with the strict reading

The strict reading and the dialect say what is there: a client may skip keep-alives and end at the end marker; any
other event that it does not hand on is lost. The byte to blame is found by one more replay, line by line: no client
acts in the middle of a line.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import structs

from streamgauge.conformance.cases import excerpt, printable
from streamgauge.conformance.clients import CLIENTS
from streamgauge.conformance.clients.base import EVENT_STREAM, Body, Client, Message
from streamgauge.conformance.clients.gathered import gathered_loss
from streamgauge.conformance.clients.running import Ending, How, Ran, run
from streamgauge.conformance.clients.strict_reading import ReferenceReading, difference, strict
from streamgauge.conformance.matrix import WORST_FIRST, ClientRow, ClientVerdict, Matrix, Replay
from streamgauge.errors import LimitExceeded
from streamgauge.leaks import quoted
from streamgauge.protocol.dialects.base import Dialect, Kind
from streamgauge.protocol.encoding import decoder_for
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.reader_fast import by_read
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import End

# Real decoders bring their own costs and cannot be interrupted: Anthropic's copies an event anew for each line of it.
MAX_BYTES: Final = 256 * 1024
MAX_LINES: Final = 20_000
MAX_SINGLE_BYTES: Final = 64 * 1024
"""Larger bodies are not replayed byte by byte."""
MAX_PIECES: Final = 20_000

AS_ARRIVED: Final = "as it arrived"
WHOLE: Final = "whole"
SINGLE: Final = "in single bytes"


class ReplayedStream(NamedTuple):
    """A body to replay: its pieces as they arrived (content coding undone), and how it ended."""

    pieces: list[bytes]
    ending: Ending = Ending.EOF
    media_type: str | None = EVENT_STREAM
    scenario: str | None = None
    detail: str | None = None


def stream_of(transcript: Transcript, scenario: str | None = None) -> ReplayedStream | None:
    """The stream of a transcript, for a replay; None when it holds no stream or cannot be decoded."""
    capture = transcript.capture
    if not transcript.is_stream or capture.head is None:
        return None
    try:
        decoder = decoder_for(capture.head.get("content-encoding"))
        pieces = [piece for _, data in by_read(capture.body) if (piece := decoder.feed(data))]
    except (ValueError, LimitExceeded):
        return None
    return ReplayedStream(pieces, _ending(capture.end), capture.head.media_type, scenario, capture.detail)


def _ending(end: End | None) -> Ending:
    if end is End.COMPLETE:
        return Ending.EOF
    return Ending.BROKEN if end in (End.CLOSED, End.RESET, End.MALFORMED, End.TOO_LARGE) else Ending.NOTHING


def compare_clients(
    streams: Iterable[ReplayedStream],
    dialect: Dialect | None,
    method: str = "GET",
    *,
    clients: Sequence[Client] = CLIENTS,
) -> Matrix:
    """Replay all streams through all clients: one row a client, with its worst result for any stream.

    Secrets are masked in what is quoted.
    """
    pairs: list[tuple[ReplayedStream, ReferenceReading]] = []
    caveats: dict[str, None] = {}
    for stream in streams:
        kept, caveat = _bounded(stream)
        if caveat is not None:
            caveats[caveat] = None
        if kept is not None:
            complete = kept.ending is Ending.EOF
            pairs.append((kept, ReferenceReading(kept.pieces, kept.media_type, dialect, complete=complete)))
    spoken = dialect or next((reading.dialect for _, reading in pairs if reading.dialect), None)
    rows = [_hidden(_row(client, pairs, spoken, method)) for client in clients]
    size = sum(len(reading.body) for _, reading in pairs)
    return Matrix(bodies=len(pairs), bytes=size, rows=rows, caveat="; ".join(caveats) or None)


def _row(
    client: Client, pairs: Sequence[tuple[ReplayedStream, ReferenceReading]], dialect: Dialect | None, method: str
) -> ClientRow:
    row = ClientRow(
        client=client.name,
        source=client.source,
        version=client.version,
        follows=client.follows,
        naive=client.naive,
        result=Replay(verdict=ClientVerdict.NOT_APPLICABLE, reason="nothing to replay"),
    )
    if (why_not := client.applies(dialect, method)) is not None:
        return _with(row, Replay(verdict=ClientVerdict.NOT_APPLICABLE, reason=why_not))
    if client.missing is not None:
        needs = f"needs {client.missing}: pip install 'streamgauge[clients]'"
        return _with(row, Replay(verdict=ClientVerdict.NOT_INSTALLED, reason=needs))
    found = [(stream, reading, _replays(client, stream, reading)) for stream, reading in pairs]
    if not found:
        return row
    stream, reading, (arrived, *others) = min(found, key=lambda one: min(_badness(each) for each in one[2]))
    differing = [other for other in others if (other.verdict, other.offset) != (arrived.verdict, arrived.offset)]
    return _with(row, arrived, stream.scenario, differing, _note(client, reading, arrived))


def _with(
    row: ClientRow,
    result: Replay,
    scenario: str | None = None,
    otherwise: Sequence[Replay] = (),
    note: str | None = None,
) -> ClientRow:
    changed = {"result": result, "scenario": scenario, "otherwise": list(otherwise), "note": note}
    return structs.replace(row, **changed)


def _hidden(row: ClientRow) -> ClientRow:
    def hidden(one: Replay) -> Replay:
        return structs.replace(
            one, reason=one.reason and quoted(one.reason), excerpt=one.excerpt and quoted(one.excerpt)
        )

    return structs.replace(row, result=hidden(row.result), otherwise=[hidden(one) for one in row.otherwise])


def _badness(replay: Replay) -> int:
    return WORST_FIRST.index(replay.verdict)


def _note(client: Client, reading: ReferenceReading, result: Replay) -> str | None:
    if client.reconnects:
        return "sends the request again when the body ends, unless the page closes it first"
    marker = reading.dialect.terminal if reading.dialect else None
    marked = reading.first(Kind.DONE) is not None or reading.first(Kind.ERROR) is not None
    if result.verdict is ClientVerdict.READS and marker and not marked:
        return f"ends as if all were well: it does not miss the end marker ({marker})"
    return None


def _replays(client: Client, stream: ReplayedStream, reading: ReferenceReading) -> list[Replay]:
    """Results for the body as it arrived, whole, and in single bytes; each with the offset of the difference."""
    exact = _judge(client, stream, reading, reading.by_line)
    results = []
    for cut, pieces in _cuts(stream, reading.body):
        result = _judge(client, stream, reading, pieces)
        results.append(structs.replace(exact if result.verdict is exact.verdict else result, cut=cut))
    return results


def _cuts(stream: ReplayedStream, body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    step = -(-len(stream.pieces) // MAX_PIECES)
    fewer = [b"".join(stream.pieces[at : at + step]) for at in range(0, len(stream.pieces), step or 1)]
    yield AS_ARRIVED, fewer
    yield WHOLE, [body]
    if len(body) <= MAX_SINGLE_BYTES:
        yield SINGLE, [body[at : at + 1] for at in range(len(body))]


def _judge(client: Client, stream: ReplayedStream, reading: ReferenceReading, pieces: Sequence[bytes]) -> Replay:
    dialect = None if reading.dialect is None else reading.dialect.name
    ran = run(client, Body(pieces, stream.media_type, reading.parsed, dialect), stream.ending)

    def says(verdict: ClientVerdict, reason: str | None = None, offset: int | None = None) -> Replay:
        quoted, mark = (None, None) if offset is None else excerpt(reading.body, offset)
        return Replay(
            verdict=verdict,
            cut=AS_ARRIVED,
            offset=offset,
            excerpt=quoted,
            mark=mark,
            reason=None if reason is None else printable(reason, 300),
        )

    if ran.how is How.REFUSED:
        return says(ClientVerdict.RAISES, ran.error, 0)
    error = reading.first(Kind.ERROR)
    reported = ran.how is How.REPORTED and error is not None and reading.offset(error) < ran.handed
    if ran.how in (How.RAISED, How.REPORTED) and not reported:
        return says(ClientVerdict.RAISES, ran.error, _raised_at(reading, ran))
    end = len(reading.body)
    if ran.how is How.BROKEN:
        return says(ClientVerdict.RAISES, f"the connection failed: {stream.detail or 'it was cut off'}", end)
    done = reading.first(Kind.DONE)
    if ran.how is How.WAITING and not (client.events and done is not None):
        marker = "" if done is None else f", though the end marker came at byte {reading.offset(done):,}"
        return says(ClientVerdict.HANGS, f"waits for the end of the body, which does not come{marker}", end)
    if client.gathers:
        if reported or (loss := gathered_loss(reading, ran.messages)) is None:
            return says(ClientVerdict.READS, f"tells its caller of the error: {ran.error}" if reported else None)
        return says(ClientVerdict.LOSES, *loss)
    lost, added = difference(reading, ran.messages, events=client.events, until=error if reported else None)
    if lost:
        event = lost[0].event
        message = None if lost[0].message is None else ran.messages[lost[0].message]
        why = ", and no blank line ends it" if event == reading.unended else ""
        more = f"; and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        what = f"event {event + 1:,} of {len(reading.events):,} {_fate(reading.events[event], message)}"
        reason = f"{what}: it carries {reading.told(event)}{why}{more}"
        return says(ClientVerdict.LOSES, reason, reading.parted(event, message))
    if added:
        kind, data = ran.messages[added[0]].type, ran.messages[added[0]].data
        what = f"data {printable(data, 60)!r}" if data else "empty data"
        more = f"; and {len(added) - 1:,} more" if len(added) > 1 else ""
        reason = f"hands on a message that the stream does not have, {printable(kind, 40)!r} with {what}{more}"
        return says(ClientVerdict.ADDS, reason, reading.acted_on(ran.came[added[0]]))
    if ran.how is How.WAITING:
        return says(ClientVerdict.READS, "its caller must stop at the end marker, for the body goes on")
    return says(ClientVerdict.READS, f"tells its caller of the error: {ran.error}" if reported else None)


def _fate(event: Event, message: Message | None) -> str:
    if message is None:
        return "is lost"
    if message.data == event.data:
        return f"arrives as {printable(message.type, 40)!r} instead of {printable(event.type, 40)!r}"
    return f"arrives as {printable(message.data, 60)!r}"


def _raised_at(reading: ReferenceReading, ran: Ran) -> int:
    offset = reading.acted_on(ran.handed)
    if ran.torn is None:
        return offset
    text, at = ran.torn
    start = reading.body.find(text, offset)
    return offset if start < 0 else start + at


def _bounded(stream: ReplayedStream) -> tuple[ReplayedStream | None, str | None]:
    """The stream cut after an event to at most MAX_BYTES and MAX_LINES, and a note of what was left out."""
    size = sum(map(len, stream.pieces))
    lines = sum(piece.count(b"\n") + piece.count(b"\r") for piece in stream.pieces)
    if size <= MAX_BYTES and lines <= MAX_LINES:
        return stream, None
    read = strict(_first(stream.pieces, MAX_BYTES), stream.media_type, None)
    kept = read.lines[:MAX_LINES]
    # An event ends with a blank line, a line of NDJSON does not.
    end = max((line.end for line in kept if not line.raw), default=kept[-1].end if kept else 0)
    if end == 0:
        return None, f"a body was left out: its first event is larger than {MAX_BYTES:,} bytes"
    caveat = f"of a body of {size:,} bytes only the first {end:,} were replayed"
    return stream._replace(pieces=list(_first(stream.pieces, end)), ending=Ending.EOF), caveat


def _first(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        if size > 0:
            yield piece[:size]
        size -= len(piece)
