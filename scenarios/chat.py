"""Users who ask, read the whole answer, and ask again at once (closed loop).

locust -f scenarios/chat.py --host http://localhost:8080/v1/chat/completions
"""

from locust import constant, task

from scenarios.streaming import StreamingUser


class ChatUser(StreamingUser):
    wait_time = constant(0)

    @task
    def chat(self) -> None:
        self.stream()
