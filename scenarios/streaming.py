"""The user that scenarios derive from: streams through the capture transport, writes a record for each stream."""

import gc
import os
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import gevent
import msgspec
from locust import User, events

from harness.client import StreamClient
from harness.metrics import ttft_ns
from harness.record import StreamRecord, record_of
from harness.runs import RecordWriter
from harness.stream import Outcome, Transcript
from harness.target import Target, directive
from harness.units import MS
from scenarios.heartbeat import Heartbeat
from scenarios.hub import watch

TARGET_ENV = "STREAMGAUGE_TARGET"  # a Target as JSON; the command line passes it so that no key is written to disk
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


class StreamingUser(User):
    """One user with one connection. `stream` is what a task calls."""

    abstract = True
    _writer: RecordWriter | None = None
    _heartbeat: Heartbeat | None = None

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.target = _target(self.host or environment.host)
        self.reader = self.target.reader()
        self.client = StreamClient.to(self.target, watch=watch)
        self.directory = Path(environment.parsed_options.run_dir)
        cls = StreamingUser
        if cls._heartbeat is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            cls._heartbeat = Heartbeat(self.directory)

    def on_start(self) -> None:
        # Locust spawns in batches; users that start in the same instant would measure each other's start.
        gevent.sleep(random.random())

    def on_stop(self) -> None:
        self.client.close()

    def stream(self, prompt: str | None = None) -> StreamRecord:
        """Ask once, read to the end, record it, and tell Locust: response time is TTFT, or the time to failure."""
        stream_id = uuid4().hex[:12]
        text = self.target.prompt if prompt is None else prompt
        if self.target.mock:
            text = f"{text} {directive(id=stream_id)}"
        spec = self.target.request(text)
        try:
            transcript = self.client.run(spec, dialect=self.reader, keep=False)
        except BaseException:
            # The run ends while the stream does not: what had come is still a record.
            if partial := self.client.cut(self.reader):
                self._record(partial, stream_id)
            raise
        record = self._record(transcript, stream_id)
        self._report(record)
        if record.outcome is Outcome.CONNECT_ERROR:
            gevent.sleep(0.5)  # an endpoint that is down must not turn users into a busy loop
        return record

    def _record(self, transcript: Transcript, stream_id: str) -> StreamRecord:
        record = record_of(
            transcript,
            stream_id,
            url=self.target.masked_url,
            scenario=type(self).__name__,
            worker=os.getpid(),
        )
        cls = StreamingUser
        if cls._heartbeat is not None and record.token_reads:
            first = record.token_reads[0]
            read_ns = record.start_ns + record.reads.at_ns[first] + record.reads.lag_ns[first]
            record.loop_late_ns = cls._heartbeat.worst_ns(record.start_ns, read_ns)
        if cls._writer is None:
            cls._writer = RecordWriter(self.directory)
        cls._writer.add(record)
        return record

    def _report(self, record: StreamRecord) -> None:
        first = ttft_ns(record)
        failed = record.outcome is not Outcome.OK
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


def _target(host: str | None) -> Target:
    if given := os.environ.get(TARGET_ENV):
        return msgspec.json.decode(given, type=Target)
    if not host:
        raise SystemExit("no endpoint: pass --host URL")
    return Target(url=host if urlsplit(host).path.strip("/") else host.rstrip("/") + DEFAULT_PATH)
