"""Relays between the mock and the check, each with one defect that only certain upstreams bring to light."""

import re
import zlib
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from typing import Any

import brotli
import pytest
import zstandard

from streamgauge.conformance import run
from streamgauge.conformance.permissions import Allowed
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.scenarios.forms import FORMS
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.units import MS
from tests.builders.shapes import HURRIED
from tests.cases.programs import BlocksDecodedAlone
from tests.cases.server import Relay, Request, Writer

SIZES = (1, 3, 37, 1024, 4096, 65_536)


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig()) as server:
        yield server


def checked(mock: MockServer, url: str, patterns: Sequence[str]) -> dict[str, CheckResult]:
    """The results of some checks of a relay in front of the mock."""
    with StreamClient(read_timeout_s=10.0) as client, MockControl(mock.url) as control:
        checks = run.check(client, Target(url=url), select(patterns), mock=control, pace=HURRIED)
    results = checks.results
    return {result.id: result for result in results}


class FixedBlocks(Relay):
    """FAULT. It gathers blocks of `size` bytes, whatever the upstream's writes are, and decodes each alone."""

    def __init__(self, upstream: str, size: int) -> None:
        super().__init__(upstream)
        self._size = size

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            held += piece
            while len(held) >= self._size:
                await writer.send(held[: self._size].decode("utf-8", "replace"))
                held = held[self._size :]
        await writer.send(held.decode("utf-8", "replace"))


@pytest.mark.parametrize("size", SIZES)
def test_a_relay_that_decodes_each_piece_alone_loses_characters(mock: MockServer, size: int) -> None:
    with BlocksDecodedAlone(mock.url, size) as url:
        found = checked(mock, url, ("text.utf8-valid",))["text.utf8-valid"]

    assert found.verdict is Verdict.FAIL
    assert found.actual.startswith("U+FFFD came ")
    assert "first at character 4" in found.actual or size < 4


@pytest.mark.parametrize("size", [1024, 4096, 16_384, 65_536])
def test_a_relay_that_decodes_blocks_of_its_own_loses_characters(mock: MockServer, size: int) -> None:
    with FixedBlocks(mock.url, size) as url:
        found = checked(mock, url, ("text.utf8-valid",))["text.utf8-valid"]

    assert found.verdict is Verdict.FAIL
    assert found.actual.startswith("U+FFFD came ")


def test_a_relay_of_bytes_keeps_every_text(mock: MockServer) -> None:
    with Relay(mock.url) as url:
        found = checked(mock, url, ("text",))

    assert {name: result.actual for name, result in found.items() if result.verdict is Verdict.FAIL} == {}
    assert found["text.utf8-valid"].verdict is Verdict.PASS
    assert found["text.newline-roundtrip"].verdict is Verdict.PASS


def test_a_relay_that_makes_carriage_returns_line_feeds_is_warned(mock: MockServer) -> None:
    class LineFeeds(Relay):
        async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
            async for piece in pieces:
                await writer.send(piece.replace(rb"\r\n", rb"\n").replace(rb"\r", rb"\n"))

    with LineFeeds(mock.url) as url:
        found = checked(mock, url, ("text.newline-roundtrip",))["text.newline-roundtrip"]

    assert (found.verdict, found.actual) == (Verdict.WARN, "CR and CRLF in the text arrive as LF")


def test_an_answer_that_the_endpoint_limits_is_compared_as_far_as_the_mock_wrote_it(mock: MockServer) -> None:
    class Limited(Relay):
        async def respond(self, request: Request, writer: Writer) -> None:
            request.raw = request.raw.replace(b'"stream": true', b'"stream": true, "max_tokens": 5')
            await super().respond(request, writer)

    with Limited(mock.url) as url:
        found = checked(mock, url, ("text",))

    assert {name: result.actual for name, result in found.items() if result.verdict is Verdict.FAIL} == {}


