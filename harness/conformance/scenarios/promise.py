"""Requests at the edge of what a target file promises: [promise] in examples/promise.toml.

A scenario without its promise costs nothing and sends nothing. Those that need many requests, or minutes, need
--allow-load and --long, as other scenarios do.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import Allowed, OptIn
from streamgauge.conformance.scenarios.concurrent import QUICK, WORKERS, concurrently, until_refused
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.units import MS, SECOND

FREE: Final = Cost(0, 0, longest_s=0)
HELD_TOKENS: Final = 40
LATE: Final = 1.25  # a promised time may be exceeded by a quarter
SPARE_S: Final = 5.0
HEARTBEATS: Final = 3  # promised heartbeats in the silence that provokes them
WORD: Final = "a "  # at least a token in every tokenizer, once it is a word of its own
WITHIN, BEYOND = "within", "beyond"


def _input_cost(allowed: Allowed) -> Cost:
    size = allowed.promise.max_input
    return FREE if size is None else Cost(2, 2, prompt_chars=2 * size + 1, output_tokens=None)


@scenario("promise-input", "a prompt of the promised length, and one character more", cost=_input_cost)
def promise_input(run: ScenarioRunner) -> Iterator[Observed]:
    most = run.allowed.promise.max_input
    if most is None or run.target.request().prompt is None:
        return
    for size, edge in ((most, WITHIN), (most + 1, BEYOND)):
        yield _prompt(run, "x", size, edge, f"{size:,} characters")


def _context_cost(allowed: Allowed) -> Cost:
    tokens = allowed.promise.context
    return FREE if tokens is None else Cost(2, 2, prompt_chars=3 * len(WORD) * tokens, output_tokens=None)


@scenario(
    "promise-context",
    "prompts of a quarter of the promised context, and of twice as much",
    opt_in_without_mock=(OptIn.BIG,),
    concurrency=Concurrency.COSTLY,
    cost=_context_cost,
)
def promise_context(run: ScenarioRunner) -> Iterator[Observed]:
    """Far from the edge, because tokenizers differ: a short word is one token, or with its blank two."""
    tokens = run.allowed.promise.context
    if tokens is None or run.target.request().prompt is None:
        return
    for words, edge in ((tokens // 4, WITHIN), (2 * tokens, BEYOND)):
        yield _prompt(run, WORD, words * len(WORD), edge, f"{words:,} words")


def _prompt(run: ScenarioRunner, text: str, size: int, edge: str, shown: str) -> Observed:
    """An answer to a prompt of exactly `size` characters, its directive included where there is room for one."""
    spec, _ = run.request(QUICK, prompt="")
    room = size - len(spec.prompt or "")
    if room < 0:
        run, room = run._replace(mock=None), size
    filled = (text * (room // len(text) + 1))[:room]
    spec, stream_id = run.request(QUICK, prompt=filled)
    seen = run.probe(spec, stream_id, variant=f"{edge}: {shown}")
    # Reports quote the request, so they get a short prompt in place of this one.
    short = run.target.request(f"({shown})")
    seen.size, seen.prompt, seen.request_body, seen.url, seen.curl = size, "", None, short.masked_url, short.curl()
    return seen


def _concurrent_cost(allowed: Allowed) -> Cost:
    count = allowed.promise.concurrent
    return FREE if count is None else Cost(count + 1, count + 1)


@scenario(
    "promise-concurrent",
    "one stream more at once than is promised",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.LAST,
    cost=_concurrent_cost,
)
def promise_concurrent(run: ScenarioRunner) -> Iterator[Observed]:
    count = run.allowed.promise.concurrent
    if count is None:
        return
    keys: Keys = {"tokens": HELD_TOKENS, "itl": f"{run.pace.hold_s * 1000 / HELD_TOKENS:.0f}ms"}

    def one(number: int, own: ScenarioRunner) -> list[Observed]:
        return [own.ask(keys, variant=f"stream {number} of {count + 1}")]

    yield from concurrently(run, [partial(one, number) for number in range(1, count + 2)])


def _rate_cost(allowed: Allowed) -> Cost:
    count = allowed.promise.requests
    return FREE if count is None else Cost(count + 1, count + 1)


@scenario(
    "promise-rate",
    "one request more than the promised rate allows",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.COSTLY,  # the very last: whatever came after it would meet the limit
    cost=_rate_cost,
)
def promise_rate(run: ScenarioRunner) -> Iterator[Observed]:
    """In quick succession, a few at a time; it ends with the first that is refused."""
    count = run.allowed.promise.requests
    if count is None:
        return
    most_at_once = min(WORKERS, run.allowed.promise.concurrent or WORKERS)
    yield from until_refused(run, count + 1, most_at_once, lambda seen: not seen.streams)


def _long_cost(promised_ns: int | None, times: float) -> Cost:
    return FREE if promised_ns is None else Cost(longest_s=promised_ns * times / SECOND + SPARE_S)


@scenario(
    "promise-duration",
    "an answer without an end, for the promised time and a quarter more",
    mock=True,
    opt_in=(OptIn.LONG,),
    concurrency=Concurrency.IDLE,
    cost=lambda allowed: _long_cost(allowed.promise.duration_ns, LATE),
)
def promise_duration(run: ScenarioRunner) -> Iterator[Observed]:
    promised_ns = run.allowed.promise.duration_ns
    if promised_ns is None:
        return
    every_ms = min(1000, max(10, promised_ns // MS // 60))
    yield _wait(run, {"script": "endless", "itl": f"{every_ms}ms"}, promised_ns * LATE / SECOND + SPARE_S)


@scenario(
    "promise-heartbeat",
    "a silence of three promised heartbeats in mid-stream",
    mock=True,
    opt_in=(OptIn.LONG,),
    concurrency=Concurrency.IDLE,
    cost=lambda allowed: _long_cost(allowed.promise.heartbeat_ns, HEARTBEATS),
)
def promise_heartbeat(run: ScenarioRunner) -> Iterator[Observed]:
    promised_ns = run.allowed.promise.heartbeat_ns
    if promised_ns is None:
        return
    silence_ms = HEARTBEATS * promised_ns // MS
    keys: Keys = {"tokens": 6, "itl": "5ms", "fault": f"stall:{silence_ms}ms@3"}
    seen = _wait(run, keys, silence_ms / 1000 + SPARE_S)
    seen.silence_ns = silence_ms * MS
    yield seen


def _wait(run: ScenarioRunner, keys: Keys, patience_s: float) -> Observed:
    """A stream, which may be silent for as long as it takes."""
    spec, stream_id = run.request(keys)
    with run.beside(timeout_s=patience_s) as patient:
        transcript = patient.client.run(spec, dialect=run.dialect, deadline_s=patience_s)
    return run.observed(spec, stream_id, transcript)
