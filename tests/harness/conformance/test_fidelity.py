"""Relays between the mock and the check: faithful ones, and ones that each change one thing on the way."""

import asyncio
import json
from collections.abc import AsyncIterable, Callable, Iterator
from typing import Any, ClassVar

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.shapes import HURRIED, SHAPES
from tests.cases.server import Relay, Request, Writer

FAITHFUL = dict.fromkeys(
    ("fidelity.cost-given", "fidelity.upstream-stopped", "fidelity.saved-whole", "fidelity.saved-part-marked"),
    Verdict.NOT_APPLICABLE,
)


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig()) as server:
        yield server


def checked(mock: MockServer, target: Target) -> dict[str, CheckResult]:
    with StreamClient(read_timeout_s=10.0) as client, MockControl(mock.url) as control:
        results = run.check(client, target, select(["fidelity"]), mock=control, pace=HURRIED).results
    assert [result.actual for result in results if result.verdict is Verdict.ERROR] == []
    return {result.id: result for result in results}


def objecting(found: dict[str, CheckResult]) -> dict[str, tuple[Verdict, str]]:
    unmet = (Verdict.FAIL, Verdict.WARN)
    return {name: (result.verdict, result.actual) for name, result in found.items() if result.verdict in unmet}


class Rewriting(Relay):
    """Changes the request, each piece of the stream, or the whole answer."""

    requested: ClassVar[Callable[[dict[str, Any]], None]] = staticmethod(lambda _: None)
    streamed: ClassVar[Callable[[bytes], bytes]] = staticmethod(lambda piece: piece)

    async def respond(self, request: Request, writer: Writer) -> None:
        if isinstance(request.body, dict):
            self.requested(request.body)
            request.raw = json.dumps(request.body).encode()
        await super().respond(request, writer)

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        async for piece in pieces:
            await writer.send(self.streamed(piece))


