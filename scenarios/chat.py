"""Closed loop: each user asks, reads the whole answer, waits for --think-time and asks again.

locust -f scenarios/chat.py --host http://localhost:8080/v1/chat/completions
"""

from locust import task

from streamgauge.scenarios.streaming import StreamingUser


class ChatUser(StreamingUser):
    @task
    def chat(self) -> None:
        self.stream_and_go_on()
