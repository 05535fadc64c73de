"""What is fuzzed. Each target takes any bytes, and raises only when the harness is wrong about them."""

import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

import msgspec

from streamgauge.conformance.cases import Case, Observed, Position
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.clients import CLIENTS, event_source
from streamgauge.conformance.clients.base import Body, EmulatedError, Message, RefusedError, ReportedError
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import ChecksFile, Verdict
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.ordinary import HAPPY
from streamgauge.errors import LimitExceeded
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.choice import Origin, choose
from streamgauge.protocol.encoding import SUPPORTED, Brotli, Zlib, Zstd
from streamgauge.protocol.eventstream import MAX_RETRY_MS, Event
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.reports.junit import junit_xml
from streamgauge.reports.text import md, md_block, md_code
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, End, Framing, Read
from tests.builders import reference_eventstream as reference
from tests.builders.parsing import Parsed

_ENDS: Final = (End.COMPLETE, End.CLOSED, End.RESET, End.TIMEOUT, End.CANCELLED, End.TOO_LARGE)
_PARTS: Final = 8
_MAX_INFLATED: Final = 64 * 1024
_HEADS: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    b"HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n",
    b"",  # the input brings its own
)


class Choices:
    """The first bytes of an input decide how the rest is played, so that one input has one meaning."""

    def __init__(self, data: bytes, wanted: int) -> None:
        self._taken = iter(data[:wanted].ljust(wanted, b"\0"))
        self.rest = data[wanted:]

    def below(self, limit: int) -> int:
        return next(self._taken) % limit


def pieces(data: bytes, way: int) -> list[bytes]:
    """Whole, or in pieces of so many bytes, or in growing ones."""
    if way == 0:
        return [data]
    if way < 8:
        return [data[at : at + way] for at in range(0, len(data), way)]
    found, at = [], 0
    for size in count(1):
        if at >= len(data):
            return found
        found.append(data[at : at + size])
        at += size
    raise AssertionError


def eventstream(data: bytes) -> None:
    """Lexer and interpreter, in any pieces, mean what the reference says."""
    choices = Choices(data, 1)
    parsed, expected = Parsed(pieces(choices.rest, choices.below(9))), reference.parse(choices.rest)
    assert [event[:3] for event in parsed.events] == expected.events
    assert parsed.joined() == choices.rest
    wanted = expected.reconnection_time
    assert parsed.retry_ms == (None if wanted is None else min(wanted, MAX_RETRY_MS))


def dialect_readers(data: bytes) -> None:
    """Every reader takes every payload, and the fast way for many means what the way for one does."""
    kind, _, text = data.decode("utf-8", "replace").partition("\0")
    payloads = text.split("\0")
    for dialect in dialects.DIALECTS:
        found = []
        for payload in payloads:
            event = Event(kind or "message", payload, "", 0, 1, 0)
            deltas = dialect.deltas_in(event)
            assert all(isinstance(one, Delta) and isinstance(one.text, str) for one in deltas)
            dialect.sniff(event)
            found.append(deltas)
        if kind in ("", "message") and (texts := dialect.texts(payloads)) is not None:
            assert found == [[Delta(Kind.CONTENT, one)] for one in texts]
    choose(Origin(), [Event(kind or "message", payload, "", 0, 1, 0) for payload in payloads])


def response(data: bytes) -> None:
    """The response parser says the same of whole and of cut bytes, and of chunks taken the fast way."""
    choices = Choices(data, 3)
    wire = _HEADS[choices.below(len(_HEADS))] + choices.rest
    method = ("POST", "HEAD")[choices.below(2)]
    told = [_parsed([wire], method), _parsed(pieces(wire, 1 + choices.below(8)), method)]
    by_line = wire.split(b"\r\n")
    lines = [line + b"\r\n" for line in by_line[:-1]] + ([by_line[-1]] if by_line[-1] else [])
    told += [_parsed(lines, method), _parsed(lines, method, fast=True)]
    whole = _meaning(told[0])
    # What follows the end of an answer is an error of its own only where it comes in the same read.
    for other in told[1:]:
        assert _meaning(other) == whole, (_meaning(other), whole)


def _meaning(capture: Capture) -> tuple[object, ...]:
    # An answer without a body may bring one all the same, which the check of HEAD sees if it is in the same read.
    body = b"" if capture.framing is Framing.NONE else b"".join(data for _, data in capture.body)
    return (capture.head, capture.framing, body, capture.end)


def _parsed(parts: list[bytes], method: str, *, fast: bool = False) -> Capture:
    capture = Capture(1, method=method, url="http://x/", sent_ns=1)
    parser = ResponseParser(ExchangeState(capture))
    for number, part in enumerate(parts):
        if parser.done:
            break
        capture.reads.append(Read(2 + number, 2 + number, len(part)))
        if not (fast and parser.feed_plain([part], number)):
            parser.feed(part, number)
    parser.eof()
    assert capture.end is not None
    assert sum(len(data) for _, data in capture.body) <= sum(map(len, parts))
    return capture


def encodings(data: bytes) -> None:
    """Any bytes in any coding give bytes within the limit, ValueError or LimitExceeded; cut or not."""
    choices = Choices(data, 2)
    decoder = (Zlib, Brotli, Zstd)[choices.below(3)]
    way = choices.below(9)
    results = []
    for parts in ([choices.rest], pieces(choices.rest, way)):
        one, out, refused = decoder(_MAX_INFLATED), b"", False
        try:
            for part in parts:
                out += one.feed(part)
        except (ValueError, LimitExceeded):
            refused = True
        assert len(out) <= _MAX_INFLATED
        results.append((refused, out))
    (whole_refused, whole), (cut_refused, cut) = results
    assert whole_refused == cut_refused
    assert cut == whole if not whole_refused else cut.startswith(whole)


