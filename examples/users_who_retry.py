"""Users who ask again after a failure, with exponential backoff and jitter: how much load do the retries add?

locust -f examples/users_who_retry.py --headless --host http://127.0.0.1:9000/v1/chat/completions -u 20 -t 20s

Each attempt is a turn of a session, so the records tell a first attempt from a retry. A user who gives up says so.
"""

import itertools
import random
from typing import ClassVar

import gevent
from locust import events, task

from streamgauge.protocol.outcome import Outcome
from streamgauge.scenarios.streaming import StreamingUser

ATTEMPTS = 4
FIRST_PAUSE_S = 0.5
THINK_S = 1.0
ENOUGH = (Outcome.OK, Outcome.CANCELLED)


class RetryingUser(StreamingUser):
    counts: ClassVar = {"questions": 0, "attempts": 0, "given up": 0}
    numbers = itertools.count()

    @task
    def question(self) -> None:
        name = f"question {next(self.numbers)}"
        self.counts["questions"] += 1
        for attempt in range(ATTEMPTS):
            if attempt:
                gevent.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # "full jitter": no wave of retries
            self.counts["attempts"] += 1
            if self.stream(session=name, turn=attempt + 1).outcome in ENOUGH:
                break
        else:
            self.counts["given up"] += 1
        gevent.sleep(THINK_S)


@events.test_stop.add_listener
def tell(**_: object) -> None:
    counts = RetryingUser.counts
    extra = counts["attempts"] / max(counts["questions"], 1) - 1
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()) + f": retries add {extra:.0%} load")
