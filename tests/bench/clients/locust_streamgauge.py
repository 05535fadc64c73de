"""Streamgauge's closed loop, whose users start when the scenario says."""

from locust import task

from streamgauge.protocol import dialects
from streamgauge.scenarios.streaming import StreamingUser
from tests.bench.clients.locust_start import wait_for_all_users

StreamingUser.reader = dialects.by_name("openai-chat")  # `load` settles it before its first stream


class BenchUser(StreamingUser):
    def on_start(self) -> None:
        wait_for_all_users()

    @task
    def chat(self) -> None:
        self.stream()
