"""Follows a load from the start of Locust to its end: counts the records, stops it at a limit, and notices faults."""

import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.loadgen.cluster import WORKERS_WAIT_S
from streamgauge.loadgen.locust_log import task_errors, why_it_ended
from streamgauge.loadgen.locust_process import LOG, Child, is_stopped, locust, stop
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.progress import LoadProgress, Running, Stopping, Waiting
from streamgauge.loadgen.result import Ended
from streamgauge.metrics.abort_rules import AbortWatch
from streamgauge.metrics.facts import NEUTRAL
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import Account, AccountReader, last_sign_ns
from streamgauge.rundir.claim import Claim
from streamgauge.rundir.vitals import Watch
from streamgauge.steady import now_ns
from streamgauge.units import SECOND, plural

_REFRESH_S: Final = 0.5


def drive(target: Target, plan: LoadPlan, totals: Totals, claim: Claim, progress: LoadProgress) -> Ended:
    """Run Locust to its end, and count the records that its processes write.

    Raises CannotMeasure when no worker came, or when Locust ended before its first stream.
    """
    with closing(_Run(target, plan, totals, claim, progress)) as run:
        if plan.cluster is not None:
            progress(Waiting(plan.cluster.workers, plan.cluster.join_command(target)))
        ended = Ended()
        with locust(target, plan, claim.descriptor) as child:
            try:
                ended = run.watch(child)
                if ended.at_ns is not None:
                    progress(Stopping(ended.stopped))
                    stop(child, plan)
            except KeyboardInterrupt:
                ended = Ended(interrupted=True, at_ns=now_ns())
                progress(Stopping())
                stop(child, plan)
        return run.conclude(child, ended)


