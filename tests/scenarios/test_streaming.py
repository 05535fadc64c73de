"""The user of the scenarios, in a process of its own: Locust patches the one that imports it."""

import subprocess
import sys
from pathlib import Path

from streamgauge.loadgen.locust_log import task_errors

STOPS = """
import inspect
from locust import events, runners
from scenarios import streaming

listeners = [each for each in events.test_start._handlers if each.__module__ == streaming.__name__]
for each in listeners:
    each(environment=None)
print(runners.__file__ in inspect.modulesbyfile, streaming.__file__ in inspect.modulesbyfile)
"""


def test_what_locust_asks_for_when_it_stops_is_known_before_there_is_a_stream() -> None:
    """Found out only then, it stops the reading for tens of ms: what came meanwhile had the time of its last byte."""
    done = subprocess.run([sys.executable, "-c", STOPS], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True True", done.stderr


FULL_DISK = """
import socket
from locust.env import Environment
from locust.log import setup_logging
from streamgauge.scenarios import run
from streamgauge.scenarios.chat import ChatUser
from streamgauge.scenarios.streaming import StreamingUser
from streamgauge.scenarios.turns import turns

class FullDisk:
    def start(self):
        pass

    def add(self, record):
        raise OSError(28, "No space left on device")

setup_logging("WARNING", LOG)
with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
environment = Environment(host=f"http://127.0.0.1:{port}")
environment.create_local_runner()
errors = []
environment.events.user_error.add_listener(lambda exception, **_: errors.append(exception))
StreamingUser.recorder = FullDisk()
run._began.set(0)
user = ChatUser(environment)
for number in range(2):
    user.ask_and_go_on(user.client, user.prepare("hello", name=str(number)))
turns().finish()
print([error.errno for error in errors])
"""


def test_an_error_while_a_stream_is_recorded_counts_as_an_error_of_its_task(tmp_path: Path) -> None:
    """Recording comes later than the task. A full disk must reach the user all the same."""
    log = tmp_path / "locust.log"
    script = FULL_DISK.replace("LOG", repr(str(log)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "[28, 28]", done.stderr
    assert "2 errors, each a stream that may be missing: [Errno 28] No space left on device" in (task_errors(log) or "")


FAILURES = """
from types import SimpleNamespace
from streamgauge.scenarios import streaming

user = SimpleNamespace()
record = lambda number: SimpleNamespace(outcome="http_error", detail=f"{number} " + "x" * 100_000)
texts = {streaming.StreamingUser._failure(user, record(number)) for number in range(10_000)}
print(len(texts), max(map(len, texts)), "http_error" in texts)
"""


def test_an_endpoint_that_fails_in_ten_thousand_ways_fills_no_table_of_locust() -> None:
    done = subprocess.run([sys.executable, "-c", FAILURES], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["101", "312", "True"], done.stderr


ENDED_LATE = """
from locust import events
from streamgauge.scenarios.streaming import StreamingUser
from streamgauge.scenarios.turns import turns

recorded = []
StreamingUser.recorder = object()
turns().later(lambda: recorded.append("a stream"), 1)
events.test_stop.fire(environment=None)
print(recorded)
"""


def test_a_stream_that_ends_while_the_users_are_stopped_is_recorded_without_another_turn_of_the_loop() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED_LATE], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "['a stream']", done.stderr