def test_a_faithful_relay_passes_every_check(mock: MockServer) -> None:
    with Relay(mock.url) as url:
        found = checked(mock, Target(url=url))

    assert {name: result.verdict for name, result in found.items()} == {
        name: FAITHFUL.get(name, Verdict.PASS) for name in found
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_no_check_accuses_a_faithful_relay_in_any_shape(mock: MockServer, shape: str) -> None:
    """Where a shape has no place for a field, the check does not apply."""

    class Faithful(Relay):
        path = SHAPES[shape].partition("?")[0]

    with Faithful(mock.url) as url:
        query = SHAPES[shape].partition("?")[1:]
        found = checked(mock, Target(url=url + "".join(query), dialect=shape))

    assert objecting(found) == {}
    assert found["fidelity.no-cache"].verdict is Verdict.PASS
    untested = {name for name, result in found.items() if result.verdict is Verdict.INCONCLUSIVE}
    assert untested <= {"fidelity.upstream-stopped"}
    for name in untested:  # the request has no field for a limit
        assert (found[name].actual, found[name].needs) == ("not tried: it takes minutes of waiting", "--long")


def test_the_mock_itself_has_nothing_between(mock: MockServer) -> None:
    found = checked(mock, Target(url=f"{mock.url}/v1/chat/completions"))

    assert {result.verdict for result in found.values()} == {Verdict.NOT_APPLICABLE}


def _drop_limit(body: dict[str, Any]) -> None:
    body.pop("max_tokens", None)


def _last_message(body: dict[str, Any]) -> None:
    body["messages"] = body["messages"][-1:]


def _no_system(body: dict[str, Any]) -> None:
    body["messages"] = [message for message in body["messages"] if message["role"] != "system"]


def _backwards(body: dict[str, Any]) -> None:
    body["messages"] = [*body["messages"][-2::-1], body["messages"][-1]]


def _one_text(body: dict[str, Any]) -> None:
    texts = [f"{message['role']}: {message['content']}" for message in body["messages"]]
    body["messages"] = [{"role": "user", "content": "\n".join(texts)}]


def _other_model(body: dict[str, Any]) -> None:
    body["model"] = "cheap-1"


def _uncounted(body: dict[str, Any]) -> None:
    body.pop("stream_options", None)


REQUESTS: list[tuple[Callable[[dict[str, Any]], None], dict[str, str]]] = [
    (_drop_limit, {"fidelity.limit-passed-on": "asked for at most 5 tokens, the upstream got no limit and generated "}),
    (_last_message, {"fidelity.history": "the earlier turn of the user and of the assistant did not reach the upstream",
                     "fidelity.system-prompt": "the instructions did not reach the upstream, which got user"}),
    (_no_system, {"fidelity.system-prompt": "the instructions did not reach the upstream, which got user, assistant"}),
    (_backwards, {"fidelity.history": "the turns reached the upstream in another order"}),
    (_one_text, {"fidelity.history": "an earlier turn reached the upstream with other words around it"}),
    (_other_model, {}),
    (_uncounted, {}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), REQUESTS)
def test_a_changed_request_is_found(
    mock: MockServer, change: Callable[[dict[str, Any]], None], expected: dict[str, str]
) -> None:
    class Changed(Rewriting):
        requested = staticmethod(change)

    with Changed(mock.url) as url:
        found = objecting(checked(mock, Target(url=url, model="dear-1")))

    assert found.keys() == expected.keys()
    for name, actual in expected.items():
        assert found[name][1].startswith(actual)


def _wrong_usage(piece: bytes) -> bytes:
    return piece.replace(b'"completion_tokens":', b'"completion_tokens":9')


def _always_stop(piece: bytes) -> bytes:
    return piece.replace(b'"tool_calls"}]', b'"stop"}]').replace(
        b'"finish_reason":"tool_calls"', b'"finish_reason":"stop"'
    )


def _misnamed(piece: bytes) -> bytes:
    return piece.replace(b'"model":"', b'"model":"gpt-9-')


ANSWERS = [
    (_wrong_usage, "fidelity.usage", Verdict.FAIL),
    (_always_stop, "fidelity.finish-reason", Verdict.WARN),
    (_misnamed, "fidelity.model-named", Verdict.WARN),
]


@pytest.mark.parametrize(("change", "name", "verdict"), ANSWERS)
def test_a_changed_answer_is_found(
    mock: MockServer, change: Callable[[bytes], bytes], name: str, verdict: Verdict
) -> None:
    class Changed(Rewriting):
        streamed = staticmethod(change)

    with Changed(mock.url) as url:
        found = objecting(checked(mock, Target(url=url)))

    assert {name: result[0] for name, result in found.items()} == {name: verdict}


def test_an_alias_and_a_count_of_its_own_are_told_and_accused_of_nothing(mock: MockServer) -> None:
    class Alias(Rewriting):
        requested = staticmethod(_other_model)

    class Uncounted(Rewriting):
        requested = staticmethod(_uncounted)

        async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
            async for piece in pieces:
                usage = b'data: {"choices":[],"object":"chat.completion.chunk","usage":{"completion_tokens":99}}\n\n'
                await writer.send(usage + piece if b"[DONE]" in piece else piece)

    with Alias(mock.url) as url:
        named = checked(mock, Target(url=url, model="dear-1"))["fidelity.model-named"]
    with Uncounted(mock.url) as url:
        counted = checked(mock, Target(url=url))["fidelity.usage"]

    assert (named.verdict, "the upstream got 'cheap-1'" in named.actual) == (Verdict.INFO, True)
    assert counted.verdict is Verdict.INFO
    assert counted.actual.startswith("the endpoint counts by itself: output 99")


def test_a_whole_answer_with_other_text_is_found(mock: MockServer) -> None:
    class Escaped(Relay):
        async def respond(self, request: Request, writer: Writer) -> None:
            if isinstance(request.body, dict) and request.body.get("stream") is False:
                request.raw = request.raw.replace(b"text=unicode", b"text=ascii")
            await super().respond(request, writer)

    with Escaped(mock.url) as url:
        found = objecting(checked(mock, Target(url=url)))

    assert found.keys() == {"fidelity.whole-equals-streamed"}


class Caching(Relay):
    """Answers a request that it has had from its memory."""

    head: ClassVar[tuple[str, ...]] = ()

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._kept: dict[bytes, list[bytes]] = {}
        self._keys: dict[Writer, bytes] = {}

    async def respond(self, request: Request, writer: Writer) -> None:
        self._keys[writer] = request.raw
        if request.raw in self._kept:
            await writer.head("200 OK", "text/event-stream", None, *self.head)
            for piece in self._kept[request.raw]:
                await writer.send(piece)
            await writer.end()
            return
        await super().respond(request, writer)

    async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
        key, kept = self._keys.pop(writer), []
        async for piece in pieces:
            kept.append(piece)
            await writer.send(piece)
        self._kept[key] = kept


class SaysSo(Caching):
    head = ("X-Cache: HIT",)


@pytest.mark.parametrize(("relay", "verdict"), [(Caching, Verdict.FAIL), (SaysSo, Verdict.WARN)])
def test_a_cached_answer_is_found(mock: MockServer, relay: type[Caching], verdict: Verdict) -> None:
    with relay(mock.url) as url:
        found = objecting(checked(mock, Target(url=url)))

    assert {name: result[0] for name, result in found.items()} == {"fidelity.no-cache": verdict}


class Ceiling(Relay):
    """Drops the limit, and enforces it itself: it ends the client's stream after 5 tokens."""

    path = "/v1/chat/completions"
    goes_on = False

    async def respond(self, request: Request, writer: Writer) -> None:
        limited = isinstance(request.body, dict) and request.body.pop("max_tokens", None) is not None
        request.raw = json.dumps(request.body).encode()
        if not limited:
            await super().respond(request, writer)
            return
        reader, upstream = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        head = f"POST {request.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        upstream.write(f"{head}Content-Length: {len(request.raw)}\r\n\r\n".encode() + request.raw)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await writer.head()
            tokens = 0
            while tokens < 5:
                line = await reader.readline()
                if line.startswith(b"data: "):
                    tokens += b'"content":"' in line and b'"content":""' not in line
                    await writer.send(line + b"\n")
            await writer.send("data: [DONE]\n\n")
            await writer.end()
            if self.goes_on:
                while await reader.read(65_536):
                    pass
        finally:
            upstream.close()


class Forgetful(Ceiling):
    goes_on = True


@pytest.mark.parametrize(
    ("relay", "verdict", "actual"),
    [
        (Ceiling, Verdict.PASS, "limit: the upstream was cancelled"),
        (Forgetful, Verdict.FAIL, "limit: the endpoint ended its stream, and the upstream went on to token"),
    ],
)
def test_an_endpoint_that_ends_a_stream_ends_the_upstreams(
    mock: MockServer, relay: type[Ceiling], verdict: Verdict, actual: str
) -> None:
    with relay(mock.url) as url:
        found = checked(mock, Target(url=url))["fidelity.upstream-stopped"]

    assert found.verdict is verdict
    assert found.actual.startswith(actual)


def test_the_price_in_a_header_is_told(mock: MockServer) -> None:
    class Priced(Relay):
        price: ClassVar[str] = "0.0021"

        async def relay(self, pieces: AsyncIterable[bytes], writer: Writer) -> None:
            await super().relay(pieces, writer)  # type: ignore[arg-type]

        async def respond(self, request: Request, writer: Writer) -> None:
            plain = writer.head

            async def head(status: str = "200 OK", media_type: str = "text/event-stream", body: bytes | None = None,
                           *extra: str) -> None:  # fmt: skip
                await plain(status, media_type, body, *extra, f"X-Litellm-Response-Cost: {self.price}")

            writer.head = head  # type: ignore[method-assign]
            await super().respond(request, writer)

    class Unpriced(Priced):
        price = "unknown"

    with Priced(mock.url) as url:
        assert checked(mock, Target(url=url))["fidelity.cost-given"].actual.endswith("gives the price 0.0021")
    with Unpriced(mock.url) as url:
        assert checked(mock, Target(url=url))["fidelity.cost-given"].actual == "x-litellm-response-cost is 'unknown'"
