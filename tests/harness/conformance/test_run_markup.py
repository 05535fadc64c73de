"""A relay that escapes text for HTML, in front of the mock."""

import json
from collections.abc import AsyncIterable
from html import escape

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
from tests.cases.server import Relay, Writer


class Escaping(Relay):
    """FAULT. It escapes the text of each token for HTML."""

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        rest = b""
        async for piece in pieces:
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                await writer.send(_escaped(event.decode()) + "\n\n")


def _escaped(event: str) -> str:
    payload = event.removeprefix("data: ")
    if payload == "[DONE]":
        return event
    chunk = json.loads(payload)
    for choice in chunk.get("choices", []):
        if "content" in choice["delta"]:
            choice["delta"]["content"] = escape(choice["delta"]["content"])
    return f"data: {json.dumps(chunk)}"


@pytest.mark.parametrize(("relay", "verdict"), [(Relay, Verdict.PASS), (Escaping, Verdict.FAIL)])
def test_text_that_is_escaped_for_html_is_one_finding(relay: type[Relay], verdict: Verdict) -> None:
    with MockServer(MockConfig()) as mock, relay(mock.url) as url:
        found = checked(mock, url)

    assert found["text.markup-verbatim"].verdict is verdict
    failed = {name for name, result in found.items() if result.verdict in (Verdict.FAIL, Verdict.WARN)}
    assert failed == ({"text.markup-verbatim"} if verdict is Verdict.FAIL else set())
    if verdict is Verdict.FAIL:
        assert found["text.markup-verbatim"].cause == "entities"


def checked(mock: MockServer, url: str) -> dict[str, CheckResult]:
    with StreamClient(read_timeout_s=10.0) as client, MockControl(mock.url) as control:
        selected = select(("text.*-roundtrip", "text.utf8-valid", "text.markup-verbatim", "framing", "security.sse-*"))
        checks = run.check(client, Target(url=url), selected, mock=control, pace=HURRIED)
    return {result.id: result for result in checks.results}
