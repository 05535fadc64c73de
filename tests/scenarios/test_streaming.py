"""The user of the scenarios, in a process of its own: Locust patches the one that imports it."""

import subprocess
import sys

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
