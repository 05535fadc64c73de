"""Promises, tested at servers that keep them and servers that do not."""

import asyncio
import itertools
import time
from collections import deque
from pathlib import Path

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.bill import bill
from streamgauge.conformance.permissions import NOTHING, Allowed
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.selection import select
from streamgauge.conformance.targets import load_targets
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.promise import Promise
from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from tests.builders.shapes import HURRIED
from tests.cases.server import Request, Service, Writer

EVERYTHING = Allowed(streams=20, big_prompts=True)
LIMITS = Promise(max_input=200, context=400, concurrent=3, rate="40/min", request_id=True, retry_after=True)


class Keeps(Service):
    """Accepts 200 characters, 3 streams at once and 40 requests a minute. Each answer has an id."""

    max_input = 200
    context_words = 400
    concurrent = 3
    rate = 40
    refusal = ("429 Too Many Requests", "Retry-After: 1")

    def __init__(self) -> None:
        self._open = self._count = 0
        self._ids = itertools.count()

    async def respond(self, request: Request, writer: Writer) -> None:
        plain, number = writer.head, next(self._ids)

        async def head(status: str = "200 OK", media_type: str = "text/event-stream", body: bytes | None = None,
                       *extra: str) -> None:  # fmt: skip
            await plain(status, media_type, body, *extra, *self.with_id(number))

        writer.head = head  # type: ignore[method-assign]
        prompt = request.prompt or ""
        # A prompt of many words is here the test of the context.
        too_long = len(prompt.split()) > self.context_words if " " in prompt else len(prompt) > self.max_input
        self._count += 1
        if too_long:
            await writer.head("400 Bad Request", "application/json", b'{"error":{"message":"too long"}}')
        elif self._open >= self.concurrent or self._count > self.rate:
            status, *extra = self.refusal
            await writer.head(status, "application/json", b'{"error":{"message":"later"}}', *extra)
        else:
            self._open += 1
            try:
                await super().respond(request, writer)
            finally:
                self._open -= 1

    def with_id(self, number: int) -> list[str]:
        return [f"X-Request-Id: {number}"]


class Longer(Keeps):
    max_input = 10_000


class Shorter(Keeps):
    max_input = 100


class Crowded(Keeps):
    concurrent = 2


class Unlimited(Keeps):
    concurrent = rate = 1_000


class Curt(Keeps):
    refusal = ("429 Too Many Requests",)


class Nameless(Keeps):
    def with_id(self, number: int) -> list[str]:  # noqa: ARG002
        return []


class Queue(Keeps):
    """The fourth stream waits for a place rather than be refused."""

    async def respond(self, request: Request, writer: Writer) -> None:
        while self._open >= self.concurrent:
            await asyncio.sleep(0.01)
        await super().respond(request, writer)


class Late(Keeps):
    """It refuses with an error in a stream, whose status is 200."""

    async def respond(self, request: Request, writer: Writer) -> None:
        plain = writer.head

        async def head(status: str = "200 OK", media_type: str = "text/event-stream", body: bytes | None = None,
                       *extra: str) -> None:  # fmt: skip
            if status[:3] in ("400", "429") and request.prompt and body is not None:
                await plain("200 OK", "text/event-stream", b"data: " + body + b"\n\n", *extra)
            else:
                await plain(status, media_type, body, *extra)

        writer.head = head  # type: ignore[method-assign]
        await super().respond(request, writer)


class Vague(Keeps):
    refusal = ("429 Too Many Requests", "Retry-After: soon")


class Few(Keeps):
    """A lower limit of requests, which also refuses streams at once."""

    rate = 20


def checked(server: Keeps, promise: Promise = LIMITS, allowed: Allowed = EVERYTHING) -> dict[str, CheckResult]:
    with server as url, StreamClient(read_timeout_s=10.0) as client:
        results = run.check(
            client, Target(url=url, promise=promise), select(["promise"]), allowed=allowed, pace=HURRIED
        )
    assert [result.actual for result in results.results if result.verdict is Verdict.ERROR] == []
    return {result.id.partition(".")[2]: result for result in results.results}


def broken(found: dict[str, CheckResult]) -> set[str]:
    return {name for name, result in found.items() if result.verdict is Verdict.FAIL}


