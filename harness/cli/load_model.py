"""The options of `streamgauge load` that make the load model, and what they are together."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamgauge.cli.distributed import count_processes
from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import MAX_USERS, count, parse_rate, parse_stages
from streamgauge.loadgen.workload import Workload, parse_abandon, parse_think, read_trace
from streamgauge.units import SECOND, parse_bounded

DEFAULT_USERS: Final = 10
DEFAULT_DURATION: Final = "30s"

_CLOSED: Final = "Closed loop: a user asks again when its answer has ended"
_OPEN: Final = "Open loop: streams start by a schedule, however long the earlier ones take"


def _option(*names: str, panel: str | None = None, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **rest)


Users = Annotated[
    int | None,
    _option("--users", "-u", panel=_CLOSED, metavar="N", min=1, max=MAX_USERS, help="Concurrent users; 10."),
]
ThinkTime = Annotated[
    str | None,
    _option(
        panel=_CLOSED,
        metavar="PAUSE",
        help="A user's pause before it asks again: 2s, exp(2s) or uniform(1s,3s); none if not given. After a refusal, "
        "or no connection, another half second.",
    ),
]
Stages = Annotated[
    str | None,
    _option(
        panel=_CLOSED,
        metavar="STAGES",
        help="Users over time instead of --users: 50:30s,200:1m. A step down cuts the streams of those who leave.",
    ),
]
SpawnRate = Annotated[
    float | None,
    _option(panel=_CLOSED, metavar="N", min=0.01, help="Users started a second; all in the first second if not given."),
]
RateText = Annotated[str | None, _option("--rate", panel=_OPEN, metavar="RATE", help="Arrivals: 20/s, 600/min or 5/h.")]
Arrivals = Annotated[
    str,
    _option(panel=_OPEN, metavar="KIND", help="How they are spread: poisson, constant or gamma:CV (burstier above 1)."),
]
Replay = Annotated[
    Path | None,
    _option(
        panel=_OPEN,
        metavar="FILE",
        help="Arrivals from a trace instead of --rate: CSV or JSONL with timestamp[, prompt_tokens, output_tokens].",
    ),
]
MaxStreams = Annotated[
    int | None,
    _option(
        panel=_OPEN,
        metavar="N",
        min=1,
        help="At most so many streams at once; what that delays or drops is reported.",
    ),
]
Duration = Annotated[
    str | None, _option("--duration", "-d", metavar="DURATION", help="How long streams are started, after the warm-up.")
]
Warmup = Annotated[
    str, _option(metavar="DURATION", help="Comes before the duration; streams that start in it are left out.")
]
Drain = Annotated[
    str, _option(metavar="DURATION", help="Time after the end in which running streams may finish; else they are cut.")
]
Seed = Annotated[
    int,
    _option(metavar="N", min=0, max=999_999_999, help="Draws schedule, pauses and who leaves."),
]
AbandonText = Annotated[
    str | None,
    _option(
        "--abandon",
        metavar="SHARE@WHEN",
        help="Close a share of the streams early, as users do: 10%@tokens:5..50 or 10%@2s..5s.",
    ),
]
Processes = Annotated[
    int, _option(metavar="P", help="Processes that share the users or the arrivals; -1 for one for each CPU.")
]

_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "duration": (Duration, None),
    "warmup": (Warmup, "0"),
    "drain": (Drain, "0"),
    "seed": (Seed, 1),
    "processes": (Processes, 1),
    "abandon": (AbandonText, None),
    "users": (Users, None),
    "think_time": (ThinkTime, None),
    "stages": (Stages, None),
    "spawn_rate": (SpawnRate, None),
    "rate": (RateText, None),
    "arrivals": (Arrivals, "poisson"),
    "replay": (Replay, None),
    "max_streams": (MaxStreams, None),
}


def with_workload(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets them as one `workload`, its second parameter."""

    def run(target: Any, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        command(target, workload_from(**chosen), **given)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in ("target", "workload")
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    target = inspect.signature(command).parameters["target"]
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__signature__ = inspect.Signature([target, *shared, *own])  # type: ignore[attr-defined]
    return run


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
    replay: Path | None = None,
    max_streams: int | None = None,
) -> Workload:
    """The load model that the options ask for. Raises UsageError on what cannot be read or does not go together."""
    processes = count_processes(processes)
    is_open = rate is not None or replay is not None
    loop = "--rate" if rate is not None else "--replay"
    _exclusive("--rate", rate, {"--replay": replay})
    _exclusive("--stages", stages, {"--users": users, "--duration": duration})
    closed_only = {"--users": users, "--stages": stages, "--think-time": think_time, "--spawn-rate": spawn_rate}
    _exclusive(loop, is_open or None, closed_only)
    if not is_open and (max_streams is not None or arrivals != "poisson"):
        name = "--arrivals" if max_streams is None else "--max-streams"
        raise UsageError(f"{name} belongs to an open loop", "give --rate or --replay; --users caps a closed loop")
    if max_streams is not None and max_streams < processes:
        raise UsageError(f"--max-streams {max_streams} is less than one for each of {processes} processes")
    warmup_ns, drain_ns = parse_bounded(warmup, "--warmup"), parse_bounded(drain, "--drain")
    trace = read_trace(replay) if replay is not None else None  # said before the run, not by each of its processes
    parsed = parse_stages(stages) if stages is not None else ()
    arriving = parse_rate(rate, arrivals) if rate is not None else None
    if parsed:
        length_ns = warmup_ns + sum(stage.length_ns for stage in parsed)
    elif trace is not None and duration is None:
        length_ns = trace[-1].at_ns + SECOND  # the last arrival may be late, but is not dropped at once
    else:
        length_ns = warmup_ns + parse_bounded(duration or DEFAULT_DURATION, "--duration")
    if length_ns <= (warmup_ns if replay is None or duration else 0):
        raise UsageError("--duration must be more than 0", "write for example 30s")
    if arriving is not None and not count(arriving, length_ns):
        raise UsageError(f"--rate {rate} makes no arrival in {length_ns / SECOND:g} s", "raise --rate or --duration")
    return Workload(
        length_ns=length_ns,
        warmup_ns=warmup_ns,
        drain_ns=drain_ns,
        seed=seed,
        processes=processes,
        users=users or DEFAULT_USERS,
        think=parse_think(think_time) if think_time is not None else None,
        stages=parsed,
        spawn_rate=spawn_rate,
        rate=arriving,
        replay=None if replay is None else str(replay.resolve()),
        max_streams=max_streams,
        abandon=parse_abandon(abandon) if abandon is not None else None,
    )


def _exclusive(option: str, given: object, others: Mapping[str, object]) -> None:
    clash = [name for name, value in others.items() if value is not None]
    if given is not None and clash:
        raise UsageError(f"{option} and {clash[0]} do not go together", f"drop {' and '.join(clash)}, or {option}")
