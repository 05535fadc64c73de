"""The pause between two points: until the endpoint has nothing left of the load before."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.serverlane.scrape import Source

Gauge = Callable[[], int | None]
"""The streams that the endpoint itself says are running or waiting; None when it does not say."""

_LOOK_EVERY_S: Final = 0.25
_LATEST: Final = 10_000  # streams that a mock remembers


@contextmanager
def gauge_of(target: Target, server_metrics: str | None) -> Iterator[Gauge | None]:
    """What says how many streams the endpoint still has: its own metrics, else its mock; None where neither is known.

    Raises UsageError and CannotMeasure as `Source` does.
    """
    if server_metrics is not None:
        with closing(Source(target, server_metrics)) as source:
            yield source.in_hand
    elif target.mock is not None:
        with MockControl.of(target) as mock:
            yield lambda: sum(stream.get("end") is None for stream in mock.recent(_LATEST))
    else:
        yield None


class Drained(NamedTuple):
    """How long the pause took, and how many streams the endpoint still had; None when nobody knows."""

    seconds: float
    left: int | None


def drain(gauge: Gauge | None, pause_s: float, longest_s: float) -> Drained:
    """Wait `pause_s`, and with a gauge until it says 0, for at most `longest_s`."""
    began_s = time.monotonic()
    time.sleep(pause_s)
    left = gauge() if gauge is not None else None
    while gauge is not None and left and time.monotonic() - began_s < longest_s:
        time.sleep(_LOOK_EVERY_S)
        left = gauge()
    return Drained(time.monotonic() - began_s, left)
