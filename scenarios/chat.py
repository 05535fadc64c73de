"""Users who ask, read the whole answer, think for as long as --think-time says, and ask again (closed loop).

locust -f scenarios/chat.py --host http://localhost:8080/v1/chat/completions
"""

from locust import task

from streamgauge.scenarios.streaming import StreamingUser


class ChatUser(StreamingUser):
    @task
    def chat(self) -> None:
        self.stream()
