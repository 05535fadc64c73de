"""The begin and the end of a run, in a process of its own: Locust patches the one that imports it."""

import subprocess
import sys

SLOW_IMPORTS = """
import time
import gevent
from gevent.monkey import get_original
from locust import events
from streamgauge.scenarios import run

gevent.get_hub().loop  # made, but not run yet
get_original("time", "sleep")(0.5)  # as imports: the event loop does not run
listeners = [each for each in events.init._handlers if each.__module__ == run.__name__]
for each in listeners:
    each(runner=None)
began_s = time.monotonic()
gevent.spawn_later(0.3, lambda: None).join()  # as Locust starts its --run-time, in the main greenlet
print(time.monotonic() - began_s >= 0.29)
"""


def test_slow_imports_do_not_shorten_the_longest_time_that_locust_gives_to_the_run() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW_IMPORTS], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "True", done.stderr
