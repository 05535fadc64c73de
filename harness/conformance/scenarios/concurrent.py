"""Many requests at once, and requests beyond usual limits. Those that send many run only with --allow-load."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final

from streamgauge.conformance import daemon_threads
from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import Allowed, OptIn
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, Part, scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, Keys, ScenarioRunner
from streamgauge.conformance.scenarios.second_user import as_second
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.reader import StreamReader
from streamgauge.transport.connection import Close
from streamgauge.units import SECOND

# Characters of a prompt: above the recommended 5,000, then beyond any sensible limit. In a URL: above the 8 KiB of
# Kestrel and nginx, then as many as httpx sends.
BODY_SIZES: Final[Sequence[int]] = (100_000, 1_000_000)
URL_SIZES: Final[Sequence[int]] = (32_000, 64_000)
MAX_OUTPUT: Final = 5  # tokens that `max-output` allows
TOKENS: Final = 40
ROUNDS: Final = 3  # requests of a burst, as a multiple of the streams allowed
WORKERS: Final = 4
QUICK: Final[Keys] = {"tokens": 1, "ttft": "0"}
CANARIES: Final = 8
SLOT_ROUNDS: Final = 4
FREE_AFTER: Final = 5 / 3  # 5 s, as streams last 3

PAIR: Final = "pair"
VARIANTS: Final = ("one", "the other")
LONG_S: Final = 5.0

Task = Callable[[ScenarioRunner], list[Observed]]


def _each(allowed: Allowed, times: int, second_users: int = 0) -> Cost:
    """The cost of so many requests for each stream that --max-streams allows."""
    count = (allowed.streams or 0) * times + (second_users if allowed.second_key is not None else 0)
    return Cost(count, count)


def concurrently(run: ScenarioRunner, tasks: Sequence[Task]) -> Iterator[Observed]:
    """The observations of all tasks, which run at the same time, each with a client of its own."""
    clients = [run.client.another() for _ in tasks]
    try:
        runners = [run._replace(client=client) for client in clients]
        yield from chain(
            *daemon_threads.results(
                daemon_threads.start([partial(task, own) for task, own in zip(tasks, runners, strict=True)])
            )
        )
    finally:
        for client in clients:
            run.client.exchanges += client.exchanges
            client.close()


@scenario(PAIR, "two ordinary streams at once", concurrency=Concurrency.SECOND, cost=Cost(2, 2))
def pair(run: ScenarioRunner) -> Iterator[Observed]:
    """Reads both to their end; long answers only until it is clear whether they come at the same time."""
    started: set[str] = set()
    usual = run.happy.transcript.capture if run.happy is not None else None
    long = usual is not None and ((usual.end_ns or usual.start_ns) - usual.start_ns) / SECOND > LONG_S

    def one_of_them(variant: str, own: ScenarioRunner) -> list[Observed]:
        def both_started(reader: StreamReader) -> Close | None:
            if reader.token_events:
                started.add(variant)
            return Close.FIN if long and len(started) == len(VARIANTS) else None

        spec, stream_id = own.request()
        transcript = own.client.run(spec, dialect=own.dialect, deadline_s=DEADLINE_S, on_token=both_started)
        return [own.observed(spec, stream_id, transcript, variant=variant)]

    yield from concurrently(run, [partial(one_of_them, variant) for variant in VARIANTS])


@scenario(
    "oversize",
    "prompts of growing length",
    opt_in_without_mock=(OptIn.BIG,),
    concurrency=Concurrency.COSTLY,
    cost=Cost(2, 2, prompt_chars=sum(BODY_SIZES)),
)
def oversize(run: ScenarioRunner) -> Iterator[Observed]:
    shown = run.target.request()
    if shown.prompt is None:
        return
    sizes = URL_SIZES if shown.body is None else BODY_SIZES
    for size in sizes:
        # A letter that a URL need not escape: others could take three times their size.
        spec, stream_id = run.request({"tokens": 1, "ttft": "0"}, prompt="x" * size)
        seen = run.probe(spec, stream_id, variant=f"{size:,} characters")
        # Reports quote the request, so they get a short prompt in place of this one.
        short = run.target.request(f"({size:,} characters)")
        seen.size, seen.prompt, seen.request_body, seen.url, seen.curl = size, "", None, short.masked_url, short.curl()
        yield seen
        if not seen.streams:
            return


@scenario("max-output", f"an answer of at most {MAX_OUTPUT} tokens", cost=Cost(output_tokens=MAX_OUTPUT))
def max_output(run: ScenarioRunner) -> Iterator[Observed]:
    if not run.target.takes_limit:
        return
    run = run._replace(target=run.target.as_spoken(run.dialect))  # the dialect knows where the limit goes
    spec, stream_id = run.request({"itl": "1ms"}, max_tokens=MAX_OUTPUT)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(spec, stream_id, transcript)


@scenario(
    "saturate",
    "many long streams at once",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.ALONE,
    parts=(Part("second-user", "another user, while one has many streams", (OptIn.SECOND_KEY,)),),
    cost=lambda allowed: _each(allowed, 1, second_users=1),
)
def saturate(run: ScenarioRunner) -> Iterator[Observed]:
    count = _streams(run)
    keys: Keys = {"tokens": TOKENS, "itl": f"{run.pace.hold_s * 1000 / TOKENS:.0f}ms"}

    def first(number: int, own: ScenarioRunner) -> list[Observed]:
        return [own.ask(keys, variant=f"stream {number} of {count}")]

    def second(own: ScenarioRunner) -> list[Observed]:
        time.sleep(run.pace.hold_s / 3)  # by now the first user's streams are under way, or refused
        spec, stream_id = own.request(QUICK, headers=as_second(run))
        return [own._replace(scenario="second-user").probe(spec, stream_id)]

    tasks: list[Task] = [partial(first, number) for number in range(1, count + 1)]
    yield from concurrently(run, [*tasks, second] if run.allowed.second_key is not None else tasks)


def until_refused(
    run: ScenarioRunner, count: int, workers: int, is_refused: Callable[[Observed], bool]
) -> Iterator[Observed]:
    """So many short requests in quick succession, `workers` at a time; no further one after the first refusal."""
    numbers = iter(range(1, count + 1))
    lock, refused = threading.Lock(), threading.Event()

    def worker(own: ScenarioRunner) -> list[Observed]:
        made: list[Observed] = []
        while not refused.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            spec, stream_id = own.request(QUICK)
            seen = own.probe(spec, stream_id, variant=f"request {number} of {count}")
            if is_refused(seen):
                refused.set()
            made.append(seen)
        return made

    yield from concurrently(run, [worker] * workers)


def _is_refused(seen: Observed) -> bool:
    """Some applications refuse with an error event in a 200."""
    return not seen.streams or seen.transcript.first(Kind.ERROR) is not None


@scenario(
    "burst",
    "many short requests in quick succession",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.ALONE,
    cost=lambda allowed: _each(allowed, ROUNDS),
)
def burst(run: ScenarioRunner) -> Iterator[Observed]:
    yield from until_refused(run, _streams(run) * ROUNDS, WORKERS, _is_refused)


@scenario(
    "canaries",
    "8 streams at once, each with a word of its own",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.ALONE,
    cost=Cost(CANARIES, CANARIES),
)
def canaries(run: ScenarioRunner) -> Iterator[Observed]:
    count = min(CANARIES, _streams(run))

    def one(number: int, own: ScenarioRunner) -> list[Observed]:
        canary = f"canary{number}{time.time_ns() % 1_000_000:06d}"
        prompt = f"Repeat the word {canary} ten times, with spaces between, and say nothing else."
        spec, stream_id = own.request({"text": "id", "tokens": TOKENS, "itl": "10ms"}, prompt=prompt)
        transcript = own.client.run(spec, dialect=own.dialect, deadline_s=DEADLINE_S)
        seen = own.observed(spec, stream_id, transcript, variant=f"stream {number} of {count}")
        seen.expected_text = stream_id or canary
        return [seen]

    yield from concurrently(run, [partial(one, number) for number in range(1, count + 1)])


@scenario(
    "slots",
    "many streams at once, left and opened again",
    opt_in=(OptIn.LOAD,),
    concurrency=Concurrency.ALONE,
    cost=lambda allowed: _each(allowed, SLOT_ROUNDS),
)
def slots(run: ScenarioRunner) -> Iterator[Observed]:
    """As many streams as allowed, all left; the same again, each time when their slots should be free."""
    count, patience_s = _streams(run), run.pace.hold_s / 3

    def leaves(number: int, turn: int, own: ScenarioRunner) -> list[Observed]:
        spec, stream_id = own.request({"tokens": 300, "itl": f"{run.pace.hold_s * 10:.0f}ms"})
        how = (patience_s, Close.RST if number % 2 else Close.FIN)
        transcript = own.client.run(spec, dialect=own.dialect, deadline_s=DEADLINE_S, leave_after=how)
        variant = f"round {turn} of {SLOT_ROUNDS}, stream {number} of {count}"
        return [own.observed(spec, stream_id, transcript, variant=variant)]

    for turn in range(1, SLOT_ROUNDS + 1):
        seen = list(concurrently(run, [partial(leaves, number, turn) for number in range(1, count + 1)]))
        for one in seen:
            one.size = turn
        yield from seen
        if turn < SLOT_ROUNDS:
            time.sleep(run.pace.hold_s * FREE_AFTER)


def _streams(run: ScenarioRunner) -> int:
    assert run.allowed.streams is not None
    return run.allowed.streams
