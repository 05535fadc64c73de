"""More users step by step until the endpoint fails, then few again: where does it break, and when has it recovered?

locust -f examples/ramp_to_failure.py --headless --host http://127.0.0.1:9000/v1/chat/completions

`streamgauge capacity` searches the limit with an interval; this file shows how a server behaves beyond it.
"""

import os
from statistics import median
from typing import Any, ClassVar

from locust import LoadTestShape, events, task

from streamgauge.scenarios.streaming import StreamingUser

STEP_S = float(os.environ.get("RAMP_STEP_S", "10"))
FIRST, GROWTH, MOST = 2, 1.5, 2000  # users
FAILED_SHARE, SLOWER = 0.05, 5.0  # broken: this share fails, or TTFT p50 is so many times that of the first step
RECOVERED, PATIENCE = 1.5, 12  # recovered: no failure, and TTFT p50 at most so many times the first; steps


class RampUser(StreamingUser):
    @task
    def chat(self) -> None:
        self.stream_and_go_on()


class Ramp(LoadTestShape):
    step: ClassVar[list[tuple[float, bool]]] = []  # TTFT in ms and failure of each stream that ended in this step
    users, next_s = FIRST, STEP_S
    first_ms = broken_s = 0.0

    def tick(self) -> tuple[int, float] | None:
        now_s = self.get_run_time()
        if now_s < self.next_s or not self.step:
            return self.users, 1000
        ttft_ms = median([ms for ms, failed in self.step if not failed] or [float("inf")])
        share = sum(failed for _, failed in self.step) / len(self.step)
        self.first_ms = self.first_ms or ttft_ms
        print(f"{now_s:5.0f} s  {self.users:4} users  TTFT p50 {ttft_ms:7.1f} ms  {share:6.1%} failed")
        self.step.clear()
        self.next_s = now_s + STEP_S
        if not self.broken_s and (share > FAILED_SHARE or ttft_ms > SLOWER * self.first_ms or self.users >= MOST):
            print(f"broken at {self.users} users; back to {FIRST}")
            self.users, self.broken_s = FIRST, now_s
        elif not self.broken_s:
            self.users = min(round(self.users * GROWTH), MOST)
        elif (well := not share and ttft_ms < RECOVERED * self.first_ms) or now_s > self.broken_s + PATIENCE * STEP_S:
            print(f"{'' if well else 'not '}recovered after {now_s - self.broken_s:.0f} s")
            return None
        return self.users, 1000


@events.request.add_listener
def note(response_time: float, exception: Exception | None, **_: Any) -> None:
    Ramp.step.append((response_time, exception is not None))
