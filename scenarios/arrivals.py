"""The user of an open loop: it starts streams when the schedule says so, whether or not earlier ones have ended."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import gevent
from gevent import Greenlet
from gevent.pool import Pool
from locust import task
from locust.exception import StopUser

from streamgauge.endpoint.client import StreamClient
from streamgauge.loadgen.schedule import Arrival, shared
from streamgauge.scenarios.drivers import client_for
from streamgauge.scenarios.recorded import RecordedUser
from streamgauge.scenarios.run import WORKLOAD, began_ns
from streamgauge.scenarios.streaming import Prepared
from streamgauge.scenarios.timerfd import PreciseTimer
from streamgauge.scenarios.turns import turns
from streamgauge.steady import now_ns
from streamgauge.units import MS, SECOND

PREPARED: Final = 64  # arrivals that are prepared ahead at most
ROOM_NS: Final = MS  # to the next arrival: preparing one more takes less


class ArrivalsUser(RecordedUser):
    """One user a process, with a greenlet for each arrival."""

    abstract = True
    _started = False

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._idle: list[StreamClient] = []

    def on_start(self) -> None:
        """Start at once: the schedule spreads the streams, so users need not start at random times."""

    def on_stop(self) -> None:
        for client in self._idle:
            client.close()
        super().on_stop()

    @task
    def follow_schedule(self) -> None:
        worker = self.environment.runner.worker_index
        # When a process dies, Locust moves its users to the other processes. Each of those already has a user that
        # follows the process's own share of the schedule.
        if ArrivalsUser._started or not 0 <= worker < WORKLOAD.processes:
            raise StopUser
        ArrivalsUser._started = True
        began = began_ns()
        end = began + WORKLOAD.length_ns
        timer = PreciseTimer()
        running = Pool(WORKLOAD.cap(worker))
        prepared = self._prepared(shared(WORKLOAD.arrivals(), worker, WORKLOAD.processes), began)
        try:
            for intended_ns, stream in prepared:
                turns().announce_start(intended_ns)
                timer.sleep_until(intended_ns)
                turns().announce_start(None)
                if not running.wait_available(timeout=_seconds_to(end)) or now_ns() >= end:
                    break  # the run has ended: the rest of the schedule is dropped
                running.start(stream)
                gevent.sleep(0)  # let the stream send its request before the next arrival is prepared
            running.join(timeout=_seconds_to(end + WORKLOAD.drain_ns))
        finally:
            turns().announce_start(None)
            running.kill()
            timer.close()
        raise StopUser

    def _prepared(self, arrivals: Iterator[Arrival], began_ns: int) -> Iterator[tuple[int, Greenlet]]:
        """Each arrival's intended time and the greenlet that will serve it, prepared while no start is near.

        Preparing a request can take longer than the gap to the next arrival. If each arrival prepared its own, the
        client's own pace would show in the starts.
        """
        ready: deque[tuple[int, Greenlet]] = deque()
        more = True
        while True:
            while more and len(ready) < PREPARED and (not ready or ready[0][0] - now_ns() > ROOM_NS):
                arrival = next(arrivals, None)
                more = arrival is not None
                if arrival is not None:
                    intended_ns = began_ns + arrival.at_ns
                    prepared = self.arrive(arrival, intended_ns)
                    ready.append((intended_ns, Greenlet(self._serve, prepared, arrival)))
            if not ready:
                return
            yield ready.popleft()

    def _serve(self, prepared: Prepared, arrival: Arrival) -> None:
        client = self._idle.pop() if self._idle else client_for(self.target, WORKLOAD.connections)
        try:
            self.play(client, prepared, arrival)
        finally:
            self._idle.append(client)


def _seconds_to(at_ns: int) -> float:
    return max(at_ns - now_ns(), 0) / SECOND
