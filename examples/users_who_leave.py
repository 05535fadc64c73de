"""Users who do not wait: some lose patience before the first token, some stop reading after a few, the rest read on.

locust -f examples/users_who_leave.py --headless --host http://127.0.0.1:9000/v1/chat/completions -u 10 -t 20s

A stream that its user left is `cancelled` in the records, and not a failure. Does the server stop generating for it?
`streamgauge load URL --abandon 30%@2s --mock URL` compares with what a mock upstream saw.
"""

import random

import gevent
from locust import task

from streamgauge.loadgen.leave import Leave
from streamgauge.scenarios.streaming import StreamingUser
from streamgauge.units import SECOND

PATIENCE_S = (0.5, 3.0)  # to the first token and beyond: the user closes after this time, whatever has come
ENOUGH_TOKENS = (3, 30)  # the answer was wrong, or said enough
THINK_S = 1.0


class ImpatientUser(StreamingUser):
    @task(2)
    def lose_patience(self) -> None:
        self.stream(leave=Leave(after_ns=round(random.uniform(*PATIENCE_S) * SECOND)))
        gevent.sleep(THINK_S)

    @task(3)
    def stop_reading(self) -> None:
        self.stream(leave=Leave(tokens=random.randint(*ENOUGH_TOKENS)))
        gevent.sleep(THINK_S)

    @task(5)
    def read_to_the_end(self) -> None:
        self.stream()
        gevent.sleep(THINK_S)