class Compressing(Relay):
    """Compresses with one coding for clients that accept it, and flushes after every so many pieces (None: never)."""

    def __init__(self, upstream: str, coding: str, every: int | None) -> None:
        super().__init__(upstream)
        self._coding, self._every = coding, every
        self._accepted = False

    async def respond(self, request: Request, writer: Writer) -> None:
        self._accepted = self._coding in request.headers.get("accept-encoding", "")
        head = writer.head

        async def coded(status: str, media_type: str, body: bytes | None = None, *extra: str) -> None:
            more = (f"Content-Encoding: {self._coding}",) if self._accepted and body is None else ()
            await head(status, media_type, body, *extra, *more)

        writer.head = coded  # type: ignore[method-assign,assignment]
        await super().respond(request, writer)

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        if not self._accepted:
            await super().relay(pieces, writer)
            return
        compress, flush, finish = CODERS[self._coding]()
        number = 0
        async for piece in pieces:
            number += 1
            data = compress(piece) + (flush() if self._every and number % self._every == 0 else b"")
            if data:
                await writer.send(data)
        await writer.send(finish())


def gzip_coder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]:
    coder = zlib.compressobj(wbits=31)
    return coder.compress, lambda: coder.flush(zlib.Z_SYNC_FLUSH), coder.flush


def br_coder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]:
    coder = brotli.Compressor()
    return coder.process, coder.flush, coder.finish


def zstd_coder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]:
    coder = zstandard.ZstdCompressor().compressobj()
    return coder.compress, lambda: coder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), coder.flush


CODERS: dict[str, Any] = {"gzip": gzip_coder, "br": br_coder, "zstd": zstd_coder}
FLUSHES = "flush.compression-flushes"


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("every", [None, 2, 3])
def test_a_compressor_that_is_not_flushed_after_each_event_fails_in_lockstep(
    mock: MockServer, coding: str, every: int | None
) -> None:
    with Compressing(mock.url, coding, every) as url:
        found = checked(mock, url, (FLUSHES,))[FLUSHES]

    assert (found.verdict, found.actual) == (
        Verdict.FAIL, f"the compressor holds tokens back under {coding}: lockstep passes without it"
    )  # fmt: skip


@pytest.mark.parametrize("coding", CODERS)
def test_a_compressor_that_is_flushed_after_each_event_passes(mock: MockServer, coding: str) -> None:
    with Compressing(mock.url, coding, 1) as url:
        found = checked(mock, url, (FLUSHES,))[FLUSHES]

    assert found.verdict is Verdict.PASS


def test_a_relay_that_does_not_compress_has_no_compressor_to_flush(mock: MockServer) -> None:
    with Relay(mock.url) as url:
        assert checked(mock, url, (FLUSHES,))[FLUSHES].verdict is Verdict.NOT_APPLICABLE


EARLY = "flush.headers-early"


class HeadFirst(Relay):
    """Sends its head before it asks its upstream."""

    async def respond(self, request: Request, writer: Writer) -> None:
        if not (isinstance(request.body, dict) and request.body.get("stream")):
            await super().respond(request, writer)
            return
        head = writer.head
        await head()

        async def sent(*_: object) -> None:
            pass

        writer.head = sent  # type: ignore[method-assign,assignment]
        await super().respond(request, writer)


@pytest.mark.parametrize(("relay", "expected"), [(Relay, Verdict.WARN), (HeadFirst, Verdict.PASS)])
def test_a_hop_that_holds_its_head_until_the_upstream_s_head_is_told(
    mock: MockServer, relay: type[Relay], expected: Verdict
) -> None:
    """Both pass on an early head at once; only one of them sends a head while its upstream has sent none."""
    pace = HURRIED._replace(heartbeat_s=0.3)
    with relay(mock.url) as url, StreamClient() as client, MockControl(mock.url) as control:
        allowed = Allowed(long_ns=1200 * MS)
        checks = run.check(client, Target(url=url), select((EARLY,)), mock=control, pace=pace, allowed=allowed)
    (found,) = checks.results

    assert found.verdict is expected
    assert "the upstream's came after 8" in found.actual or expected is Verdict.PASS


