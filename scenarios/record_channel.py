"""Sends records from workers on other machines to the master, over Locust's own messages. Both ends are here.

Locust's `--processes` on one machine does not need it: its processes append to one file.
"""

import logging
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from streamgauge import steady
from streamgauge.clocks import Offset, better, of_round_trip
from streamgauge.errors import ExitCode
from streamgauge.loadgen.job import SHIP_ENV
from streamgauge.protocol.record import StreamRecord
from streamgauge.protocol.typed import from_value
from streamgauge.rundir.accounts import Account, AccountFile
from streamgauge.rundir.record_shipping import MOST_HOST, MOST_READER, NOTHING, Answer, Inbox, Outbox, Piece, Report
from streamgauge.rundir.runs import RecordWriter
from streamgauge.rundir.vitals import Vitals
from streamgauge.scenarios.job_channel import JobGiver
from streamgauge.scenarios.peer_sockets import secure
from streamgauge.scenarios.run_directory import run_directory
from streamgauge.scenarios.turns import turns
from streamgauge.units import SECOND, ns_to_ms

_REPORT: Final = "streamgauge_report"
_ANSWER: Final = "streamgauge_answer"
_FINISH: Final = "streamgauge_finish"

_TICK_S: Final = 0.1
_REPORT_EVERY_NS: Final = SECOND
_PINGS: Final = 10  # reports sent at once when a worker connects, for the clock
_OVERDUE_NS: Final = 5 * SECOND
_SILENT_NS: Final = 10 * SECOND
"""A peer that sends nothing for this long is given up. Locust itself gives up after 3 heartbeats of 1 s."""
_ASK_NS: Final = 2 * SECOND
"""After so long without an answer, a worker looks whether anything listens at the master's port."""
_GONE_NS: Final = 20 * SECOND
"""A master that answers nothing for this long is given up, although its port may be open."""
_CONNECT_S: Final = 1.0
_LONGEST_WAIT_NS: Final = 600 * SECOND

_log = logging.getLogger(__name__)

secure()  # before Locust opens its sockets


