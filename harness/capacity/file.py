"""`capacity.json`: a finished search, from which every report of it is made."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from streamgauge.capacity.answer import Answer
from streamgauge.capacity.budget import Spent
from streamgauge.capacity.fleet import Fleet
from streamgauge.capacity.point import Point
from streamgauge.metrics.calibration import Calibration
from streamgauge.rundir.runs import Machine
from streamgauge.version import __version__

FILE: Final = "capacity.json"


class CapacityFile(msgspec.Struct, kw_only=True):
    """`capacity.json`: the settings of a search, all of its points, and the answer."""

    schema: int = 1
    streamgauge: str = __version__
    target: str
    started: str
    ended: str | None = None
    settings: dict[str, Any]
    objectives: Sequence[str]
    confidence: float
    machine: Machine
    calibration: Calibration | None = None
    interrupted: bool = False
    at_least: float | None = None
    answer: Answer
    fleet: Fleet
    spent: Spent
    points: Sequence[Point]
