"""Promises, tested at servers that keep them and servers that do not."""

import itertools
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
    ],
)
def test_a_broken_promise_is_found_and_no_other(server: type[Keeps], expected: set[str]) -> None:
    assert broken(checked(server())) == expected


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
    assert (allowed["promise-concurrent"].requests, allowed["promise-rate"].requests) == (4, 41)
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
