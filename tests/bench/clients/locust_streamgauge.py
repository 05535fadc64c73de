"""Streamgauge's closed loop, whose users start when the scenario says."""

from locust import task

from streamgauge.scenarios.streaming import StreamingUser
from tests.bench.clients.locust_start import wait_for_all_users


class BenchUser(StreamingUser):
    def on_start(self) -> None:
        wait_for_all_users()

    @task
    def chat(self) -> None:
        self.stream()
