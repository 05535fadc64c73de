"""Applications that save what they stream: well, as if every part were whole, too early, and never."""

import json
from collections.abc import AsyncIterable, Iterator
from typing import Any

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.bill import bill
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.shapes import HURRIED
from tests.builders.together import side_by_side, together
from tests.cases.server import Relay, Request, Writer


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig()) as server:
        yield server


class Saves(Relay):
    """Keeps each question and answer, with how the answer ended. `GET /state` shows them."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.messages: list[dict[str, Any]] = []

    def save(self, text: str, *, whole: bool) -> None:
        self.messages.append({"role": "assistant", "text": text, "status": "complete" if whole else "partial"})

    async def respond(self, request: Request, writer: Writer) -> None:
        if request.path == "/state":
            await writer.head("200 OK", "application/json", json.dumps({"messages": self.messages}).encode())
            return
        self.messages.append({"role": "user", "text": request.prompt})
        await super().respond(request, writer)

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        body, whole = b"", False
        try:
            async for piece in pieces:
                body += piece
                await writer.send(piece)
            whole = b"[DONE]" in body
        finally:
            self.save(self.text(body), whole=whole)

    def text(self, body: bytes) -> str:
        texts = []
        for line in body.decode().splitlines():
            if line.startswith("data: {") and line.endswith("}"):
                choices = json.loads(line.removeprefix("data: ")).get("choices")
                texts += [choices[0]["delta"].get("content") or ""] if choices else []
        return "".join(texts)


class Unmarked(Saves):
    def save(self, text: str, *, whole: bool) -> None:  # noqa: ARG002
        super().save(text, whole=True)


class OnlyWhole(Saves):
    def save(self, text: str, *, whole: bool) -> None:
        if whole:
            super().save(text, whole=whole)


class TooEarly(Saves):
    def text(self, body: bytes) -> str:
        return super().text(body)[:40]


class Never(Saves):
    def save(self, text: str, *, whole: bool) -> None:
        pass


def checked(mock: MockServer, server: Saves, state: str = "/state") -> dict[str, CheckResult]:
    with server as url, StreamClient(read_timeout_s=10.0) as client, MockControl(mock.url) as control:
        target = Target(url=url, state_url=url.replace("/v1/chat/completions", state))
        results = run.check(client, target, select(["fidelity.saved*"]), mock=control, pace=HURRIED).results
    assert [result.actual for result in results if result.verdict is Verdict.ERROR] == []
    return {result.id.partition(".saved-")[2]: result for result in results}


# By application: the verdicts on a whole answer and on a part of one.
EXPECTED: dict[type[Saves], tuple[str, str | None]] = {
    Saves: ("pass", "pass"),
    OnlyWhole: ("pass", "pass"),
    Unmarked: ("pass", "warn"),
    TooEarly: ("fail", None),
    Never: ("fail", "inconclusive"),
}


def test_what_an_application_saves(mock: MockServer) -> None:
    """Each application gets 10 s to save, so they get them side by side."""
    results = side_by_side(lambda server: checked(mock, server(mock.url)), EXPECTED)

    with together() as case:
        for (server, (whole, part)), found in zip(EXPECTED.items(), results, strict=True):
            with case(server.__name__):
                assert found["whole"].verdict == whole, found["whole"].actual
                assert part is None or found["part-marked"].verdict == part, found["part-marked"].actual


def test_a_wrong_url_of_the_state_accuses_nobody(mock: MockServer) -> None:
    class Elsewhere(Saves):
        async def respond(self, request: Request, writer: Writer) -> None:
            if request.path == "/other":
                await writer.head("200 OK", "application/json", b"[]")
                return
            await super().respond(request, writer)

    found = checked(mock, Elsewhere(mock.url), "/other")

    assert {result.verdict for result in found.values()} == {Verdict.INCONCLUSIVE}
    assert "--state-url" in (found["whole"].needs or "")


def test_without_a_url_of_the_state_nothing_is_asked() -> None:
    target = Target(url="http://x/v1/chat/completions", mock="http://m")
    named = Target(url="http://x/v1/chat/completions", mock="http://m", state_url="http://x/state")

    assert "saved" not in [line.name for line in bill(target, select(["fidelity"]))]
    assert "saved" in [line.name for line in bill(named, select(["fidelity"]))]
