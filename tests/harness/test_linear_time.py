"""Eight times the input takes about eight times the work: no shape of an answer makes reading or judging it quadratic.

CPU time of this process, the least of several runs, and a wide margin: quadratic is 64 times, and 24 is let pass.
"""

import gc
import json
import time
import zlib
from collections.abc import Callable

import pytest

from streamgauge.conformance.cases import Case, Observed, Position
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.protocol import dialects
from streamgauge.protocol.encoding import Zlib
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import record_of
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, End, Head, Read
from tests.builders.retries import count_retry

SMALL = 1_500  # bytes
TIMES = 8
MARGIN = 3
TRIES = 4


def grows_linearly(work: Callable[[int], Callable[[], object]], size: int = SMALL) -> None:
    """`work(n)` returns the function to time, for an input of about n bytes."""
    ratios: list[float] = []
    for _ in range(TRIES):
        if ratios:
            count_retry(f"{TIMES} times the input took {ratios[-1]:.0f} times the work")
        ratios.append(_least(work(size * TIMES)) / _least(work(size)))
        if ratios[-1] < TIMES * MARGIN:
            return
    raise AssertionError(f"{TIMES} times the input took {min(ratios):.0f} times the work")


def _least(run: Callable[[], object], times: int = 1) -> float:
    best = float("inf")
    gc.disable()
    try:
        for _ in range(times):
            start = time.process_time()
            run()
            best = min(best, time.process_time() - start)
    finally:
        gc.enable()
    return best


def chunk(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [delta]}).encode() + b"\n\n"


def growing(size: int) -> bytes:
    """Text that repeats itself, as far as so many bytes can hold it."""
    out, text = b"", ""
    while len(out) < size:
        text += " word"
        out += b"data: " + text.encode() + b"\n\n"
    return out


