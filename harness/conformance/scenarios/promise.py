"""Requests at the edge of what a target file promises: [promise] in examples/promise.toml.

A scenario without its promise costs nothing and sends nothing. Those that need many requests, or minutes, need
--allow-load and --long, as other scenarios do.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import Allowed, OptIn
from streamgauge.conformance.scenarios.concurrent import QUICK, WORKERS, concurrently, until_refused
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, Part, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.units import MS, SECOND

FREE: Final = Cost(0, 0, longest_s=0)
HELD_TOKENS: Final = 40
LATE: Final = 1.25  # a promised time may be exceeded by a quarter
SPARE_S: Final = 5.0
MOST_ROUNDS: Final = 2
A_LITTLE_MORE: Final = 1.05  # of the window, so that it is over
HEARTBEATS: Final = 3  # promised heartbeats in the silence that provokes them
WORD: Final = "a "  # at least a token in every tokenizer, once it is a word of its own
# A model refuses what is beyond its context, which an application may rely on; the mock has no such limit by itself.
TOO_LONG: Final[Keys] = {**QUICK, "fault": "context-length"}
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
    for words, edge, keys in ((tokens // 4, WITHIN, QUICK), (2 * tokens, BEYOND, TOO_LONG)):
        yield _prompt(run, WORD, words * len(WORD), edge, f"{words:,} words", keys)


def _prompt(run: ScenarioRunner, text: str, size: int, edge: str, shown: str, keys: Keys = QUICK) -> Observed:
    """An answer to a prompt of exactly `size` characters, its directive included where there is room for one."""
    spec, _ = run.request(keys, prompt="")
    room = size - len(spec.prompt or "")
    if room < 0:
        run, room = run._replace(mock=None), size
    filled = (text * (room // len(text) + 1))[:room]
    spec, stream_id = run.request(keys, prompt=filled)
    # Read to its end: a stream that is left may still keep the endpoint busy when the next prompt comes.
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=run.deadline_s)
    seen = run.observed(spec, stream_id, transcript, variant=f"{edge}: {shown}")
    # Reports quote the request, so they get a short prompt in place of this one.
    short = run.target.request(f"({shown})")
    seen.size, seen.prompt, seen.request_body, seen.url, seen.curl = size, "", None, short.masked_url, short.curl()
    return seen


def is_refused(seen: Observed) -> bool:
    """Whether there is no stream, or one that begins with an error: some applications refuse so, in a 200."""
    return not seen.streams or (seen.failed_by_error and not seen.transcript.tokens)


def _concurrent_cost(allowed: Allowed) -> Cost:
    """Twice, because as many requests are sent one after another where too few streams ran at once."""
    count = allowed.promise.concurrent
    return FREE if count is None else Cost(2 * (count + 1), 2 * (count + 1))


@scenario(
    "promise-concurrent",
    "one stream more at once than is promised",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.LAST,
    parts=(Part("promise-in-turn", "as many requests one after another"),),
    cost=_concurrent_cost,
)
def promise_concurrent(run: ScenarioRunner) -> Iterator[Observed]:
    """Where too few get a stream at once, as many in turn show whether the limit is one of requests."""
    count = run.allowed.promise.concurrent
    if count is None:
        return
    keys: Keys = {"tokens": HELD_TOKENS, "itl": f"{run.pace.hold_s * 1000 / HELD_TOKENS:.0f}ms"}

    def one(number: int, own: ScenarioRunner) -> list[Observed]:
        return [own.ask(keys, variant=f"stream {number} of {count + 1}")]

    seen = list(concurrently(run, [partial(one, number) for number in range(1, count + 2)]))
    yield from seen
    if sum(not is_refused(one) for one in seen) < count and all(one.answered for one in seen):
        yield from until_refused(run._replace(scenario="promise-in-turn"), count + 1, 1, is_refused)


def _rate_cost(allowed: Allowed) -> Cost:
    """Twice as many as promised and one more prove that nothing is refused, even if a window turns meanwhile. Where
    there is time for a rest, a second try excludes such a turn.
    """
    count = allowed.promise.requests
    if count is None:
        return FREE
    times = MOST_ROUNDS if _rest_s(allowed) else 1
    return Cost(times * (2 * count + 1), times * (2 * count + 1))


def _rest_s(allowed: Allowed) -> float:
    """A window of the promised rate, where the caller allows to wait so long; else 0."""
    window_s = allowed.promise.window_s or 0
    return window_s * A_LITTLE_MORE if window_s <= 1 or window_s * SECOND <= (allowed.long_ns or 0) else 0.0


@scenario(
    "promise-rate",
    "as many requests as the promised rate allows, and more",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.COSTLY,  # the very last: whatever came after it would meet the limit
    cost=_rate_cost,
)
def promise_rate(run: ScenarioRunner) -> Iterator[Observed]:
    """In quick succession, a few at a time; it ends with the first that is refused."""
    count = run.allowed.promise.requests
    if count is None:
        return
    # A stream that was left may keep its place for a while: with half of the places none is refused for that.
    most_at_once = max(1, min(WORKERS, (run.allowed.promise.concurrent or 2 * WORKERS) // 2))
    rest_s = _rest_s(run.allowed)
    for turn in range(1, MOST_ROUNDS + 1 if rest_s else 2):
        time.sleep(rest_s)
        seen = list(until_refused(run, 2 * count + 1, most_at_once, is_refused))
        for one in seen:
            one.size, one.silence_ns = turn, round(rest_s * SECOND)
        yield from seen
        accepted = sum(not is_refused(one) for one in seen)
        if accepted <= count or accepted == len(seen):
            return


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
    "a silence of three promised heartbeats before the first token, and one in mid-stream",
    mock=True,
    opt_in=(OptIn.LONG,),
    concurrency=Concurrency.IDLE,
    cost=lambda allowed: (
        _long_cost(allowed.promise.heartbeat_ns, HEARTBEATS)._replace(requests=2, answers=2)
        if allowed.promise.heartbeat_ns is not None
        else FREE
    ),
)
def promise_heartbeat(run: ScenarioRunner) -> Iterator[Observed]:
    promised_ns = run.allowed.promise.heartbeat_ns
    if promised_ns is None:
        return
    silence_ms = HEARTBEATS * promised_ns // MS
    for variant, keys in (
        ("before the first token", {"ttft": f"{silence_ms}ms"}),
        ("in mid-stream", {"fault": f"stall:{silence_ms}ms@3"}),
    ):
        seen = _wait(run, {"tokens": 6, "itl": "5ms", **keys}, silence_ms / 1000 + SPARE_S)
        seen.variant, seen.silence_ns = variant, silence_ms * MS
        yield seen


def _wait(run: ScenarioRunner, keys: Keys, patience_s: float) -> Observed:
    """A stream, which may be silent for as long as it takes."""
    spec, stream_id = run.request(keys)
    with run.beside(timeout_s=patience_s) as patient:
        transcript = patient.client.run(spec, dialect=run.dialect, deadline_s=patience_s)
    return run.observed(spec, stream_id, transcript)
