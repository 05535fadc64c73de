"""Users with a memory: each asks, reads the answer, thinks, and asks again with the history of the conversation.

locust -f examples/two_turn_chat.py --headless --host http://127.0.0.1:9000/v1/chat/completions --users 5 --run-time 10s
"""

from typing import Any

import gevent
from locust import task

from streamgauge.loadgen.prompts import Prompt
from streamgauge.protocol.reader import StreamReader
from streamgauge.scenarios.streaming import StreamingUser

THINK_S = 0.5


class TwoTurnUser(StreamingUser):
    @task
    def conversation(self) -> None:
        question = {"role": "user", "content": "Name a river in Europe."}
        answer = self.turn(question)
        if not answer:
            return  # the record says why; a second question would make no sense
        gevent.sleep(THINK_S)
        self.turn(
            question, {"role": "assistant", "content": answer}, {"role": "user", "content": "And how long is it?"}
        )

    def turn(self, *messages: dict[str, Any]) -> str:
        """One stream and its record; the text of the answer."""
        readers: list[StreamReader] = []
        self.stream(Prompt(messages[-1]["content"], messages=messages), on_token=readers.append)
        return readers[-1].transcript.text if readers else ""