class _Run:
    """A run that is going on: its records, its accounts, and its limits.

    Both readers keep their files open, so that the counts are complete even if the directory is removed.
    """

    def __init__(self, target: Target, plan: LoadPlan, totals: Totals, claim: Claim, progress: LoadProgress) -> None:
        self._target, self._plan, self._totals = target, plan, totals
        self._claim, self._progress = claim, progress
        self._records = runs.RecordReader(plan.directory, keep_open=True)
        self._accounts = AccountReader(plan.directory)
        self._watches = [AbortWatch(rule) for rule in plan.abort_rules]
        self._ends_ns: int | None = None  # by the monotonic clock, which nobody can set
        self._clocks = Watch()
        self._failed = 0
        self._faults: list[str] = []

    def close(self) -> None:
        self._records.close()
        self._accounts.close()

    def watch(self, child: Child) -> Ended:
        """Follow the run until Locust has ended, or until there is a reason to stop it: then `at_ns` is set."""
        looked_ns, stopped_ns = time.monotonic_ns(), 0
        while child.poll() is None:
            self._clocks.beat(time.monotonic_ns(), time.time_ns(), time.monotonic_ns())
            time.sleep(_REFRESH_S)
            before_ns, looked_ns = looked_ns, time.monotonic_ns()
            stopped_ns += looked_ns - before_ns if is_stopped(child) else 0
            self._count()
            accounts = self._accounts.read()
            if fault := self._fault(accounts):
                self._faults.append(fault)
                return Ended(stopped=fault, at_ns=now_ns())
            if reason := self._limit():
                return Ended(stopped=reason, at_ns=now_ns())
            self._progress(Running(self._totals, self._plan.workload, now_ns(), self._waits_for(accounts)))
        if stopped_ns:
            self._faults.append(f"Locust was stopped for about {stopped_ns / SECOND:.0f} s")
        return Ended()

    def conclude(self, child: Child, ended: Ended) -> Ended:
        """Count the rest, and cut the window where the run was cut. All processes have ended."""
        self._count()
        accounts = self._accounts.read()
        if ended.at_ns is None:
            ended = self._died(child, accounts)
        totals = self._totals
        if totals.window is not None and ended.at_ns is not None:
            # Records after the stop were counted too.
            totals.window = totals.window.until(max(totals.last_ns or 0, ended.at_ns))
            runs.write_window(self._plan.directory, totals.window)
        if not ended.interrupted:
            self._must_have_begun(accounts, ended)
        died = [ended.died] if ended.died else []
        written = sum(account.recorded for account in accounts)
        own = self._clocks.vitals
        if any(account.stepped_ns for account in accounts):
            own = own._replace(stepped_ns=0)  # told by the process that made the streams
        self._faults += own.faults("this command, which watches the limits,", socket.gethostname())
        if (unreadable := written - totals.started) > 0:
            self._faults.append(f"{plural(unreadable, 'record')} cannot be read, although written")
        return replace(
            ended, accounts=accounts, faults=[*died, *self._faults], lost_directory=self._claim.lost is not None
        )

    def _count(self) -> None:
        for record in self._added():
            self._failed += record.outcome not in NEUTRAL
            for watch in self._watches:
                watch.add(record)

    def _added(self) -> Iterator[StreamRecord]:
        """The new records, each counted. Locust writes the window before its first record, so it is known by then."""
        if self._totals.window is None and (window := runs.window(self._plan.directory)) is not None:
            self._totals.window = window
            self._ends_ns = time.monotonic_ns() + window.end_ns - now_ns()
        for record in self._records.new():
            self._totals.add(record)
            yield record

    def _fault(self, accounts: Sequence[Account]) -> str | None:
        """Why records are lost if the run goes on; None when they are not."""
        if lost := self._claim.lost:
            return lost
        if full := runs.no_room(self._plan.directory):
            return full
        return next((f"the records cannot be written: {one.unwritable}" for one in accounts if one.unwritable), None)

    def _limit(self) -> str | None:
        """The limit that the run has passed, if any."""
        most = self._plan.max_errors
        if most is not None and self._failed >= most:
            return f"{self._failed:,} streams failed (--max-errors {most})"
        return next((why for watch in self._watches if (why := watch.tripped(now_ns()))), None)

    def _waits_for(self, accounts: Sequence[Account]) -> str:
        """A phrase for the user: what the run waits for before it begins."""
        cluster = self._plan.cluster
        return "starting" if cluster is None else f"{len(accounts)} of {plural(cluster.workers, 'worker')} here"

    def _died(self, child: Child, accounts: Sequence[Account]) -> Ended:
        """Whether the processes of the run ended before its time, although nobody stopped them."""
        last_ns = last_sign_ns(accounts)
        code = child.returncode
        if code < 0:
            why = f"Locust was killed ({signal.Signals(-code).name})"
        elif last_ns is not None:
            why = "no worker was left" if self._plan.cluster else "every process of Locust was killed"
        elif self._ends_ns is not None and time.monotonic_ns() < self._ends_ns:
            why = f"Locust ended before its time, with exit code {code}" + (
                f": {why_it_ended(self._plan.directory / LOG)}" if code else ""
            )
        else:
            return Ended()
        return Ended(died=why, at_ns=last_ns or self._totals.last_ns or now_ns())

    def _must_have_begun(self, accounts: Sequence[Account], ended: Ended) -> None:
        cluster = self._plan.cluster
        if cluster is not None and self._totals.window is None:
            raise CannotMeasure(
                f"{self._waits_for(accounts)} after {WORKERS_WAIT_S} s",
                f"on each machine run: {cluster.join_command(self._target)}",
            )
        if not self._totals.started:
            log = self._plan.directory / LOG
            if self._totals.window is not None and not (ended.died or self._faults or task_errors(log)):
                raise CannotMeasure(
                    f"no user had started a stream when the {self._plan.length_s:g} s of the run were over",
                    f"give a longer --duration: this machine or its workers were too busy (see {log})",
                )
            raise CannotMeasure(f"Locust ended without a stream: {why_it_ended(log)}", f"see {log}")