def numbered(size: int, pattern: bytes) -> bytes:
    """Repetitions that are all different."""
    return b"".join(pattern % number for number in range(size // len(pattern)))


def filled(size: int, *parts: bytes) -> bytes:
    """Data of about so many bytes: each part as often as its share of them holds it."""
    return b"data: " + b"".join(part * (size // len(parts) // len(part)) for part in parts) + b"\n\n"


def after_a_token(size: int, part: bytes) -> bytes:
    """The same part again and again behind one token."""
    return b"data: a\n\n" + part * (size // len(part))


TOOL_CALL = b'data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"c","function":{"arguments":"{"}}]}}]}\n\n'
READ = {check.scenarios[0] for check in CHECKS.values()}
BODIES: dict[str, Callable[[int], bytes]] = {
    "one long line": lambda n: filled(n, b"x"),
    "a line without an end": lambda n: b"data: a\n\n" + filled(n, b"x")[:-2],
    "blank lines": lambda n: after_a_token(n, b"\n"),
    "carriage returns": lambda n: b"data: a\r\r" + b"\r" * n,
    "comments": lambda n: after_a_token(n, b": x\n"),
    "one event of many lines": lambda n: after_a_token(n, b"data: x\n") + b"\n",
    "one event without an end": lambda n: after_a_token(n, b"data: x\n"),
    "fields without data": lambda n: after_a_token(n, b"event: ping\n\n"),
    "unknown fields": lambda n: after_a_token(n, b"nonsense\n"),
    "ids": lambda n: numbered(n, b"id: %d\ndata: a\n\n"),
    "the same id": lambda n: after_a_token(n, b"id: 1\ndata: a\n\n"),
    "retries": lambda n: after_a_token(n, b"retry: 12x\ndata: a\n\n"),
    "a retry of many digits": lambda n: filled(n, b"9").replace(b"data", b"retry"),
    "event names": lambda n: numbered(n, b"event: e%d\ndata: a\n\n"),
    "tokens": lambda n: chunk(" word") * (n // 90) + b"data: [DONE]\n\n",
    "empty tokens": lambda n: chunk("") * (n // 90),
    "text that repeats itself": growing,
    "no JSON": lambda n: chunk("a") + b"data: {'a'}\n\n" * (n // 13),
    "errors": lambda n: chunk("a") + b'data: {"error":{"message":"m"}}\n\n' * (n // 34),
    "end markers": lambda n: chunk("a") + b"data: [DONE]\n\n" * (n // 14),
    "deep JSON": lambda n: filled(n, b"["),
    "flat JSON": lambda n: b"data: [" + b"1," * (n // 2) + b"1]\n\n",
    "many keys": lambda n: b"data: {" + numbered(n, b'"k%d":1,') + b'"a":1}\n\n',
    "many choices": lambda n: b'data: {"choices":[' + b'{"delta":{"content":"a"}},' * (n // 26) + b"{}]}\n\n",
    "tool calls": lambda n: numbered(n, TOOL_CALL),
    "invalid UTF-8": lambda n: after_a_token(n, b"data: \xff\xe2\x82\n\n"),
    "marks": lambda n: b"\xef\xbb\xbf" * (n // 3) + b"data: a\n\n",
    "lone surrogates": lambda n: b'data: "' + b"\\ud83c" * (n // 6) + b'"\n\n',
    # What the patterns for secrets and traces look for, but for its end.
    "words and dots": lambda n: filled(n, b"a."),
    "schemes": lambda n: filled(n, b"a+", b"://", b"a:"),
    "URLs": lambda n: filled(n, b"a://b:"),
    "paths": lambda n: filled(n, b"/a.b"),
    "frames": lambda n: filled(n, b"   at a.b("),
    "frames of scripts": lambda n: filled(n, b"at /", b":1"),
    "exceptions": lambda n: filled(n, b"System.", b"java."),
    "quotes": lambda n: filled(n, b'File "'),
    "keys": lambda n: filled(n, b"sk-", b"-eyJ", b"eyJaaaaaaaa."),
    "passwords": lambda n: filled(n, b"Password", b" ", b"Password = "),
    "bearers": lambda n: filled(n, b"Bearer", b" ", b"Bearer "),
    "error words": lambda n: b"data: a\n\n" + filled(n, b" ") + b"data: error: \n\n",
    "HTML": lambda n: filled(n, b"<b>"),
}


def captured(body: bytes, piece: int | None = None) -> Capture:
    capture = Capture(1, method="POST", url="http://x/", sent_ns=1, end=End.CLOSED)
    capture.head = Head(200, "", "1.1", (("Content-Type", "text/event-stream"),))
    size = piece or max(1, len(body))
    capture.body = [(n, body[at : at + size]) for n, at in enumerate(range(0, len(body), size))]
    capture.reads = [Read(2 + n, 2 + n, size) for n in range(len(capture.body) or 1)]
    return capture


@pytest.mark.parametrize("name", BODIES)
def test_reading_and_judging(name: str) -> None:
    def work(n: int) -> Callable[[], object]:
        capture = captured(BODIES[name](n))

        def run() -> None:
            interpret(capture)
            transcript = interpret(capture, keep=True)
            record_of(transcript, "id", url="http://x/")
            observed = [
                Observed(scenario=scenario, transcript=transcript, method="POST", expected_text="x", prompt="hi")
                for scenario in READ
            ]
            dialect = transcript.dialect or dialects.by_name("raw-text")
            judge_case(
                Case(observed=observed, dialect=dialect, method="POST", position=Position.SANDWICH), CHECKS.values()
            )

        return run

    grows_linearly(work)


@pytest.mark.parametrize("name", ["one long line", "carriage returns", "one event of many lines", "tokens", "marks"])
def test_reading_one_byte_at_a_time(name: str) -> None:
    def work(n: int) -> Callable[[], object]:
        capture = captured(BODIES[name](n), 1)
        return lambda: (interpret(capture), interpret(capture, keep=True))

    grows_linearly(work)


@pytest.mark.parametrize("piece", [16, 400])
def test_looking_for_the_read_of_every_event(piece: int) -> None:
    """Each event in reads of its own, and several events in a read."""

    def work(n: int) -> Callable[[], object]:
        transcript = interpret(captured(BODIES["tokens"](n), piece), keep=True)
        return lambda: [transcript.read_of(event.offset) for event in transcript.events]

    grows_linearly(work, size=100_000)


def fed(parts: list[bytes]) -> Callable[[], object]:
    def run() -> None:
        parser = ResponseParser(ExchangeState(Capture(1, url="http://x/", sent_ns=1)))
        for number, part in enumerate(parts):
            if parser.done:
                return
            if not parser.feed_plain([part], number):
                parser.feed(part, number)
        parser.eof()

    return run


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WIRES: dict[str, Callable[[int], list[bytes]]] = {
    "a head byte by byte": lambda n: [bytes([byte]) for byte in OK + b"X: " + b"y" * n],
    "many headers": lambda n: [OK + b"A: b\r\n" * n],
    "interim answers": lambda n: [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * n],
    "chunks of one byte": lambda n: [CHUNKED, *[b"1\r\nx\r\n"] * n],
    "chunks of one byte in one read": lambda n: [CHUNKED + b"1\r\nx\r\n" * n],
    "a chunk size that never ends": lambda n: [CHUNKED, *[b"0"] * n],
    "a chunk's extension": lambda n: [CHUNKED, b"1;", *[b"a"] * n],
    "trailers": lambda n: [CHUNKED + b"0\r\n", *[b"A: b\r\n"] * n],
    "a trailer that never ends": lambda n: [CHUNKED + b"0\r\nA:", *[b"b"] * n],
}


@pytest.mark.parametrize("name", WIRES)
def test_taking_an_answer_apart(name: str) -> None:
    grows_linearly(lambda n: fed(WIRES[name](n)))


def test_gzip_members_in_one_read() -> None:
    """Each begins where the one before it ended, and the rest must not be copied each time."""

    def work(n: int) -> Callable[[], object]:
        member = zlib.compressobj(wbits=31)
        data = (member.compress(b"x") + member.flush()) * (n // 20)
        return lambda: Zlib().feed(data)

    grows_linearly(work)