def judgement(data: bytes) -> None:
    """From the wire to the report: a record that reads back, a verdict of each check's own, nothing raw in a report."""
    choices = Choices(data, 7)
    wire = _HEADS[choices.below(len(_HEADS))] + choices.rest
    names = [None, *(dialect.name for dialect in dialects.DIALECTS)]
    name = names[choices.below(len(names))]
    end, way = _ENDS[choices.below(len(_ENDS))], choices.below(9)
    capture = _played(wire, way, end, "GET" if choices.below(4) == 3 else "POST")
    dialect = dialects.by_name(name) if name else None
    kept, fast = interpret(capture, dialect, keep=True), interpret(capture, dialect)
    assert fast.events == kept.events
    assert fast.deltas == kept.deltas
    assert fast.outcome is kept.outcome
    record = record_of(kept, "fuzz", url="http://x/")
    assert msgspec.json.decode(msgspec.json.encode(record), type=StreamRecord) == record
    results = judge_case(_case(kept, choices.below(_PARTS), said=choices.below(2) == 1), CHECKS.values())
    broken = [(one.id, one.actual) for one in results if one.verdict is Verdict.ERROR]
    assert broken == []
    for one in results:
        for told in (one.actual, *(part for item in one.evidence for part in (item.note, item.excerpt) if part)):
            assert told.isprintable(), (one.id, told)
            assert len(told) < 2_000, (one.id, len(told))
    file = ChecksFile(
        target="http://x/", dialect=name, position="direct", streamgauge="0", started="", strict=False, requests=1,
        summary={}, results=results,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(file), type=ChecksFile) == file
    junit_xml(file).encode()


def _played(wire: bytes, way: int, end: End, method: str) -> Capture:
    capture = Capture(1, method=method, url="http://x/", sent_ns=1)
    parser = ResponseParser(ExchangeState(capture))
    for number, part in enumerate(pieces(wire, way)):
        if parser.done:
            break
        capture.reads.append(Read(2 + number * 1_000_000, 2 + number * 1_000_000, len(part)))
        parser.feed(part, number)
    if end is End.CLOSED:
        parser.eof()
    elif capture.end is None:
        capture.end = end
    capture.end_ns = 3 + len(capture.reads) * 1_000_000
    return capture


def _case(transcript: Transcript, part: int, *, said: bool) -> Case:
    """The same answer to every request of some scenarios: the happy ones and a share of the others."""
    names = [name for n, name in enumerate(SCENARIOS) if name in HAPPY or n % _PARTS == part]
    observed = [
        Observed(
            scenario=scenario, transcript=transcript, method="POST", url="http://x/", prompt="hi",
            curl="curl http://x/", expected_text="x" if said else None, origin="https://evil.example",
        )
        for scenario in names
    ]  # fmt: skip
    return Case(
        observed=observed, method="POST", dialect=transcript.dialect, has_credential=True, position=Position.SANDWICH
    )


def clients(data: bytes) -> None:
    """An emulated client gives messages or raises what it says it raises; EventSource's are the reference's."""
    choices = Choices(data, 1)
    parts = pieces(choices.rest, choices.below(9))
    for client in CLIENTS:
        if client.package is not None:
            continue
        found: list[Message] = []
        with suppress(EmulatedError, ReportedError, RefusedError):
            found.extend(client.read(Body(parts)))
        if client is event_source.LISTENERS:
            assert [(one.type, one.data) for one in found] == [one[:2] for one in reference.parse(choices.rest).events]


def texts(data: bytes) -> None:
    """What reports do to foreign text leaves nothing that a terminal, a browser or a Markdown reader would act on."""
    text = data.decode("utf-8", "surrogateescape")
    for shown in (md(text), md_code(text), md_block(text)):
        shown.encode()
        assert not any(ord(char) < 0x20 and char not in "\n\t" for char in shown)
    assert "<" not in md(text)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "eventstream": eventstream,
    "dialects": dialect_readers,
    "response": response,
    "encodings": encodings,
    "judgement": judgement,
    "clients": clients,
    "texts": texts,
}


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with: what the examples of the checks are made of, dressed as each target wants it."""
    from tests.harness.conformance.examples import EXAMPLES  # it imports every tape

    bodies = sorted({tape.body for one in EXAMPLES for tape in one.tapes if 0 < len(tape.body) < 1_000})
    if name == "dialects":
        payloads = [line.partition(b": ")[2] for body in bodies for line in body.splitlines() if line[:5] == b"data:"]
        return [b"\0" + one for one in sorted(set(payloads))] + [b"error\0" + payloads[0]]
    if name == "encodings":
        packed = [zlib.compress(body) for body in bodies[:40]]
        return [b"\0\0" + one for one in packed] + [bytes([n, 1]) + bodies[0] for n in range(len(SUPPORTED))]
    if name == "response":
        chunked = [b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) for body in bodies]
        return [b"\1\0\1" + one for one in chunked] + [b"\6\0\1" + head + bodies[0] for head in _HEADS]
    return [bytes({"eventstream": 1, "clients": 1, "judgement": 7, "texts": 0}[name]) + body for body in bodies]
