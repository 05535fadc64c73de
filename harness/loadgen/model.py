"""The load model from the texts that people write: `users=50`, `rate="20/s"`, `duration="30s"`.

The keywords are the options of `streamgauge load`, so the messages name them as the options are spelt.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import count, parse_rate, parse_stages
from streamgauge.loadgen.traces.controls import TraceControls, TraceOptions, controls_from
from streamgauge.loadgen.traces.files import forget_traces, read_arrivals, read_trace
from streamgauge.loadgen.traces.time_unit import show_span
from streamgauge.loadgen.traces.timetable import sessions_in_turn
from streamgauge.loadgen.traces.understood import understood
from streamgauge.loadgen.workload import Workload, parse_abandon, parse_think
from streamgauge.units import LONGEST_NS, SECOND, parse_bounded

USERS: Final = 10
DURATION: Final = "30s"
MAX_PROCESSES: Final = 1024  # each takes 60 MB; a typing error must not exhaust the machine


class LoadModel(TraceOptions, TypedDict, total=False):
    """The keywords of `workload_from`."""

    duration: str | None
    warmup: str
    drain: str
    seed: int
    processes: int
    abandon: str | None
    users: int | None
    think_time: str | None
    stages: str | None
    spawn_rate: float | None
    rate: str | None
    arrivals: str
    replay: Path | str | None
    max_streams: int | None
    connections: int | None


def workload_from(
    *,
    duration: str | None = None,
    warmup: str = "0",
    drain: str = "0",
    seed: int = 1,
    processes: int = 1,
    abandon: str | None = None,
    users: int | None = None,
    think_time: str | None = None,
    stages: str | None = None,
    spawn_rate: float | None = None,
    rate: str | None = None,
    arrivals: str = "poisson",
    replay: Path | str | None = None,
    max_streams: int | None = None,
    connections: int | None = None,
    **trace_options: Unpack[TraceOptions],
) -> Workload:
    """The load model of these options. Raises UsageError on text that cannot be read and on options that conflict."""
    processes = count_processes(processes)
    by_users = replay is not None and rate is None and (users is not None or stages is not None)
    is_open = (rate is not None or replay is not None) and not by_users
    loop = "--rate" if rate is not None else "--replay"
    _exclusive("--stages", stages, {"--users": users, "--duration": duration})
    closed_only = {"--users": users, "--stages": stages, "--think-time": think_time, "--spawn-rate": spawn_rate}
    _exclusive(loop, is_open or None, closed_only)
    if by_users and trace_options.get("turns") == "recorded":
        raise UsageError("--turns recorded and --users do not go together", "a user plays one turn after the other")
    if not is_open and (max_streams is not None or arrivals != "poisson"):
        name = "--arrivals" if max_streams is None else "--max-streams"
        raise UsageError(f"{name} belongs to an open loop", "give --rate or --replay; --users caps a closed loop")
    if max_streams is not None and max_streams < processes:
        raise UsageError(f"--max-streams {max_streams} is less than one for each of {processes} processes")
    warmup_ns, drain_ns = parse_bounded(warmup, "--warmup"), parse_bounded(drain, "--drain")
    controls = _controls(replay, trace_options)
    parsed = parse_stages(stages) if stages is not None else ()
    arriving = parse_rate(rate, arrivals) if rate is not None else None
    played = "one after the other by each user" if by_users else None if arriving is None else f"started at {arriving}"
    text, recorded_ns = _read(replay, controls, played)  # a bad file fails here, not in each of the processes
    if parsed:
        length_ns = warmup_ns + sum(stage.length_ns for stage in parsed)
    elif recorded_ns is not None and duration is None:
        length_ns = recorded_ns
    else:
        length_ns = warmup_ns + parse_bounded(duration or DURATION, "--duration")
    if length_ns <= (warmup_ns if recorded_ns is None or duration else 0):
        raise UsageError("--duration must be more than 0", "write for example 30s")
    if arriving is not None and not count(arriving, length_ns):
        raise UsageError(f"--rate {rate} makes no arrival in {length_ns / SECOND:g} s", "raise --rate or --duration")
    return Workload(
        length_ns=length_ns,
        warmup_ns=warmup_ns,
        drain_ns=drain_ns,
        seed=seed,
        processes=processes,
        users=users or USERS,
        think=parse_think(think_time) if think_time is not None else None,
        stages=parsed,
        spawn_rate=spawn_rate,
        rate=arriving,
        replay=None if replay is None else str(Path(replay).absolute()),
        trace=controls,
        understood=text,
        by_users=by_users,
        max_streams=max_streams,
        connections=connections,
        abandon=parse_abandon(abandon) if abandon is not None else None,
    )


def _controls(replay: Path | str | None, options: TraceOptions) -> TraceControls:
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if given and replay is None:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} belongs to a trace", "give --replay FILE too")
    return controls_from(**given)


def _read(replay: Path | str | None, controls: TraceControls, played: str | None) -> tuple[str | None, int | None]:
    """What was understood of the trace, and how long its replay takes; None where a rate or users decide that."""
    if replay is None:
        return None, None
    forget_traces()
    path = Path(replay).absolute()
    trace = read_trace(path, controls)
    if played is not None:
        next(sessions_in_turn(trace, controls, path.name))  # raises when the window holds none
        return understood(trace, [], controls, played), None
    arrivals = read_arrivals(path, controls)
    ends_ns = max(arrival.at_ns + sum(later.pause_ns for later in arrival.followers) for arrival in arrivals)
    if ends_ns > LONGEST_NS:
        raise UsageError(
            f"the replay of {path.name} takes {show_span(ends_ns / SECOND)}, and a run at most a week: "
            f"{understood(trace, arrivals, controls)}",
            "if its times were understood rightly, cut it with --trace-window, or shorten it with --time-scale or "
            "--max-gap; if not, say --time-unit",
        )
    return understood(trace, arrivals, controls), ends_ns + SECOND  # room for the last arrival to be late


def _exclusive(option: str, given: object, others: Mapping[str, object]) -> None:
    clash = [name for name, value in others.items() if value is not None]
    if given is not None and clash:
        raise UsageError(f"{option} and {clash[0]} do not go together", f"drop {' and '.join(clash)}, or {option}")


def count_processes(processes: int) -> int:
    """How many processes to run: -1 is one for each CPU, as in Locust. Raises UsageError on 0 and below -1."""
    if processes == -1:
        return os.cpu_count() or 1
    if processes > MAX_PROCESSES:
        raise UsageError(f"--processes {processes} is more than {MAX_PROCESSES}", "-1 runs one for each CPU")
    if processes < 1:
        raise UsageError(f"--processes {processes} cannot be run", "give a number from 1, or -1 for one for each CPU")
    return processes
