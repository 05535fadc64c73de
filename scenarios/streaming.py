"""The user that scenarios derive from: streams through the capture transport, writes a record for each stream."""

import gc
import inspect
import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import gevent
from locust import User, events
from locust.exception import StopUser

from streamgauge.endpoint.client import OnToken, StreamClient
from streamgauge.endpoint.target import Target, directive
from streamgauge.endpoint.target_input import check_url
from streamgauge.errors import UsageError
from streamgauge.loadgen.job import given_prompts, given_target
from streamgauge.loadgen.prompts import Prompt, PromptPlan, PromptSource, source
from streamgauge.loadgen.workload import Leave
from streamgauge.metrics.facts import ttft_ns
from streamgauge.metrics.process_stats import PERIOD_NS
from streamgauge.metrics.validity import doubtful
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.record import StreamRecord, Waits, record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.rundir.runs import Recorder
from streamgauge.scenarios.epoll_collector import looked_before, watch
from streamgauge.scenarios.loop_lag import Heartbeat
from streamgauge.scenarios.record_channel import Shipper, shipper
from streamgauge.scenarios.run import WORKLOAD, began_ns, is_over
from streamgauge.scenarios.streams_tab import seen
from streamgauge.transport.connection import Close
from streamgauge.transport.request import PreparedRequest
from streamgauge.units import MS, SECOND

DEFAULT_PATH = "/v1/chat/completions"


class StreamFailed(Exception):  # noqa: N818 - Locust shows the name
    """What Locust shows for a stream that was not ok."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any) -> None:
    parser.add_argument("--run-dir", default="runs/locust", help="Where the stream records go (default: %(default)s)")


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _spare_the_collector(**_: Any) -> None:
    """A stream is thousands of small tuples without a cycle; looking through them all would cost half of each token."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _know_the_sources(**_: Any) -> None:
    """Locust asks for its caller's source when it stops: tens of ms the first time, in which no stream is read."""
    inspect.getframeinfo(inspect.stack()[1][0])


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _end(**_: Any) -> None:
    """Tells a process that ends in order from one that was killed."""
    if StreamingUser.recorder is not None:
        StreamingUser.recorder.end()


class Prepared(NamedTuple):
    """A stream that is about to be asked for. `intended_ns` is when an open loop wants it to start."""

    stream_id: str
    asking: PreparedRequest
    on_token: OnToken | None
    intended_ns: int | None
    prompt: Prompt


