"""Plain httpx and httpx-sse under Locust, as people write it: a locustfile for `tests.bench.clients`."""

import json
import os
import time
from typing import Any
from uuid import uuid4

import httpx
import httpx_sse
from locust import User, constant, events, task

SEEN: list[dict[str, Any]] = []


class HttpxUser(User):
    wait_time = constant(0)

    def on_start(self) -> None:
        self.client = httpx.Client(timeout=60)

    @task
    def chat(self) -> None:
        stream_id, times = uuid4().hex[:12], list[int]()
        body = {"stream": True, "messages": [{"role": "user", "content": f"[[mock id={stream_id}]]"}]}
        start_ns = time.time_ns()
        with httpx_sse.connect_sse(self.client, "POST", self.host, json=body) as source:
            for event in source.iter_sse():
                choices = json.loads(event.data)["choices"] if event.data != "[DONE]" else []
                if choices and choices[0]["delta"].get("content"):
                    times.append(time.time_ns())
        SEEN.append({"id": stream_id, "start_ns": start_ns, "token_ns": times})


@events.quitting.add_listener
def save(**_: Any) -> None:
    with open(os.environ["SEEN"], "w") as file:
        file.writelines(json.dumps(seen) + "\n" for seen in SEEN)