def test_an_endpoint_that_keeps_its_promises_passes() -> None:
    found = checked(Keeps())

    kept = {name for name, result in found.items() if result.verdict is Verdict.PASS}
    assert kept == {"max-input", "context", "concurrent", "rate", "retry-after", "request-id"}
    assert found["max-input"].actual == "within: 200 characters accepted; beyond: refused with 400"
    assert found["concurrent"].actual == "3 streams at once accepted, the next refused with 429"
    assert {found[name].verdict for name in ("auth", "duration", "heartbeat")} == {Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Longer, {"max-input"}),
        (Shorter, {"max-input"}),
        (Crowded, {"concurrent"}),
        (Unlimited, {"concurrent", "rate"}),
        (Curt, {"retry-after"}),
        (Nameless, {"request-id"}),
        (Queue, {"concurrent"}),
        (Late, {"max-input", "context", "concurrent", "rate"}),
        (Vague, {"retry-after"}),
    ],
)
def test_a_broken_promise_is_found_and_no_other(server: type[Keeps], expected: set[str]) -> None:
    assert broken(checked(server())) == expected


def test_a_stream_that_waits_for_another_is_not_said_to_run_beside_it() -> None:
    assert "stream 4 is not refused: it waits" in checked(Queue())["concurrent"].actual


def test_a_limit_of_requests_is_not_taken_for_one_of_streams() -> None:
    found = checked(Few())

    assert found["rate"].verdict is Verdict.INCONCLUSIVE
    assert found["rate"].needs == "--long, with which it first waits for the length of the window"


@pytest.mark.parametrize(("limit", "expected"), [(3, set()), (2, {"rate"}), (4, {"rate"})])
def test_after_a_rest_of_the_window_the_limit_is_exact(limit: int, expected: set[str]) -> None:
    class Sliding(Keeps):
        concurrent = 50

        def __init__(self) -> None:
            super().__init__()
            self._times: deque[float] = deque()

        async def respond(self, request: Request, writer: Writer) -> None:
            now = time.monotonic()
            while self._times and self._times[0] < now - 1:
                self._times.popleft()
            self._count = self.rate if len(self._times) >= limit else 0
            if self._count == 0:
                self._times.append(now)
            await super().respond(request, writer)

    assert broken(checked(Sliding(), Promise(rate="3/s"))) == expected


def test_an_open_endpoint_breaks_the_promise_of_authentication() -> None:
    found = checked(Keeps(), Promise(auth=True))

    assert broken(found) == {"auth"}
    assert found["auth"].actual == "a request without any credential gets a stream"


def test_without_promises_nothing_is_asked_and_without_permission_nothing_costly() -> None:
    selected = select(["promise"])
    with Keeps() as url:
        names = [line.name for line in bill(Target(url=url), selected, EVERYTHING)]
        dear = [line.name for line in bill(Target(url=url, promise=LIMITS), selected, NOTHING)]
        allowed = {line.name: line for line in bill(Target(url=url, promise=LIMITS), selected, EVERYTHING)}

    assert not any(name.startswith("promise") for name in names)
    assert [name for name in dear if name.startswith("promise")] == ["promise-input"]
    assert (allowed["promise-concurrent"].requests, allowed["promise-rate"].requests) == (8, 81)
    assert allowed["promise-input"].prompt_tokens >= 100


def test_what_needs_permission_says_so() -> None:
    found = checked(Keeps(), allowed=NOTHING)

    assert found["concurrent"].verdict is Verdict.INCONCLUSIVE
    assert found["concurrent"].needs == "--allow-load"


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("max_imput = 5", "did you mean max_input?"),
        ("max-input = 5", "did you mean max_input?"),
        ('rate = "fast"', '"100/min"'),
        ("concurrent = 0", "1 to 10,000,000"),
        ('duration = "0s"', "duration"),
        ('heartbeat = "soon"', "heartbeat"),
        ('auth = "yes"', "bool"),
    ],
)
def test_a_promise_that_cannot_be_read_is_refused(tmp_path: Path, table: str, hint: str) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(f'url = "http://x/"\n[promise]\n{table}\n')

    with pytest.raises(UsageError) as refused:
        load_targets(file)

    assert hint in f"{refused.value.message} {refused.value.hint}"


def test_the_example_makes_every_promise() -> None:
    (target,) = load_targets(Path("examples/promise.toml"))

    assert all(getattr(target.promise, name) is not None for name in Promise.__struct_fields__)
