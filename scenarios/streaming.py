"""The user that scenarios derive from: it streams through the capture transport and records each stream."""

import gc
import inspect
import itertools
import logging
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple, TypedDict, Unpack
from urllib.parse import quote, urlsplit

import gevent
import msgspec
from gevent.lock import BoundedSemaphore
from locust import User, events
from locust.exception import StopUser

from streamgauge.endpoint.answer import REFUSED, Answer
from streamgauge.endpoint.client import OnToken, StreamClient
from streamgauge.endpoint.stencil import MARK, Stencil
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import at_url
from streamgauge.errors import UsageError
from streamgauge.loadgen.job import given_prompts, given_target
from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.prompts import Prompt, PromptPlan, PromptSource, source
from streamgauge.metrics.facts import NEUTRAL, ttft_ns
from streamgauge.metrics.process_stats import PERIOD_NS, SLOW_PERIOD_NS
from streamgauge.metrics.validity import doubtful
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.record import StreamRecord, Waits
from streamgauge.rundir.runs import Recorder
from streamgauge.scenarios.drivers import client_for, reader_in_words
from streamgauge.scenarios.loop_lag import LoopLag
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.scenarios.record_channel import Shipper, shipper
from streamgauge.scenarios.run import WORKLOAD, began_ns, is_over
from streamgauge.scenarios.run_directory import run_directory
from streamgauge.scenarios.streams_tab import show_live
from streamgauge.scenarios.turns import turns
from streamgauge.scenarios.vitals import watch_vitals
from streamgauge.transport.connection import Close
from streamgauge.transport.memory import SHARE_BYTES, return_large_blocks
from streamgauge.transport.request import PreparedRequest
from streamgauge.units import MS, SECOND

_PLAIN: Final = "-._~:/@#"  # kept as they are in a header field; everything else of a session's name is escaped
DEFAULT_PATH = "/v1/chat/completions"
_task_log = logging.getLogger("locust.user.task")
REFUSED_S = 0.5
"""A user waits so long when the endpoint is down or full, so as not to become a busy loop."""


LARGE_ANSWER_BYTES: Final = SHARE_BYTES
"""An answer that takes more, in memory, is interpreted in parts, with looks at the other streams between them: all of
it at once would stop them for seconds."""
_large_answers: Final = BoundedSemaphore()  # one at a time: interpreted, an answer takes ten times its bytes


MOST_FAILURES: Final = 100
"""Texts of failures that a process gives to Locust, which keeps each different one."""
LONGEST_FAILURE: Final = 300  # characters of one


