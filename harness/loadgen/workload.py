"""The load model, its seed and its limits: what every process of a run must know. Sent to them as JSON."""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.leaks import brief
from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.schedule import Arrival, Rate, Stage, arrivals
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.files import read_arrivals, read_trace
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.timetable import arrivals_at, sessions_in_turn
from streamgauge.units import SECOND, parse_bounded
from streamgauge.wire import Capture

_MODEL: Final = re.compile(r"(exp|uniform)\(([^()]*)\)")
_MOST_REPLICA_CHARS: Final = 64
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")


class Think(msgspec.Struct, frozen=True):
    """The pause between two streams of a user, in ns: uniform from `low_ns` to `high_ns`, or exponential."""

    low_ns: int
    high_ns: int
    exponential: bool = False

    def draw_s(self, rng: random.Random) -> float:
        """One pause in seconds."""
        if self.exponential:
            return rng.expovariate(SECOND / self.low_ns) if self.low_ns else 0.0
        return rng.uniform(self.low_ns, self.high_ns) / SECOND


class Abandon(msgspec.Struct, frozen=True):
    """The share of streams that their users leave early, and when: after `low` to `high` token events, or ns."""

    share: float
    by_tokens: bool
    low: int
    high: int

    def leave(self, seed: int, stream: str) -> Leave | None:
        """When the user leaves this stream, or None; always the same for the same seed and stream."""
        rng = random.Random(f"{seed}/abandon/{stream}")
        if rng.random() >= self.share:
            return None
        at = rng.randint(self.low, self.high)
        return Leave(tokens=at) if self.by_tokens else Leave(after_ns=at)


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A load model. With `rate` or `replay` the loop is open; with `users` or `stages` it is closed.

    With both, the sessions of the trace start at the rate. With `by_users` each user plays one session after the other.
    `trace` says how the file is read and replayed.

    `connections` HTTP/2 connections of each process carry all its streams; None gives each user its own connection.
    Streams are started for `length_ns`, the warm-up included. Streams that still run then have `drain_ns` to end.
    `replica_header` is the field of an answer that names the replica which gave it. With `replica_address`, that is
    the address which answered.
    """

    length_ns: int
    warmup_ns: int = 0
    drain_ns: int = 0
    seed: int = 1
    processes: int = 1
    users: int = 1
    think: Think | None = None
    stages: tuple[Stage, ...] = ()
    spawn_rate: float | None = None
    rate: Rate | None = None
    replay: str | None = None
    trace: TraceControls = TraceControls()
    understood: str | None = None
    by_users: bool = False
    max_streams: int | None = None
    connections: int | None = None
    abandon: Abandon | None = None
    replica_header: str | None = None
    replica_address: bool = False

    def replica_of(self, capture: Capture) -> str | None:
        """The name of the replica that answered, where the load asks for it."""
        if capture.head is None:
            return None
        if self.replica_address:
            return capture.peer
        name = None if self.replica_header is None else capture.head.get(self.replica_header)
        return brief(name, _MOST_REPLICA_CHARS) if name else None

    @property
    def is_open(self) -> bool:
        """Whether streams start on a schedule, and not when a user is free."""
        return self.rate is not None or (self.replay is not None and not self.by_users)

    @property
    def changes(self) -> str | None:
        """How the plan changes the load during the run; None for a load that is the same all the time."""
        if self.stages:
            return "the stages change the number of users"
        return "the rate of a trace changes" if self.replay is not None else None

    @property
    def model(self) -> str:
        """The load model in a few words."""
        if self.replay is not None:
            how = f", sessions started at {self.rate}" if self.rate is not None else ""
            if self.by_users:
                how = f" by {f'{self.users} users' if not self.stages else 'users by stages'}, session by session"
            return f"replay of {Path(self.replay).name}{how}"
        if self.rate is not None:
            return str(self.rate)
        if self.stages:
            return "users by stages " + ",".join(map(str, self.stages))
        return f"{self.users} users"

    def arrivals(self) -> Iterator[Arrival]:
        """The whole schedule of an open loop. Raises UsageError when the trace cannot be read."""
        if self.replay is None:
            if self.rate is not None:
                yield from arrivals(self.rate, self.length_ns, self.seed)
            return
        path = Path(self.replay)
        if self.rate is not None:
            starts = arrivals(self.rate, self.length_ns, self.seed)
            schedule: Iterable[Arrival] = arrivals_at(starts, read_trace(path, self.trace), self.trace, path.name)
        else:
            schedule = read_arrivals(path, self.trace)
        for arrival in schedule:
            if arrival.at_ns >= self.length_ns:
                break
            yield arrival

    def prepare(self) -> None:
        """Read the trace now: a file of 3 MB takes 0.4 s, by which the first streams of the run would be late."""
        if self.replay is not None and self.is_open and self.rate is None:
            read_arrivals(Path(self.replay), self.trace)
        self.recorded()

    def sessions(self) -> Iterator[Arrival]:
        """The sessions of the trace in turn, without an end, for users who play them. Raises UsageError."""
        assert self.replay is not None, "only a replay has sessions"
        return sessions_in_turn(read_trace(Path(self.replay), self.trace), self.trace, Path(self.replay).name)

    def recorded(self) -> Sequence[Request]:
        """The requests of the trace; empty without one."""
        return read_trace(Path(self.replay), self.trace).requests if self.replay is not None else ()

    def cap(self, worker: int) -> int | None:
        """The limit of open streams of one process; the limits of all processes add up to `max_streams`."""
        if self.max_streams is None:
            return None
        return self.max_streams // self.processes + (worker < self.max_streams % self.processes)

    def leave(self, stream: str) -> Leave | None:
        """When the stream of that name is left early, or None."""
        return self.abandon.leave(self.seed, stream) if self.abandon else None


def parse_think(text: str) -> Think:
    """`2s`, `exp(2s)` or `uniform(1s,3s)`. Raises UsageError on anything else."""
    match = _MODEL.fullmatch(text.strip())
    if match is None:
        at = parse_bounded(text, "--think-time")
        return Think(at, at)
    parts = [parse_bounded(part, f"--think-time {text!r}:") for part in match[2].split(",")]
    if match[1] == "exp" and len(parts) == 1:
        return Think(parts[0], parts[0], exponential=True)
    if match[1] == "uniform" and len(parts) == 2 and parts[0] <= parts[1]:
        return Think(parts[0], parts[1])
    raise UsageError(
        f"--think-time {text!r} cannot be read", "write 2s, exp(2s) or uniform(1s,3s), the smaller number first"
    )


def parse_abandon(text: str) -> Abandon:
    """The rule in `10%@tokens:5..50` or `10%@2s..5s`, or with one number in place of a range. Raises UsageError."""
    hint = "write for example 10%@tokens:5..50 (after 5 to 50 token events) or 10%@2s..5s (2 to 5 s after the request)"
    share, at, when = text.strip().partition("@")
    match = _SHARE.fullmatch(share)
    if not at or match is None or not 0 < float(match[1]) <= 100:
        raise UsageError(
            f"--abandon {text!r} does not begin with a share of the streams, above 0% and up to 100%", hint
        )
    by_tokens = when.startswith("tokens:")
    low, dots, high = when.removeprefix("tokens:").partition("..")
    bounds = [_bound(part, by_tokens=by_tokens, text=text, hint=hint) for part in ([low, high] if dots else [low, low])]
    if bounds[0] > bounds[1]:
        raise UsageError(f"--abandon {text!r}: the second bound is below the first", hint)
    return Abandon(float(match[1]) / 100, by_tokens, bounds[0], bounds[1])


def _bound(part: str, *, by_tokens: bool, text: str, hint: str) -> int:
    if not by_tokens:
        return parse_bounded(part, f"--abandon {text!r}:")
    if not re.fullmatch(r"[0-9]{1,7}", part) or not int(part):
        raise UsageError(f"--abandon {text!r}: {part!r} is not a number of tokens above 0", hint)
    return int(part)
