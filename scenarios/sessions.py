"""Closed loop over a trace: each user plays a session, turn after turn, waits for --think-time, and plays the next.

`streamgauge load URL --replay FILE --users 20` runs this file.
"""

from collections.abc import Iterator
from typing import ClassVar

import gevent
from locust import task
from locust.exception import StopUser

from streamgauge.loadgen.schedule import Arrival, shared
from streamgauge.scenarios.recorded import RecordedUser
from streamgauge.scenarios.run import WORKLOAD, is_over
from streamgauge.scenarios.streaming import REFUSED_S


class SessionsUser(RecordedUser):
    """The users of a process take turns: a session is played by one of them at a time."""

    _sessions: ClassVar[Iterator[Arrival] | None] = None

    @task
    def play_a_session(self) -> None:
        if is_over():
            raise StopUser
        arrival = self._next_session()
        if self.play(self.client, self.arrive(arrival), arrival):
            gevent.sleep(REFUSED_S)

    def _next_session(self) -> Arrival:
        if SessionsUser._sessions is None:
            worker = max(self.environment.runner.worker_index, 0)
            SessionsUser._sessions = shared(WORKLOAD.sessions(), worker, WORKLOAD.processes)
        return next(SessionsUser._sessions)
