"""From the payload to the report: dialects, verdicts of checks, replays by clients, text in reports."""

from contextlib import suppress
from typing import Final

import msgspec

from streamgauge.conformance.cases import HAPPY, Case, Observed, Position
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.clients import CLIENTS, event_source
from streamgauge.conformance.clients.base import Body, EmulatedError, Message, RefusedError, ReportedError
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import ChecksFile, Verdict
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.choice import Origin, choose
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.reports.junit import junit_xml
from streamgauge.reports.text import md, md_block, md_code
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, End, Read
from tests.builders import reference_eventstream as reference
from tests.fuzz.targets.bodies import WORDS, bodies
from tests.fuzz.targets.choices import Choices, Target, pieces
from tests.fuzz.targets.wire import HEADS

_ENDS: Final = (End.COMPLETE, End.CLOSED, End.RESET, End.TIMEOUT, End.CANCELLED, End.TOO_LARGE)
_PARTS: Final = 8


def dialect_readers(data: bytes) -> None:
    """Every dialect reads every payload, and the fast path for many gives what the path for one gives."""
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


def judgement(data: bytes) -> None:
    """From the wire to the report: a record that reads back, a verdict of each check, no control character."""
    choices = Choices(data, 7)
    wire = HEADS[choices.below(len(HEADS))] + choices.rest
    names = [None, *(dialect.name for dialect in dialects.DIALECTS)]
    name = names[choices.below(len(names))]
    end, way = _ENDS[choices.below(len(_ENDS))], choices.below(9)
    capture = played(wire, way, end, "GET" if choices.below(4) == 3 else "POST")
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


def played(wire: bytes, way: int, end: End, method: str) -> Capture:
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
    """An emulated client gives messages or one of its declared errors; EventSource gives what the reference gives."""
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
    """Foreign text in a report holds nothing that a terminal, a browser or Markdown would act on."""
    text = data.decode("utf-8", "surrogateescape")
    for shown in (md(text), md_code(text), md_block(text)):
        shown.encode()
        assert not any(ord(char) < 0x20 and char not in "\n\t" for char in shown)
    assert "<" not in md(text)


def _payloads() -> list[bytes]:
    payloads = [line.partition(b": ")[2] for body in bodies() for line in body.splitlines() if line[:5] == b"data:"]
    return [b"\0" + payload for payload in sorted(set(payloads))] + [b"error\0" + payloads[0]]


DIALECTS: Final = Target(dialect_readers, _payloads, WORDS)
JUDGEMENT: Final = Target(judgement, lambda: [bytes(7) + body for body in bodies()], WORDS, share=4, near=120)
REPLAYS: Final = Target(clients, lambda: [b"\0" + body for body in bodies()], WORDS)
TEXTS: Final = Target(texts, bodies, WORDS)
