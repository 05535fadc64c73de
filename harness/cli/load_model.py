"""The options of `streamgauge load` for the load model: how many users or arrivals, and for how long."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamgauge.cli.trace_options import TRACE, TraceFlags
from streamgauge.loadgen.schedule import MAX_USERS

_CLOSED: Final = "Closed loop: a user sends the next request when its answer has ended"
_OPEN: Final = "Open loop: streams start on a schedule, even if earlier streams are slow"


def _option(*names: str, panel: str | None = None, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **rest)


Users = Annotated[
    int | None,
    _option("--users", "-u", panel=_CLOSED, metavar="N", min=1, max=MAX_USERS, help="Concurrent users. Default: 10."),
]
ThinkTime = Annotated[
    str | None,
    _option(
        panel=_CLOSED,
        metavar="PAUSE",
        help="A user's pause before its next request: 2s, exp(2s) or uniform(1s,3s). Default: no pause. After an HTTP "
        "error or a failed connection, the pause is half a second longer.",
    ),
]
Stages = Annotated[
    str | None,
    _option(
        panel=_CLOSED,
        metavar="STAGES",
        help="Users over time instead of --users: 50:30s,200:1m. When the number goes down, the users that stop leave "
        "their streams.",
    ),
]
SpawnRate = Annotated[
    float | None,
    _option(panel=_CLOSED, metavar="N", min=0.01, help="Users started per second. Default: all in the first second."),
]
RateText = Annotated[str | None, _option("--rate", panel=_OPEN, metavar="RATE", help="Arrivals: 20/s, 600/min or 5/h.")]
Arrivals = Annotated[
    str,
    _option(
        panel=_OPEN, metavar="KIND", help="Distribution of arrivals: poisson, constant or gamma:CV (burstier above 1)."
    ),
]
Replay = Annotated[
    Path | None,
    _option(
        panel=TRACE,
        metavar="FILE",
        help="Replay the requests of a trace: Mooncake, aiperf, Bailian, WEKA, BurstGPT, Azure, Baseten, ShareGPT, or "
        "CSV or JSONL with timestamp[, prompt_tokens, output_tokens]. With --rate its sessions start at that rate; "
        "with --users or --stages each user plays one session after the other.",
    ),
]
Turns = Annotated[
    str | None,
    _option(
        panel=TRACE,
        metavar="WHEN",
        help="Later turns of a session: recorded (at their recorded times, the default), or waiting (after the "
        "answer to the turn before and the recorded pause).",
    ),
]
MaxStreams = Annotated[
    int | None,
    _option(
        panel=_OPEN,
        metavar="N",
        min=1,
        help="Limit of concurrent streams. The report counts the arrivals that the limit delays or drops.",
    ),
]
Duration = Annotated[
    str | None,
    _option("--duration", "-d", metavar="DURATION", help="Streams are started for this long, after the warm-up."),
]
Warmup = Annotated[
    str, _option(metavar="DURATION", help="Time before the duration; streams that start in it do not count.")
]
Drain = Annotated[
    str, _option(metavar="DURATION", help="Time after the duration for running streams to finish; then they are cut.")
]
Seed = Annotated[
    int,
    _option(metavar="N", min=0, max=999_999_999, help="Seed for arrivals, pauses and abandoned streams."),
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
    int, _option(metavar="P", help="Processes that share the users or the arrivals; -1: one for each CPU.")
]

Connections = Annotated[
    int | None,
    _option(
        metavar="N",
        min=1,
        max=MAX_USERS,
        help="With --http2: all users of a process share N connections. A stream takes the connection with the fewest "
        "streams; it waits while the endpoint allows no more, and the report counts this wait as schedule delay. "
        "Default: each user has its own connection.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class LoadModelOptions:
    """The keywords of `streamgauge.loadgen.model.workload_from`."""

    duration: Duration = None
    warmup: Warmup = "0"
    drain: Drain = "0"
    seed: Seed = 1
    processes: Processes = 1
    abandon: AbandonText = None
    users: Users = None
    think_time: ThinkTime = None
    stages: Stages = None
    spawn_rate: SpawnRate = None
    rate: RateText = None
    arrivals: Arrivals = "poisson"
    replay: Replay = None
    trace: TraceFlags
    turns: Turns = None
    max_streams: MaxStreams = None
    connections: Connections = None
