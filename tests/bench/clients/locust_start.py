"""When the users of a locustfile of the bench send their first requests: see `Scenario.spread_s`."""

import os
import random

import gevent
from gevent.event import Event

_STREAMS = int(os.environ.get("BENCH_STREAMS", "1"))
_SPREAD_S = float(os.environ.get("BENCH_SPREAD_S", "0"))
_all_here = Event()
_here: list[None] = []


def wait_for_all_users() -> None:
    """Called by each user in `on_start`. The last one releases all of them, at once or spread at random."""
    _here.append(None)
    if len(_here) == _STREAMS:
        _all_here.set()
    _all_here.wait()
    if _SPREAD_S:
        gevent.sleep(random.random() * _SPREAD_S)
