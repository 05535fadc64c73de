"""Plain httpx and httpx-sse under Locust, as people write it."""

import json
import time
from uuid import uuid4

import httpx
import httpx_sse
from locust import User, constant, task

from tests.bench.clients.locust_seen import SEEN
from tests.bench.clients.locust_start import wait_for_all_users


class HttpxUser(User):
    wait_time = constant(0)

    def on_start(self) -> None:
        self.client = httpx.Client(timeout=60)
        wait_for_all_users()

    @task
    def chat(self) -> None:
        stream_id, times = uuid4().hex[:12], list[int]()
        body = {"stream": True, "messages": [{"role": "user", "content": f"[[mock id={stream_id}]]"}]}
        start_ns = time.time_ns()
        url = f"{self.host}/v1/chat/completions"
        with httpx_sse.connect_sse(self.client, "POST", url, json=body) as source:
            for event in source.iter_sse():
                choices = json.loads(event.data)["choices"] if event.data != "[DONE]" else []
                if choices and choices[0]["delta"].get("content"):
                    times.append(time.time_ns())
        SEEN.append({"id": stream_id, "start_ns": start_ns, "token_ns": times})