class StreamFailed(Exception):  # noqa: N818 - Locust shows the name
    """Locust's failure for a stream that is a failure of the endpoint."""


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _spare_the_collector(**_: Any) -> None:
    """Make garbage collections rare: a stream is thousands of tuples without cycles, and scanning them for cycles cost
    half of the CPU of each token. What exists at the start is frozen, so that no collection scans it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 50, 100)
    return_large_blocks()


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _load_module_sources(**_: Any) -> None:
    """Fill inspect's cache of sources now. Locust asks for its caller's source when it stops: filling the cache takes
    tens of ms, in which no stream would be read.
    """
    inspect.getframeinfo(inspect.stack()[1][0])


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _measure_lateness(**_: Any) -> None:
    if StreamingUser.loop_lag is not None:  # an earlier test of this process left it
        StreamingUser.loop_lag.resume()


@events.test_stopping.add_listener  # type: ignore[untyped-decorator]
def _end_lateness(**_: Any) -> None:
    if StreamingUser.loop_lag is not None:
        StreamingUser.loop_lag.pause()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _record_the_rest(**_: Any) -> None:
    """Record the streams that ended while the users were stopped. After SIGTERM, Locust fires `quitting` before it
    stops the users, and exits without another turn of the event loop: these streams would be lost.
    """
    if StreamingUser.recorder is not None:
        turns().finish()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _end(**_: Any) -> None:
    """Record what waits, and write that this process ends in order; without that it counts as killed."""
    if StreamingUser.recorder is not None:
        turns().finish()
        StreamingUser.recorder.end()


class Prepared(NamedTuple):
    """A request that is ready to be sent. `intended_ns` is when an open loop wants its stream to start."""

    stream_id: str
    request: PreparedRequest
    on_token: OnToken | None
    intended_ns: int | None
    prompt: Prompt
    session: str | None = None
    turn: int | None = None


class About(TypedDict, total=False):
    """What a user knows of a request besides its prompt: when it leaves, and which turn of which session this is."""

    leave: Leave | None
    session: str | None
    turn: int | None


class StreamingUser(User):
    """One user, with its own connection unless `--connections` shares a few among all. A task calls `stream`."""

    abstract = True
    recorder: Recorder | Shipper | None = None  # one a process
    reader: Dialect | None = None  # the dialect of the answers; one a process
    loop_lag: LoopLag | None = None
    _numbers: Iterator[int] = itertools.count()
    _prompts: PromptSource | None = None
    _turns = itertools.count()
    _failures: set[str] = set()  # noqa: RUF012 - one for all users of the process

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.target = _target(self.host or environment.host)
        self.client = client_for(self.target, WORKLOAD.connections)
        self._stencil = Stencil.of(self.client.prepare(self.target.request(MARK)))
        self._name = f"{environment.runner.worker_index}/{next(StreamingUser._numbers)}"
        self._ids = random.Random()
        self._random = random.Random(f"{WORKLOAD.seed}/user/{self._name}")
        self._asked = itertools.count()
        if StreamingUser.recorder is None:
            directory = run_directory()
            if (channel := shipper()) is not None:
                channel.reader = reader_in_words()
            StreamingUser.recorder = channel or Recorder(directory, reader_in_words())
            # A remote worker has no run directory: that is on the master's machine.
            period_ns = SLOW_PERIOD_NS if native_driver() else PERIOD_NS
            StreamingUser.loop_lag = LoopLag(
                None if shipper() else directory,
                warm_ns=began_ns() + WORKLOAD.warmup_ns,
                period_ns=period_ns,
                alive=StreamingUser.recorder.alive,
            )
            watch_vitals(StreamingUser.recorder.note)
        self._recorder = StreamingUser.recorder
        StreamingUser.reader = StreamingUser.reader or self.target.reader()
        if StreamingUser._prompts is None:  # before any stream starts, because a long file takes a while to read
            StreamingUser._prompts = source(given_prompts() or PromptPlan(text=self.target.prompt))

    def on_start(self) -> None:
        # Locust spawns users in batches. Users that start in the same instant would delay each other's first request.
        gevent.sleep(self._random.random())

    def wait_time(self) -> float:
        """Seconds between two tasks: the think time."""
        return WORKLOAD.think.draw_s(self._random) if WORKLOAD.think else 0.0

    def on_stop(self) -> None:
        self.client.close()

    def stream(
        self,
        prompt: Prompt | str | None = None,
        *,
        on_token: OnToken | None = None,
        leave: Leave | None = None,
        session: str | None = None,
        turn: int | None = None,
    ) -> StreamRecord:
        """Make one request, read its stream to the end and record it. Raises StopUser when the run is over.

        `on_token` gets the reader after each read that brought tokens, and may leave the stream (see `OnToken`).
        `leave` is when the user closes the stream early. `session` names the conversation to which the request belongs,
        and `turn` counts its requests from 1.
        """
        prepared = self._next(prompt, leave=leave, session=session, turn=turn)
        record = self.ask(self.client, prepared if on_token is None else prepared._replace(on_token=on_token))
        if record.outcome in REFUSED:
            gevent.sleep(REFUSED_S)
        return record

    def stream_and_go_on(self, prompt: Prompt | str | None = None) -> None:
        """Do the same as `stream` for a user who does not look at the answer: the record is made when there is time,
        so that the next request does not wait for it.
        """
        if self.ask_and_go_on(self.client, self._next(prompt)):
            gevent.sleep(REFUSED_S)

    def _next(self, prompt: Prompt | str | None, **about: Unpack["About"]) -> "Prepared":
        if is_over():
            raise StopUser
        return self.prepare(prompt, name=f"{self._name}/{next(self._asked)}", **about)

    @property
    def prompts(self) -> PromptSource:
        """The source of this run's prompts."""
        prompts = StreamingUser._prompts
        assert prompts is not None
        return prompts

    def prompt(self) -> Prompt:
        """The next prompt: process i of n takes the prompts i, i + n, i + 2n, …, without asking the others."""
        turn = next(StreamingUser._turns) * self.prompts.plan.processes
        return self.prompts.take(turn + max(self.environment.runner.worker_index, 0))

    def prepare(
        self,
        given: Prompt | str | None = None,
        *,
        name: str,
        intended_ns: int | None = None,
        **about: Unpack["About"],
    ) -> Prepared:
        """Prepare one request. Seed and `name` decide whether its user leaves early, unless `leave` says it, so a run
        can be repeated.
        """
        session = about.get("session")
        stream_id = f"{self._ids.getrandbits(48):012x}"
        prompt = self.prompt() if given is None else Prompt(given) if isinstance(given, str) else given
        marked = prompt
        if self.target.mock:
            marked = prompt.marked(id=stream_id, tokens=prompt.output_tokens)
        on_token, leave_after = _leaving(about.get("leave") or WORKLOAD.leave(name))
        request = self._request(marked, session)._replace(leave_after=leave_after)
        return Prepared(stream_id, request, on_token, intended_ns, prompt, session, about.get("turn"))

    def _request(self, prompt: Prompt, session: str | None) -> PreparedRequest:
        name = WORKLOAD.trace.session_header
        headers = {name: quote(session, safe=_PLAIN)} if name is not None and session is not None else {}
        if self._stencil is not None and prompt.messages is None and prompt.output_tokens is None and not headers:
            return self._stencil.filled(prompt.text)
        spec = self.target.request(
            prompt.text, headers=headers, messages=prompt.messages, max_tokens=prompt.output_tokens
        )
        return self.client.prepare(spec)

    def ask(self, client: StreamClient, prepared: Prepared) -> StreamRecord:
        """Make the request, record its stream and report to Locust: response time is TTFT, or the time to failure."""
        return self._finish(self._answer(client, prepared), prepared)

    def ask_and_go_on(self, client: StreamClient, prepared: Prepared) -> bool:
        """Do the same, but record the stream when there is time. Returns whether the endpoint is down, or refused."""
        answer = self._answer(client, prepared)
        finish = partial(self._finish_unattended, answer, prepared)
        if answer.memory <= LARGE_ANSWER_BYTES:
            turns().later(finish, answer.memory)
            return answer.refused
        try:
            with _large_answers:
                answer.interpreted(self.reader, pause=partial(gevent.sleep, 0))
                finish()
        except gevent.GreenletExit:  # the run ends, in the middle of the answer
            turns().later(finish, answer.memory)
            raise
        return answer.refused

    def _answer(self, client: StreamClient, prepared: Prepared) -> Answer:
        """Make the request, and read its stream to the end."""
        self._recorder.start()
        try:
            if prepared.on_token is None:
                return client.fetch(prepared.request, self.reader)
            return client.follow(prepared.request, prepared.on_token, self.reader)
        except BaseException:
            # Locust kills this greenlet at the end of the run. The unfinished stream is recorded as far as it came.
            if partial_answer := client.cut(self.reader):
                try:
                    self._record(partial_answer, prepared)
                except Exception as error:  # a full disk must not take the place of the kill: the user would go on
                    self._tell(error)
            else:
                self._recorder.forget()
            raise

    def _finish_unattended(self, answer: Answer, prepared: Prepared) -> None:
        """Record the stream. No task waits for that, so an error goes where Locust puts the errors of tasks.

        `load` reads them from Locust's log (loadgen/locust_log.py).
        """
        try:
            self._finish(answer, prepared)
        except Exception as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
        _task_log.error("%s", error, exc_info=error)

    def _finish(self, answer: Answer, prepared: Prepared) -> StreamRecord:
        record = self._record(answer, prepared)
        self._report(record)
        return record

    def _record(self, answer: Answer, prepared: Prepared) -> StreamRecord:
        capture = answer.capture
        wanted_ns = None if capture.wanted_ns is None else capture.wanted_ns - answer.clock_ns
        # At a SignalR hub an arrival opens a connection, and its stream is due when that is open.
        due_ns = None if prepared.intended_ns is None else prepared.intended_ns + (capture.opening_ns or 0)
        intended_ns = wanted_ns if due_ns is None else due_ns
        start_ns = capture.start_ns - answer.clock_ns if intended_ns is None else intended_ns
        record = answer.record(
            prepared.stream_id,
            self.reader,
            url=self.target.masked_url,
            scenario=type(self).__name__,
            intended_ns=intended_ns,
            warmup=start_ns < began_ns() + WORKLOAD.warmup_ns,
            worker=os.getpid(),
            asked_prompt_tokens=prepared.prompt.prompt_tokens,
            asked_output_tokens=prepared.prompt.output_tokens,
            session=prepared.session,
            turn=prepared.turn,
        )
        if self.reader is None and record.outcome is Outcome.OK and record.dialect is not None:
            # Under plain Locust no command has settled the dialect: the first good stream does.
            StreamingUser.reader = dialects.by_name(record.dialect)
        if reads := doubtful(record, capture.crowded):
            record.waits = Waits(reads, [_waited_ns(record, read, answer) for read in reads])
        record.replica = WORKLOAD.replica_of(capture)
        self._recorder.add(record)
        show_live(record)
        return record

    def _report(self, record: StreamRecord) -> None:
        first = ttft_ns(record)
        if record.outcome is Outcome.CLIENT_LIMIT:
            return  # neither a response nor a failure of the endpoint; the records and the streams tab count it
        failed = record.outcome not in NEUTRAL
        elapsed_ns = record.closed_ns if failed or first is None else first
        self.environment.events.request.fire(
            request_type="STREAM",
            name=urlsplit(record.url).path,
            response_time=(elapsed_ns or 0) / MS,
            response_length=record.wire_bytes,
            exception=StreamFailed(self._failure(record)) if failed else None,
            context={},
            start_time=time.time(),
        )

    def _failure(self, record: StreamRecord) -> str:
        """The failure in words. Locust keeps every text that it has not had, and an endpoint may invent a new one for
        each stream: after the first ones, the outcome has to do.
        """
        text = f"{record.outcome}: {(record.detail or '')[:LONGEST_FAILURE]}"
        if len(StreamingUser._failures) < MOST_FAILURES:
            StreamingUser._failures.add(text)
        return text if text in StreamingUser._failures else str(record.outcome)


def _waited_ns(record: StreamRecord, read: int, answer: Answer) -> int:
    """How long before the stamp of a read its first byte may have arrived: since the socket was last known to be empty,
    or since the stream's start.
    """
    at_ns = record.reads.at_ns[read]
    empty_ns = answer.empty_ns(read)
    return at_ns if empty_ns is None else min(max(answer.capture.start_ns + at_ns - empty_ns, 0), at_ns)


def _leaving(leave: Leave | None) -> tuple[OnToken | None, tuple[float, Close] | None]:
    """The client's two ways to leave early: after a token, or after a time."""
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
        target = at_url(Target(url=""), host)
    except UsageError as error:
        raise SystemExit(f"--host: {error}") from None
    if urlsplit(target.url).path.strip("/"):
        return target
    return msgspec.structs.replace(target, url=target.url.rstrip("/") + DEFAULT_PATH)
