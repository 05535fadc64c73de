"""How a trace is read and replayed, as the options say it. Part of the workload, so it travels to every process."""

import re
from typing import Final, TypedDict

import msgspec

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.registry import format_named
from streamgauge.loadgen.traces.time_unit import UNITS
from streamgauge.loadgen.traces.values import MAX_TOKENS
from streamgauge.units import SECOND, parse_bounded

COLUMNS: Final = ("timestamp", "prompt_tokens", "output_tokens", "session_id", "hash_ids")
"""The columns of our own format: what --trace-columns can say about columns of other names."""

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 section 5.6.2
_SCALE: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")


class TraceControls(msgspec.Struct, frozen=True, kw_only=True):
    """`unit_ns` None: the unit is found in the file. `columns`: our name -> the name in the file.

    Times of the trace are cut to the window (from its first arrival), then gaps longer than `max_gap_ns` are shortened,
    then all is multiplied by `scale`. With `closed`, a turn of a session waits for the turn before it.
    `session_header` names a header field that carries the session, for a balancer that keeps it on one replica.
    """

    unit_ns: float | None = None
    format: str | None = None
    columns: dict[str, str] = {}
    block_tokens: int | None = None
    scale: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None
    max_gap_ns: int | None = None
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    closed: bool = False
    session_header: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether only a part of the trace is played."""
        return bool(self.from_ns) or self.until_ns is not None

    def scaled(self, length_ns: int) -> int:
        """A pause of the trace in the replay: shortened to the longest gap, then scaled."""
        return round((length_ns if self.max_gap_ns is None else min(length_ns, self.max_gap_ns)) * self.scale)


class TraceOptions(TypedDict, total=False):
    """The keywords of `controls_from`: the options of `load --replay`."""

    time_unit: str | None
    trace_format: str | None
    trace_columns: str | None
    block_tokens: int | None
    time_scale: str | None
    trace_window: str | None
    max_gap: str | None
    max_prompt_tokens: int | None
    max_output_tokens: int | None
    turns: str | None
    session_header: str | None


def controls_from(
    *,
    time_unit: str | None = None,
    trace_format: str | None = None,
    trace_columns: str | None = None,
    block_tokens: int | None = None,
    time_scale: str | None = None,
    trace_window: str | None = None,
    max_gap: str | None = None,
    max_prompt_tokens: int | None = None,
    max_output_tokens: int | None = None,
    turns: str | None = None,
    session_header: str | None = None,
) -> TraceControls:
    """The controls that these options say. Raises UsageError on text that cannot be read."""
    from_ns, until_ns = parse_window(trace_window) if trace_window is not None else (0, None)
    return TraceControls(
        unit_ns=parse_time_unit(time_unit) if time_unit is not None else None,
        format=format_named(trace_format).key if trace_format is not None else None,
        columns=parse_columns(trace_columns) if trace_columns is not None else {},
        block_tokens=_tokens("--block-tokens", block_tokens),
        scale=parse_time_scale(time_scale) if time_scale is not None else 1.0,
        from_ns=from_ns,
        until_ns=until_ns,
        max_gap_ns=parse_bounded(max_gap, "--max-gap") if max_gap is not None else None,
        max_prompt_tokens=_tokens("--max-prompt-tokens", max_prompt_tokens),
        max_output_tokens=_tokens("--max-output-tokens", max_output_tokens),
        closed=_closed(turns),
        session_header=_header(session_header),
    )


def _tokens(option: str, tokens: int | None) -> int | None:
    if tokens is not None and not 1 <= tokens <= MAX_TOKENS:
        raise UsageError(f"{option} {tokens} is out of range", f"give a number from 1 to {MAX_TOKENS:,}")
    return tokens


def _closed(turns: str | None) -> bool:
    if turns not in (None, "recorded", "waiting"):
        raise UsageError(
            f"--turns {turns!r} is not known",
            "write recorded (each turn at its recorded time) or waiting (after the answer to the turn before it)",
        )
    return turns == "waiting"


def _header(name: str | None) -> str | None:
    if name is not None and not _FIELD_NAME.fullmatch(name):
        raise UsageError(f"--session-header {name!r} is not the name of a header field", "such as X-Session-Affinity")
    return name


def parse_time_unit(text: str) -> float:
    """The nanoseconds of a unit: s, ms, us, ns, or a number of seconds (vLLM's multiplier). Raises UsageError."""
    cleaned = text.strip().lower()
    if cleaned in UNITS:
        return UNITS[cleaned]
    seconds = float(cleaned) if _SCALE.fullmatch(cleaned) else 0.0
    if not 1e-9 <= seconds <= 86_400:
        raise UsageError(
            f"--time-unit {text!r} is not a unit", "write s, ms, us, ns, or a number of seconds such as 60"
        )
    return seconds * SECOND


def parse_time_scale(text: str) -> float:
    """The factor in `0.5`. Raises UsageError."""
    scale = float(text) if _SCALE.fullmatch(text.strip()) else 0.0
    if not 0.000_001 <= scale <= 1_000:
        raise UsageError(
            f"--time-scale {text!r} is not a factor from 0.000001 to 1000",
            "0.5 replays in half the time, twice as fast",
        )
    return scale


def parse_window(text: str) -> tuple[int, int | None]:
    """The part of a trace in `10m..20m`, `10m..` or `..20m`, in ns from its first arrival. Raises UsageError."""
    low, dots, high = text.strip().partition("..")
    if not dots or not (low or high):
        raise UsageError(
            f"--trace-window {text!r} is not a window", "write FROM..UNTIL, such as 10m..20m, 10m.. or ..20m"
        )
    from_ns = _edge(low, text) if low else 0
    until_ns = _edge(high, text) if high else None
    if until_ns is not None and until_ns <= from_ns:
        raise UsageError(f"--trace-window {text!r} ends before it begins", "write the smaller time first")
    return from_ns, until_ns


def _edge(text: str, whole: str) -> int:
    return parse_bounded(text, f"--trace-window {whole!r}:")


def parse_columns(text: str) -> dict[str, str]:
    """The names in `timestamp=arrived_at,prompt_tokens=num_prefill`. Raises UsageError that names the part."""
    found: dict[str, str] = {}
    for part in text.split(","):
        own, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not name or own not in COLUMNS or own in found:
            raise UsageError(
                f"--trace-columns {text!r}: {part.strip()!r} cannot be used",
                f"write NAME=COLUMN with commas between; NAME is one of {', '.join(COLUMNS)}, each at most once",
            )
        found[own] = name.lower()
    if "timestamp" not in found:
        found["timestamp"] = "timestamp"
    return found
