"""When streams start: open-loop arrivals and closed-loop stages, as absolute offsets in ns from the run's start.

A schedule is drawn once from its seed. With relative sleeps, lateness would add up: the rate would sink, and a server
that stalls would get fewer requests just then (coordinated omission).
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.request import Request
from streamgauge.units import SECOND, parse_bounded

MAX_PER_S: Final = 100_000
MAX_USERS: Final = 100_000

_RATE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/(s|min|m|h)")
_PER_NS: Final = {"s": SECOND, "min": 60 * SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_GAMMA: Final = re.compile(r"gamma:([0-9]{1,3}(?:\.[0-9]{1,6})?)")


class Follower(NamedTuple):
    """A later turn of a conversation. It starts `pause_ns` after the end of the turn before it, or with `from_start`
    at that time after its start, but not before its end.
    """

    turn: int
    request: Request
    pause_ns: int
    from_start: bool = False

    def wait_ns(self, begun_ns: int, ended_ns: int) -> int:
        """How long the user waits, given when the turn before began and ended; below 0 when the time is past."""
        return self.pause_ns - (ended_ns - begun_ns) if self.from_start else self.pause_ns


class Arrival(NamedTuple):
    """One stream to start: its number, its time (ns from the run's start), and the lengths that a trace gives it.

    `recorded` is the request of the trace, if it says more than lengths. `followers` are the turns after it.
    """

    number: int
    at_ns: int
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    recorded: Request | None = None
    turn: int = 0
    followers: tuple[Follower, ...] = ()


class Rate(msgspec.Struct, frozen=True):
    """Arrivals per second. `cv` is the standard deviation of the gaps divided by their mean.

    0 is constant, 1 is Poisson, above 1 is burstier (gamma-distributed gaps).
    """

    per_s: float
    cv: float = 1.0

    def __str__(self) -> str:
        how = {0.0: "constant", 1.0: "Poisson"}.get(self.cv, f"gamma with CV {self.cv:g}")
        return f"{self.per_s:g}/s, {how}"


class Stage(msgspec.Struct, frozen=True):
    """A number of users for a time (ns)."""

    users: int
    length_ns: int

    def __str__(self) -> str:
        return f"{self.users}:{self.length_ns / SECOND:g}s"


def parse_rate(text: str, arrivals: str = "poisson") -> Rate:
    """`20/s` or `600/min`, and `poisson`, `constant` or `gamma:CV`. Raises UsageError on anything else."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--rate {text!r} is not a rate", "write for example 20/s, 600/min or 5/h")
    per_s = float(Fraction(match[1]) * SECOND / _PER_NS[match[2]])
    if not 0 < per_s <= MAX_PER_S:
        raise UsageError(f"--rate {text!r} is out of range", f"it must be above 0 and at most {MAX_PER_S}/s")
    return Rate(per_s, _spread(arrivals))


def _spread(text: str) -> float:
    if text == "poisson":
        return 1.0
    if text == "constant":
        return 0.0
    match = _GAMMA.fullmatch(text)
    if match is None or not 0.01 <= float(match[1]) <= 100:
        raise UsageError(
            f"--arrivals {text!r} is not known",
            "write poisson, constant, or gamma:CV with CV from 0.01 to 100 (above 1 is burstier than Poisson)",
        )
    return float(match[1])


def count(rate: Rate, length_ns: int) -> int:
    """The number of arrivals in a run of that length: it follows the rate exactly, for every seed."""
    return round(Fraction(rate.per_s) * length_ns / SECOND)


def arrivals(rate: Rate, length_ns: int, seed: int) -> Iterator[Arrival]:
    """The schedule of an open loop, in order.

    Random gaps are scaled so that n arrivals and the end of the run fill it exactly. For exponential gaps that is a
    Poisson process given its count (the gaps of uniform order statistics), without the 1 to 2 % by which the rate of a
    run would differ between seeds.
    """
    total = count(rate, length_ns)
    if rate.cv == 0:
        for number in range(total):
            yield Arrival(number, number * length_ns // total)
        return
    # Draw twice from the same seed instead of storing the gaps: an hour at 1,000/s has 3.6 million.
    draw = _gaps(rate, seed)
    scale = length_ns / sum(draw() for _ in range(total + 1))
    draw = _gaps(rate, seed)
    at = 0.0
    for number in range(total):
        at += draw()
        yield Arrival(number, round(at * scale))


def _gaps(rate: Rate, seed: int) -> Callable[[], float]:
    rng = random.Random(f"{seed}/arrivals")
    if rate.cv == 1:
        return lambda: rng.expovariate(1.0)
    shape = 1 / rate.cv**2
    return lambda: rng.gammavariate(shape, 1.0)


def shared(schedule: Iterator[Arrival], worker: int, workers: int) -> Iterator[Arrival]:
    """The part of the schedule that one of several processes starts."""
    return (arrival for arrival in schedule if arrival.number % workers == worker)


def parse_stages(text: str) -> tuple[Stage, ...]:
    """The stages in `50:30s,200:1m`: USERS:DURATION, one after the other. Raises UsageError that names the part."""
    return tuple(_stage(part.strip(), text) for part in text.split(","))


def _stage(part: str, whole: str) -> Stage:
    users, colon, length = part.partition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,6}", users) or not 1 <= int(users) <= MAX_USERS:
        raise UsageError(
            f"--stages {whole!r}: {part!r} is not a stage",
            f"write USERS:DURATION with commas between, such as 50:30s,200:1m; 1 to {MAX_USERS} users",
        )
    length_ns = parse_bounded(length, f"the length in stage {part!r}")
    if not length_ns:
        raise UsageError(f"--stages {whole!r}: {part!r} has no length", "give it a duration above 0")
    return Stage(int(users), length_ns)


def users_at(stages: Sequence[Stage], elapsed_ns: int) -> int | None:
    """The planned number of users at this time; None when the last stage is over."""
    for stage in stages:
        elapsed_ns -= stage.length_ns
        if elapsed_ns < 0:
            return stage.users
    return None