FORMS_CHECKS = ("text.upstream-forms", "flush.upstream-forms")


class ByLine(Relay):
    """Reads the upstream's stream in whole lines that LF ends, as `keep` says."""

    def keep(self, line: bytes) -> bytes:
        return line

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            *lines, held = (held + piece).split(b"\n")
            if kept := b"".join(self.keep(line + b"\n") for line in lines):
                await writer.send(kept)
        if held:
            await writer.send(held)


class SpacedOnly(ByLine):
    """FAULT. It takes only lines that begin with `data: `."""

    def keep(self, line: bytes) -> bytes:
        return line if line.startswith(b"data: ") or not line.startswith(b"data") else b""


class DataFirst(Relay):
    """FAULT. It takes only events whose first line is data."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            *events, held = re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)", held + piece)
            for event in events:
                if event.startswith(b"data"):
                    await writer.send(event)
        await writer.send(held)


class WholeEvents(Relay):
    """FAULT. It passes on events that two LFs end."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            whole, found, held = (held + piece).rpartition(b"\n\n")
            if found:
                await writer.send(whole + found)
        if held:
            await writer.send(held)


class EventEachPiece(Relay):
    """FAULT. It takes each piece for one event: the others of a burst are lost, and so is an event that is cut."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        async for piece in pieces:
            event, found, _ = piece.partition(b"\n\n")
            if found:
                await writer.send(event + found)


class BurstsHeld(Relay):
    """FAULT. A piece with several events waits for the next one."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        held = b""
        async for piece in pieces:
            if held:
                await writer.send(held)
            held = piece if piece.count(b"\n\n") > 1 else b""
            if not held:
                await writer.send(piece)
        if held:
            await writer.send(held)


@pytest.mark.parametrize(
    ("relay", "check", "verdict", "forms"),
    [
        (SpacedOnly, "text.upstream-forms", Verdict.FAIL, ("no space after data:",)),
        (WholeEvents, "flush.upstream-forms", Verdict.FAIL, ("CRLF", "CR alone")),
        (BurstsHeld, "flush.upstream-forms", Verdict.FAIL, ("four events a chunk",)),
        (ByLine, "flush.upstream-forms", Verdict.WARN, ("CR alone",)),
        (DataFirst, "text.upstream-forms", Verdict.FAIL, ("id before data",)),
        (EventEachPiece, "text.upstream-forms", Verdict.FAIL, ("characters cut over chunks", "four events a chunk")),
    ],
)
def test_a_relay_that_reads_only_some_forms_of_a_stream_is_found(
    mock: MockServer, relay: type[Relay], check: str, verdict: Verdict, forms: tuple[str, ...]
) -> None:
    """The user does not start the mock in these forms: the directive asks for each."""
    with relay(mock.url) as url:
        found = checked(mock, url, FORMS_CHECKS)

    assert found[check].verdict is verdict
    assert all(form in found[check].actual for form in forms)
    assert all(result.verdict is not Verdict.FAIL for name, result in found.items() if name != check)


def test_a_relay_of_bytes_passes_in_every_form(mock: MockServer) -> None:
    with Relay(mock.url) as url:
        found = checked(mock, url, FORMS_CHECKS)

    assert {result.verdict for result in found.values()} == {Verdict.PASS}
    assert found["text.upstream-forms"].actual == f"the text arrives whole in {len(FORMS)} of {len(FORMS)} forms"


def test_what_is_held_in_the_usual_form_is_not_blamed_on_the_others(mock: MockServer) -> None:
    class HeldWhole(Relay):
        async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
            await writer.send(b"".join([piece async for piece in pieces]))

    with HeldWhole(mock.url) as url:
        found = checked(mock, url, FORMS_CHECKS)

    assert found["flush.upstream-forms"].verdict is Verdict.INCONCLUSIVE
    assert found["text.upstream-forms"].verdict is Verdict.PASS
