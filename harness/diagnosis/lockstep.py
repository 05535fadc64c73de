"""Lockstep: the mock releases token k only after token k − 1 has arrived on our socket.

Buffering anywhere on the path shows as a token that does not arrive, however fast or slow the machine is. The only
threshold is how long to wait for a token. The amount released before the first data arrives is the size of the buffer.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial
from typing import Final, NamedTuple, Protocol
from uuid import uuid4

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target, directive
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close
from streamgauge.units import plural

TOKENS: Final = 8
STEP_TIMEOUT_S: Final = 2.0
MAX_FAILED_STEPS: Final = 2
MEASURE_TOKENS: Final = 4096
MEASURE_STEP_S: Final = 0.25
SETTLE_S: Final = 0.1
DEADLINE_S: Final = 60.0


class LockstepStep(NamedTuple):
    """One release. Counts are totals at the end of the step: tokens released, tokens arrived, body bytes arrived."""

    released: int
    seen: int
    timed_out: bool
    bytes_seen: int


class Lockstep(NamedTuple):
    """A whole lockstep stream. `from_mock`: the mock's ledger has the request, so the releases had an effect."""

    transcript: Transcript
    log: tuple[LockstepStep, ...]
    from_mock: bool = True

    @property
    def steps(self) -> int:
        return len(self.log)

    @property
    def is_evidence(self) -> bool:
        """Whether it says anything about the path: the answer was a stream, and it came from the mock."""
        return self.from_mock and self.transcript.is_stream and bool(self.log)

    @property
    def passed(self) -> bool:
        """Every released token arrived before the next was released."""
        return bool(self.log) and not any(step.timed_out for step in self.log)

    @property
    def one_behind(self) -> bool:
        """Each token arrived only with the release of the next."""
        return is_one_behind(self.log)

    @property
    def first_burst(self) -> int | None:
        """Body bytes that had arrived with the first token; None when no token arrived before the last release."""
        return next((step.bytes_seen for step in self.log if step.seen), None)

    def describe(self) -> str:
        """The outcome in a sentence."""
        late = next((step for step in self.log if step.timed_out), None)
        if late is None:
            return f"each of {self.steps} tokens arrived before the next was released"
        if self.one_behind and late.seen:
            return f"token {late.released} arrived only when token {late.released + 1} was released"
        released = f"{plural(late.released, 'token')} {'was' if late.released == 1 else 'were'} released"
        return f"{released}, but {late.seen} had arrived {STEP_TIMEOUT_S:.0f} s later"


class Step(Protocol):
    """One release, as `LockstepStep` has it."""

    @property
    def released(self) -> int: ...
    @property
    def seen(self) -> int: ...
    @property
    def timed_out(self) -> bool: ...


def is_one_behind(steps: Iterable[Step]) -> bool:
    """Whether each token arrived only with the release of the next.

    It takes two late steps to see that: in a single one, a path that holds everything looks the same. The first step is
    one of them: a path that loses a token later is one short from there on, and looks the same otherwise.
    """
    steps = list(steps)
    late = [step for step in steps if step.timed_out]
    return len(late) > 1 and steps[0].timed_out and all(step.seen == step.released - 1 for step in late)


def run_lockstep(
    client: StreamClient,
    target: Target,
    mock: MockControl,
    *,
    tokens: int = TOKENS,
    fault: str | None = None,
    headers: dict[str, str | None] | None = None,
    step_timeout_s: float = STEP_TIMEOUT_S,
) -> Lockstep:
    """Run one lockstep stream through `target`. Stops after two steps that time out."""
    stream_id = uuid4().hex[:12]
    order = directive(id=stream_id, script="lockstep", tokens=tokens, ttft="0", itl="0", fault=fault)
    spec = target.request(f"{target.prompt} {order}", headers=headers)
    played = play(client, spec, target.reader(), mock, stream_id, tokens, step_timeout_s)
    return played._replace(from_mock=bool(mock.entries(stream_id)))


def play(
    client: StreamClient,
    spec: RequestSpec,
    dialect: Dialect | None,
    mock: MockControl,
    stream_id: str,
    tokens: int,
    step_timeout_s: float = STEP_TIMEOUT_S,
    *,
    every: int = 1,
    failures: int = MAX_FAILED_STEPS,
) -> Lockstep:
    """Do the same as `run_lockstep`, with a request that already carries the directive. Stops after `failures`.

    Releases `every` so many tokens in a step, where the mock writes so many at a time. Such a step waits for one event
    only, because a relay may join tokens that come at once.
    """
    steps = [(step, step_timeout_s) for step in range(every, tokens + 1, every)]
    return _play(client, spec, dialect, mock, stream_id, tokens, steps, failures, every=every)


def measure_buffer(
    client: StreamClient, spec: RequestSpec, dialect: Dialect | None, mock: MockControl, stream_id: str
) -> int | None:
    """Measure the buffer of a path that failed lockstep: the body bytes of its first burst.

    None when nothing arrived before the last release. `spec` must ask for a lockstep stream of MEASURE_TOKENS tokens.
    Each release doubles the number of tokens, so 13 releases reach MEASURE_TOKENS.
    """
    steps = [(2**power, MEASURE_STEP_S) for power in range(MEASURE_TOKENS.bit_length())]
    return _play(client, spec, dialect, mock, stream_id, MEASURE_TOKENS, steps, len(steps), once=True).first_burst


def _play(
    client: StreamClient,
    spec: RequestSpec,
    dialect: Dialect | None,
    mock: MockControl,
    stream_id: str,
    tokens: int,
    steps: list[tuple[int, float]],
    failures: int,
    *,
    every: int = 1,
    once: bool = False,
) -> Lockstep:
    """For each (token, seconds) of `steps`, release up to this token and wait up to so many seconds until it arrives.

    Ends after `failures` steps that timed out; with `once`, already when the first data arrives.
    """
    seen = threading.Condition()
    progress = {"tokens": 0, "bytes": 0, "ended": 0}

    def on_token(reader: StreamReader) -> Close | None:
        with seen:
            progress["tokens"] = reader.token_events
            progress["bytes"] = sum(len(data) for _, data in reader.transcript.capture.body)
            seen.notify()
        return None

    answer: Future[Transcript] = Future()

    def read() -> None:
        try:
            answer.set_result(client.run(spec, dialect=dialect, deadline_s=DEADLINE_S, on_token=on_token))
        except Exception as error:  # the time is over, or this machine has no means: the caller raises it
            answer.set_exception(error)
        with seen:
            progress["ended"] = 1
            seen.notify()

    thread = threading.Thread(target=read, name="lockstep")
    thread.start()
    log: list[LockstepStep] = []
    try:
        for step, wait_s in steps:
            mock.release(stream_id, step)
            with seen:
                wanted = step // every
                seen.wait_for(partial(_arrived, progress, 1 if once else wanted), wait_s)
            if once and progress["tokens"]:
                time.sleep(SETTLE_S)  # one flush can arrive in several reads
            with seen:
                log.append(LockstepStep(step, progress["tokens"], progress["tokens"] < wanted, progress["bytes"]))
            if progress["ended"] or sum(item.timed_out for item in log) >= failures or (once and progress["tokens"]):
                break
    finally:
        mock.release(stream_id, tokens + 1)
        thread.join()
    return Lockstep(answer.result(), tuple(log))


def _arrived(progress: dict[str, int], tokens: int) -> bool:
    return progress["tokens"] >= tokens or bool(progress["ended"])
