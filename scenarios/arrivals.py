"""The user of an open loop: it starts streams when the schedule says so, whether or not earlier ones have ended."""

import time
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
from streamgauge.scenarios.epoll_collector import expect, watch
from streamgauge.scenarios.run import WORKLOAD, began_ns
from streamgauge.scenarios.streaming import Prepared, StreamingUser
from streamgauge.scenarios.timerfd import Alarm
from streamgauge.units import MS, SECOND

AHEAD: Final = 64
ROOM_NS: Final = MS  # there is time to prepare one more


class ArrivalsUser(StreamingUser):
    """One per process; each arrival runs in a greenlet of its own. `arrive` says what one of them asks."""

    abstract = True
    _started = False

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._idle: list[StreamClient] = []

    def on_start(self) -> None:
        """Nothing to spread: the schedule does."""

    def on_stop(self) -> None:
        for client in self._idle:
            client.close()
        super().on_stop()

    @task
    def follow_schedule(self) -> None:
        worker = self.environment.runner.worker_index
        # When a process dies, Locust moves its users to the others, which have schedules of their own.
        if ArrivalsUser._started or not 0 <= worker < WORKLOAD.processes:
            raise StopUser
        ArrivalsUser._started = True
        began = began_ns()
        end = began + WORKLOAD.length_ns
        alarm = Alarm()
        running = Pool(WORKLOAD.cap(worker))
        prepared = self._prepared(shared(WORKLOAD.arrivals(), worker, WORKLOAD.processes), began)
        try:
            for intended, one in prepared:
                expect(intended)
                alarm.sleep_until(intended)
                expect(None)
                if not running.wait_available(timeout=_seconds_to(end)) or time.time_ns() >= end:
                    break  # what is left of the schedule is dropped: the run has ended
                running.start(one)
                gevent.sleep(0)  # the stream starts before anything else is done
            running.join(timeout=_seconds_to(end + WORKLOAD.drain_ns))
        finally:
            expect(None)
            running.kill()
            alarm.close()
        raise StopUser

    def _prepared(self, arrivals: Iterator[Arrival], began_ns: int) -> Iterator[tuple[int, Greenlet]]:
        """Each arrival's time and who serves it, prepared while there is nothing to start.

        Preparing takes longer than the gap to the next arrival may be: that would be the client's own rhythm.
        """
        ready: deque[tuple[int, Greenlet]] = deque()
        more = True
        while True:
            while more and len(ready) < AHEAD and (not ready or ready[0][0] - time.time_ns() > ROOM_NS):
                arrival = next(arrivals, None)
                more = arrival is not None
                if arrival is not None:
                    intended_ns = began_ns + arrival.at_ns
                    ready.append((intended_ns, Greenlet(self._serve, self.arrive(arrival, intended_ns))))
            if not ready:
                return
            yield ready.popleft()

    def arrive(self, arrival: Arrival, intended_ns: int) -> Prepared:
        """What to ask at this arrival; called before its time."""
        lengths = {"prompt_tokens": arrival.prompt_tokens, "output_tokens": arrival.output_tokens or None}
        prompt = self.prompts.take(arrival.number, **lengths)
        return self.prepare(prompt, name=str(arrival.number), intended_ns=intended_ns)

    def _serve(self, one: Prepared) -> None:
        client = self._idle.pop() if self._idle else StreamClient.to(self.target, watch=watch)
        try:
            self.ask(client, one)
        finally:
            self._idle.append(client)


def _seconds_to(at_ns: int) -> float:
    return max(at_ns - time.time_ns(), 0) / SECOND