class Shipper:
    """The worker's end: a drop-in for the file of records that sends every record to the master."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self.reader: str | None = None  # what reads the sockets of this process, in words
        descriptor, path = tempfile.mkstemp(prefix="streamgauge-", suffix=".jsonl")
        self._path = Path(path)
        self._outbox = Outbox(os.fdopen(descriptor, "w+b"))
        self._encoder = msgspec.json.Encoder()
        self._started = 0
        self._clock: Offset | None = None
        self._vitals = Vitals()
        self._finishing = False
        self._closed = False
        self._heard_ns = self._moved_ns = self._reported_ns = time.monotonic_ns()
        runner.register_message(_ANSWER, self._answered)
        runner.register_message(_FINISH, lambda **_: self._finish(), concurrent=True)
        gevent.spawn(self._run)

    @property
    def worker(self) -> int:
        """This worker's number at the master. Process ids would not do: those of two machines can be equal."""
        return int(self._runner.worker_index)

    @property
    def offset_ns(self) -> int:
        """What to add to this machine's epoch times to get the master's; 0 unless the clocks certainly differ."""
        return self._clock.offset_ns if self._clock and self._clock.matters else 0

    def start(self) -> None:
        self._started += 1

    def forget(self) -> None:
        self._started -= 1

    def note(self, vitals: Vitals) -> None:
        """Keep these vitals for the next report to the master."""
        self._vitals = vitals

    def alive(self) -> None:
        """Do nothing: the reports to the master, at least one a second, already show that this process lives."""

    def add(self, record: StreamRecord) -> None:
        """Keep a record until the master has it. Raises OSError when the disk is full."""
        record.worker = self.worker
        record.start_ns += self.offset_ns
        if record.intended_ns is not None:
            record.intended_ns += self.offset_ns
        self._outbox.add(self._encoder.encode(record) + b"\n")

    def end(self) -> None:
        """Wait until the master has every record or stops answering. Then remove the local file, or print its name."""
        if len(self._runner.greenlet):  # otherwise Locust has stopped its greenlets and receives nothing
            self._finish()
        if not self._outbox.waiting:
            self._path.unlink(missing_ok=True)
            return
        try:
            self._outbox.flush()
            kept = "all are"
        except OSError as error:
            kept = f"the last ones could not be written ({error.strerror}), the others are"
        say(f"the master has not confirmed {self._outbox.waiting:,} records: {kept} in {self._path}")

    def _finish(self) -> None:
        """Stop the users, send the rest of the records, and report to the master that there are no more."""
        self._runner.stop()
        turns().finish()  # streams that have ended wait there for being recorded
        self._finishing = True
        printed_ns = began_ns = time.monotonic_ns()
        while not self._closed and (now_ns := time.monotonic_ns()) < began_ns + _LONGEST_WAIT_NS:
            silent_ns = now_ns - max(self._heard_ns, began_ns)
            if silent_ns > _SILENT_NS or self._master_is_gone(silent_ns):
                return
            if self._outbox.waiting and now_ns - printed_ns > SECOND:
                printed_ns = now_ns
                say(f"waiting for the master to take {self._outbox.waiting:,} records")
            gevent.sleep(_TICK_S)

    def _run(self) -> None:
        for _ in range(_PINGS):
            self._report()
            gevent.sleep(_TICK_S)
        if (clock := self._clock) is not None:
            known = f"{ns_to_ms(clock.offset_ns):+.3f} ms ± {ns_to_ms(clock.error_ns):.3f} ms"
            say(f"worker {self.worker} is connected; the master's clock − this machine's clock is {known}")
        while not self._closed:
            now_ns = time.monotonic_ns()
            if not self._outbox.waiting:
                self._moved_ns = now_ns
            elif now_ns - self._moved_ns > _OVERDUE_NS:
                self._moved_ns = now_ns
                self._outbox.again()
            while batch := self._outbox.batch():
                for piece in batch.pieces():
                    self._report(piece)
            if self._finishing or now_ns - self._reported_ns >= _REPORT_EVERY_NS:
                self._report()
            if not self._finishing and self._master_is_gone(now_ns - self._heard_ns):
                say("the master has ended, so this worker ends, too")
                self._runner.environment.process_exit_code = ExitCode.CANNOT_MEASURE
                self._runner.quit()
                return
            gevent.sleep(_TICK_S)

    def _master_is_gone(self, silent_ns: int) -> bool:
        """Whether the master does not answer any more: its port is closed, or it has been silent for too long.

        Locust itself would go on with the load for a minute.
        """
        if silent_ns < _ASK_NS:
            return False
        if silent_ns > _GONE_NS:
            return True
        try:
            socket.create_connection((self._runner.master_host, self._runner.master_port), _CONNECT_S).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            pass  # a network that is down comes back
        gevent.sleep(_CONNECT_S)
        return False

    def _report(self, piece: Piece = NOTHING) -> None:
        self._reported_ns = time.monotonic_ns()
        report = Report(
            host=socket.gethostname()[:MOST_HOST],
            started=self._started,
            sent_ns=steady.now_ns(),
            first=piece.first,
            count=piece.records,
            data=piece.data,
            offset=piece.offset,
            more=piece.more,
            closed=self._finishing and not self._outbox.waiting,
            clock=self._clock,
            reader=self.reader[:MOST_READER] if self.reader else None,
            stopped_ns=self._vitals.stopped_ns,
            stepped_ns=self._vitals.stepped_ns,
        )
        self._runner.send_message(_REPORT, msgspec.to_builtins(report, builtin_types=(bytes,)))

    def _answered(self, msg: Any, **_: Any) -> None:
        answer = from_value(msg.data, Answer)
        self._heard_ns = time.monotonic_ns()
        self._clock = better(self._clock, of_round_trip(answer.sent_ns, answer.at_ns, steady.now_ns()))
        waiting = self._outbox.waiting
        self._outbox.acknowledge(answer.next)
        if self._outbox.waiting < waiting:
            self._moved_ns = self._heard_ns
        self._closed = answer.closed