class StreamingUser(User):
    """One user with one connection. `stream` is what a task calls."""

    abstract = True
    recorder: Recorder | Shipper | None = None  # one a process
    _heartbeat: Heartbeat | None = None
    _numbers: Iterator[int] = itertools.count()
    _prompts: PromptSource | None = None
    _turns = itertools.count()

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.target = _target(self.host or environment.host)
        self.reader = self.target.reader()
        self.client = StreamClient.to(self.target, watch=watch)
        self._name = f"{environment.runner.worker_index}/{next(StreamingUser._numbers)}"
        self._random = random.Random(f"{WORKLOAD.seed}/user/{self._name}")
        self._asked = itertools.count()
        if StreamingUser.recorder is None:
            directory = Path(environment.parsed_options.run_dir)
            StreamingUser.recorder = shipper() or Recorder(directory)
            # The run directory of a remote worker's master is on another machine.
            StreamingUser._heartbeat = Heartbeat(None if shipper() else directory)
        self._recorder = StreamingUser.recorder
        if StreamingUser._prompts is None:  # before any stream, for a long file takes a while to read
            StreamingUser._prompts = source(given_prompts() or PromptPlan(text=self.target.prompt))

    def on_start(self) -> None:
        # Locust spawns in batches; users that start in the same instant would measure each other's start.
        gevent.sleep(self._random.random())

    def wait_time(self) -> float:
        """Seconds between two tasks: the think time."""
        return WORKLOAD.think.draw_s(self._random) if WORKLOAD.think else 0.0

    def on_stop(self) -> None:
        self.client.close()

    def stream(self, prompt: str | None = None) -> StreamRecord:
        """Ask once, read to the end, and record it; the user stops when the run is over."""
        if is_over():
            raise StopUser
        record = self.ask(self.client, self.prepare(prompt, name=f"{self._name}/{next(self._asked)}"))
        if record.outcome in (Outcome.CONNECT_ERROR, Outcome.HTTP_ERROR):
            gevent.sleep(0.5)  # an endpoint that is down, or full, must not turn users into a busy loop
        return record

    @property
    def prompts(self) -> PromptSource:
        """Where the prompts of this run come from."""
        prompts = StreamingUser._prompts
        assert prompts is not None
        return prompts

    def prompt(self) -> Prompt:
        """The next one. The processes of a run take turns: none asks what another does."""
        turn = next(StreamingUser._turns) * self.prompts.plan.processes
        return self.prompts.take(turn + max(self.environment.runner.worker_index, 0))

    def prepare(self, given: Prompt | str | None = None, *, name: str, intended_ns: int | None = None) -> Prepared:
        """One stream to ask for. `name` decides whether it is left early: the same for the same seed and name."""
        stream_id = uuid4().hex[:12]
        prompt = self.prompt() if given is None else Prompt(given) if isinstance(given, str) else given
        sent = prompt
        if self.target.mock:
            sent = prompt.ending_in(directive(id=stream_id, tokens=prompt.output_tokens))
        spec = self.target.request(sent.text, messages=sent.messages, max_tokens=sent.output_tokens)
        on_token, leave_after = _leaving(WORKLOAD.leave(name))
        return Prepared(stream_id, self.client.asking(spec, leave_after=leave_after), on_token, intended_ns, prompt)

    def ask(self, client: StreamClient, prepared: Prepared) -> StreamRecord:
        """Ask once, record it, and tell Locust: response time is TTFT, or the time to failure."""
        self._recorder.start()
        try:
            transcript = client.ask(prepared.asking, dialect=self.reader, keep=False, on_token=prepared.on_token)
        except BaseException:
            # The run ends while the stream does not: what had come is still a record.
            if partial := client.cut(self.reader):
                self._record(partial, prepared)
            else:
                self._recorder.forget()
            raise
        record = self._record(transcript, prepared)
        self._report(record)
        return record

    def _record(self, transcript: Transcript, prepared: Prepared) -> StreamRecord:
        start_ns = transcript.capture.start_ns if prepared.intended_ns is None else prepared.intended_ns
        record = record_of(
            transcript,
            prepared.stream_id,
            url=self.target.masked_url,
            scenario=type(self).__name__,
            intended_ns=prepared.intended_ns,
            warmup=start_ns < began_ns() + WORKLOAD.warmup_ns,
            worker=os.getpid(),
            asked_prompt_tokens=prepared.prompt.prompt_tokens,
            asked_output_tokens=prepared.prompt.output_tokens,
        )
        if self._heartbeat is not None and (reads := doubtful(record)):
            record.waits = Waits(reads, [_waited_ns(record, read, self._heartbeat) for read in reads])
        self._recorder.add(record)
        seen(record)
        return record

    def _report(self, record: StreamRecord) -> None:
        first = ttft_ns(record)
        failed = record.outcome not in (Outcome.OK, Outcome.CANCELLED)
        elapsed_ns = record.closed_ns if failed or first is None else first
        self.environment.events.request.fire(
            request_type="STREAM",
            name=urlsplit(record.url).path,
            response_time=(elapsed_ns or 0) / MS,
            response_length=record.wire_bytes,
            exception=StreamFailed(f"{record.outcome}: {record.detail or ''}") if failed else None,
            context={},
            start_time=time.time(),
        )


def _waited_ns(record: StreamRecord, read: int, heartbeat: Heartbeat) -> int:
    """How long before the time of a read its first byte may have come, by when this client looked, and how late."""
    at_ns, lag_ns = record.start_ns + record.reads.at_ns[read], record.reads.lag_ns[read]
    looked_ns = looked_before(at_ns + lag_ns)
    unseen_ns = None if looked_ns is None else max(at_ns - looked_ns, 0)
    if unseen_ns is not None and unseen_ns <= PERIOD_NS:
        return unseen_ns
    # A loop that has nothing to do looks when something comes; then only its lateness tells.
    waited_ns = max(heartbeat.waited_ns(at_ns + lag_ns), lag_ns)
    return waited_ns if unseen_ns is None else min(waited_ns, unseen_ns)


def _leaving(leave: Leave | None) -> tuple[OnToken | None, tuple[float, Close] | None]:
    """What the client is told of a user who leaves."""
    if leave is None:
        return None, None
    if leave.after_ns is not None:
        return None, (leave.after_ns / SECOND, Close.FIN)
    tokens = leave.tokens or 1

    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= tokens else None

    return enough, None


def _target(host: str | None) -> Target:
    if given := given_target():
        return given
    if not host:
        raise SystemExit("no endpoint: pass --host URL")
    try:
        url = check_url(host)
    except UsageError as error:
        raise SystemExit(f"--host: {error}") from None
    return Target(url=url if urlsplit(url).path.strip("/") else url.rstrip("/") + DEFAULT_PATH)
