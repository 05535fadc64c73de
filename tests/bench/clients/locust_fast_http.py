"""Locust's own FastHttpUser with its `iter_lines`, as people write it."""

import json
import time
from uuid import uuid4

from locust import FastHttpUser, constant, task

from tests.bench.clients.locust_seen import SEEN
from tests.bench.clients.locust_start import wait_for_all_users


class FastUser(FastHttpUser):
    wait_time = constant(0)

    def on_start(self) -> None:
        wait_for_all_users()

    @task
    def chat(self) -> None:
        stream_id, times = uuid4().hex[:12], list[int]()
        body = {"stream": True, "messages": [{"role": "user", "content": f"[[mock id={stream_id}]]"}]}
        start_ns = time.time_ns()
        for line in self.client.iter_lines("/v1/chat/completions", "POST", json=body):
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and choices[0]["delta"].get("content"):
                    times.append(time.time_ns())
        SEEN.append({"id": stream_id, "start_ns": start_ns, "token_ns": times})