class _Peer:
    """The state that the master keeps of one worker."""

    def __init__(self, directory: Path, worker: int, host: str) -> None:
        self.inbox = Inbox()
        self.file = AccountFile(directory, Account(worker=worker, host=host, remote=True))
        self.heard_ns = time.monotonic_ns()

    @property
    def is_awaited(self) -> bool:
        return not self.file.account.ended and time.monotonic_ns() - self.heard_ns < _SILENT_NS


class Receiver:
    """The master's end: stores the records of workers, and keeps their accounts."""

    def __init__(self, runner: MasterRunner, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._runner = runner
        self._directory = directory
        self._writer = RecordWriter(directory)
        self._peers: dict[str, _Peer] = {}
        self._broken: str | None = None  # why nothing can be stored any more
        runner.register_message(_REPORT, self._take)
        runner.environment.events.test_stopping.add_listener(self._collect)  # type: ignore[no-untyped-call]

    def _take(self, msg: Any, **_: Any) -> None:
        at_ns = steady.now_ns()
        report = from_value(msg.data, Report)
        peer = self._peers.get(msg.node_id)
        if peer is None:
            worker = self._runner.get_worker_index(msg.node_id)  # type: ignore[no-untyped-call]
            peer = self._peers[msg.node_id] = _Peer(self._directory, worker, report.host)
        peer.heard_ns = time.monotonic_ns()
        if (lines := peer.inbox.open(report)) and self._stored(lines):
            peer.inbox.taken(report)
        account = peer.file.account
        account.unwritable = self._broken
        account.started, account.recorded, account.clock = report.started, peer.inbox.next, report.clock
        account.reader = report.reader
        account.stopped_ns, account.stepped_ns = report.stopped_ns, report.stepped_ns
        account.ended = report.closed
        peer.file.save()
        answer = Answer(
            next=peer.inbox.next,
            sent_ns=report.sent_ns,
            at_ns=at_ns,
            closed=report.closed,
        )
        self._runner.send_message(_ANSWER, msgspec.to_builtins(answer), client_id=msg.node_id)

    def _stored(self, lines: bytes) -> bool:
        """Whether the disk has taken the lines. After a failure it gets no more: they would follow a torn line."""
        if self._broken is None:
            try:
                self._writer.add_lines(lines)
            except OSError as error:
                self._broken = error.strerror or str(error)
        return self._broken is None

    def _collect(self, **_: Any) -> None:
        """Before Locust dismisses the workers, make them stop their users, and wait for their last records."""
        self._runner.send_message(_FINISH)
        printed_ns = began_ns = time.monotonic_ns()
        while self._broken is None and (waiting := [peer for peer in self._peers.values() if peer.is_awaited]):
            now_ns = time.monotonic_ns()
            if now_ns - began_ns > _LONGEST_WAIT_NS:
                break
            if now_ns - printed_ns > SECOND:
                printed_ns = now_ns
                there = sum(peer.inbox.next for peer in waiting)
                _log.info("waiting for the records of %d workers: %d so far", len(waiting), there)
            gevent.sleep(_TICK_S)


_shipper: Shipper | None = None


def shipper() -> Shipper | None:
    """The channel of a worker whose master is on another machine; None in a process that writes records to a file."""
    return _shipper


@events.init.add_listener  # type: ignore[untyped-decorator]
def _connect(runner: Any = None, **_: Any) -> None:
    global _shipper
    if not os.environ.get(SHIP_ENV):
        return
    if isinstance(runner, MasterRunner):
        JobGiver(runner)
        Receiver(runner, run_directory())
    elif isinstance(runner, WorkerRunner):
        _shipper = Shipper(runner)


def say(text: str) -> None:
    """Write a line for the person who started this worker."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
