"""Relays between the mock and the check, each with one defect that only certain upstreams bring to light."""

from collections.abc import AsyncIterable, Iterator, Sequence

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.shapes import HURRIED
from tests.cases.programs import BlocksDecodedAlone
from tests.cases.server import Relay, Writer

SIZES = (1, 3, 37, 1024, 4096, 65_536)


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig()) as server:
        yield server


def checked(mock: MockServer, url: str, patterns: Sequence[str]) -> dict[str, CheckResult]:
    """The results of some checks of a relay in front of the mock."""
    with StreamClient(read_timeout_s=10.0) as client, MockControl(mock.url) as control:
        results = run.check(client, Target(url=url), select(patterns), mock=control, pace=HURRIED).results
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
        async def respond(self, request, writer):  # type: ignore[no-untyped-def]
            request.raw = request.raw.replace(b'"stream": true', b'"stream": true, "max_tokens": 5')
            await super().respond(request, writer)

    with Limited(mock.url) as url:
        found = checked(mock, url, ("text",))

    assert {name: result.actual for name, result in found.items() if result.verdict is Verdict.FAIL} == {}
