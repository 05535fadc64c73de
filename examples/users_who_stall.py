"""Users whose reader stalls, such as a phone in a tunnel, beside users who read well: do the others notice?

locust -f examples/users_who_stall.py --headless --host http://127.0.0.1:9000/v1/chat/completions -u 10 -t 20s

A stalled user stops reading its socket, so the buffers fill up and the server has to wait, to buffer or to give up.
Compare TTFT and ITL of the users who read well with those of a run with STALLED = 0. In Locust's table, STALLED is how
long the answers of stalled users took; its failures are answers that the server gave up.
"""

import json
import os
import socket
import time
from urllib.parse import urlsplit

import gevent
from locust import User, task

from streamgauge.scenarios.streaming import StreamingUser

STALLED, READING = 1, 4  # users of each kind
READ_BYTES = 200  # before the stall
STALL_S = float(os.environ.get("STALL_S", "5"))
BUFFER_BYTES = 4096  # a small buffer fills up soon


class ReadingUser(StreamingUser):
    weight = READING

    @task
    def chat(self) -> None:
        self.stream_and_go_on()


class StallingUser(User):
    weight = STALLED

    @task
    def read_a_little(self) -> None:
        url = urlsplit(self.host or self.environment.host or "")
        body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Tell me a story."}]})
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        begun, failure = time.monotonic(), None
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            try:
                sock.connect((url.hostname, url.port or 80))
                sock.sendall(request)
                sock.recv(READ_BYTES)
                gevent.sleep(STALL_S)
                while sock.recv(65536):
                    pass  # reads the rest at once, as a phone does after the tunnel
            except OSError as error:
                failure = error
        took = {"response_time": (time.monotonic() - begun) * 1000, "response_length": 0, "exception": failure}
        self.environment.events.request.fire(request_type="STALLED", name=url.path, **took)
        gevent.sleep(failure is not None)  # a server that refuses everybody gets no busy loop
