"""The options that say how a trace is read and replayed, the same for `load` and `capacity`."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from streamgauge.loadgen.traces.controls import COLUMNS
from streamgauge.loadgen.traces.registry import FORMATS

TRACE: Final = "Replay of a trace: its format is found by the content, and what was understood is shown"


def _trace(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=TRACE, **rest)


@dataclass(frozen=True, kw_only=True)
class TraceFlags:
    """Keywords of `streamgauge.loadgen.traces.controls.controls_from`, without `turns`: only `load` has it."""

    time_unit: Annotated[
        str | None,
        _trace(
            metavar="UNIT",
            help="Unit of the timestamps: s, ms, us, ns, or a number of seconds. Default: by the format and the "
            "values.",
        ),
    ] = None
    trace_format: Annotated[
        str | None,
        _trace(
            "--trace-format",
            metavar="NAME",
            help=f"{', '.join(form.key for form in FORMATS)}. Default: by the columns.",
        ),
    ] = None
    trace_columns: Annotated[
        str | None,
        _trace(
            metavar="NAME=COLUMN,...",
            help=f"What columns of other names mean, such as timestamp=arrived_at. NAME: {', '.join(COLUMNS)}.",
        ),
    ] = None
    block_tokens: Annotated[
        int | None,
        _trace(metavar="N", min=1, help="Tokens of a block of hash_ids. Default: as the format defines it."),
    ] = None
    time_scale: Annotated[
        str | None,
        _trace(metavar="FACTOR", help="Multiply the times of the trace: 0.5 replays twice as fast."),
    ] = None
    trace_window: Annotated[
        str | None,
        _trace(
            metavar="FROM..UNTIL",
            help="Only this part, counted from the first arrival: 10m..20m or ..5m.",
        ),
    ] = None
    max_gap: Annotated[
        str | None,
        _trace(metavar="DURATION", help="Shorten longer gaps between arrivals, and longer pauses, to this."),
    ] = None
    max_prompt_tokens: Annotated[
        int | None, _trace(metavar="N", min=1, help="Cut longer prompts of the trace to N tokens.")
    ] = None
    max_output_tokens: Annotated[
        int | None, _trace(metavar="N", min=1, help="Cut longer answers of the trace to N tokens.")
    ] = None
    session_header: Annotated[
        str | None,
        _trace(
            metavar="NAME",
            help="Send the session in this header field, such as X-Session-Affinity: a balancer can then keep it on "
            "one replica.",
        ),
    ] = None
