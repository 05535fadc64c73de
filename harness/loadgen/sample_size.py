"""How many streams a run will give, and whether its objectives can be decided with them: said before it begins."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.loadgen.progress import Expected
from streamgauge.loadgen.prompts import PromptSource
from streamgauge.loadgen.schedule import Arrival
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.workload import Think, Workload
from streamgauge.metrics.concurrency import Alone
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import counted, needed_streams
from streamgauge.metrics.stream_class import Bound, Class
from streamgauge.units import MS, SECOND, plural, show_ms

_LOOKED_AT: Final = 2_000  # streams; enough to see how large a class is
_NAMES: Final = {"prompt": "prompt tokens", "output": "output tokens that it asks for", "turn": "its turn"}
_HINTS: Final = {
    "prompt": "give --prompt-tokens, such as --prompt-tokens 'lognormal(2000,1)', or a trace with lengths",
    "output": "give --output-tokens, or a trace with lengths",
    "turn": "only a trace with sessions has turns: --replay FILE",
}
_SHORTEST_NS: Final = MS  # of a stream: a figure for one that failed at once says nothing about the others


class Chosen(NamedTuple):
    """The numbers that a load chooses for a stream, as metrics/stream_class.py names them."""

    prompt: int | None
    output: int | None
    turn: int | None


def check_classes(workload: Workload, slos: Sequence[Condition], prompts: PromptSource) -> None:
    """Raises UsageError when an objective is about a class of streams that this load cannot have."""
    parts = {slo: part for slo in slos if (part := _part(slo))}
    some = _some_streams(workload, prompts) if parts else []
    for slo, part in parts.items():
        for name in [bound.name for bound in part]:
            if some and all(getattr(stream, name) is None for stream in some):
                raise UsageError(
                    f"--slo {str(slo)!r}: no stream of this load has a number of {_NAMES[name]}", _HINTS[name]
                )


def expected(
    workload: Workload, slos: Sequence[Condition], alone: Alone | None, prompts: PromptSource | None = None
) -> Expected | None:
    """What the run and its objectives need; None when no objective rests on a sample, or nothing can be foreseen.

    How many streams belong to the class of an objective follows from `prompts`; without them, it is left out.
    """
    streams = expected_streams(workload, alone)
    if streams is None:
        return None
    needs = list(_needs(workload, slos, streams, prompts))
    if not needs:
        return None
    about = "about" if workload.is_open else "at most about"  # under load, streams are not faster than one alone
    said = (
        f"{about} {plural(streams, 'stream')} expected{_because(workload, alone)}. To be met at {CONFIDENCE:.0%} "
        f"confidence, without a stream beyond the limit: {', '.join(map(str, needs))}."
    )
    short = [need for need in needs if need.least > need.expected]
    if short:
        times = max(need.least / max(need.expected, 1) for need in needs)
        seconds = (workload.length_ns - workload.warmup_ns) / SECOND * times
        said += (
            f" {'; '.join(str(need.slo) for need in short)} can only be missed or stay undecided: give --duration "
            f"{_rounded_up(seconds)}s"
        )
    return Expected(streams, said)


class _Need(NamedTuple):
    """How many streams an objective needs, and how many of its class are expected."""

    slo: Condition
    least: int
    expected: int

    def __str__(self) -> str:
        if counted(self.slo) == "session":
            return f"{self.slo} needs {self.least:,} of the about {plural(self.expected, 'session')}"
        of_class = f" of the about {self.expected:,} of its class" if self.slo.where else ""
        return f"{self.slo} needs {self.least:,}{of_class}"


def _needs(
    workload: Workload, slos: Sequence[Condition], streams: int, prompts: PromptSource | None
) -> Iterator[_Need]:
    parts = {slo: _part(slo) for slo in slos}
    some = _some_streams(workload, prompts) if prompts is not None and any(parts.values()) else []
    for slo, part in parts.items():
        least = needed_streams(slo)
        if least is None or (part and not some):
            continue
        members = sum(all(_allows(bound, stream) for bound in part) for stream in some)
        yield _Need(slo, least, round(streams * members / len(some)) if part else streams)


def _part(slo: Condition) -> Class:
    """The streams that an objective counts; of sessions, it is their first turns."""
    return (Bound("turn", "=", 1),) if counted(slo) == "session" else slo.where


def _allows(bound: Bound, stream: Chosen) -> bool:
    value: int | None = getattr(stream, bound.name)
    return value is not None and bound.allows(value)


def _some_streams(workload: Workload, prompts: PromptSource) -> list[Chosen]:
    """The first streams of the load, which stand for all of them."""
    if workload.replay is None:
        return [Chosen(*prompts.lengths(number), turn=None) for number in range(_LOOKED_AT)]
    arrivals = workload.sessions() if workload.by_users else workload.arrivals()
    return list(islice((stream for arrival in arrivals for stream in _turns(arrival, prompts)), _LOOKED_AT))


def _turns(arrival: Arrival, prompts: PromptSource) -> Iterator[Chosen]:
    """The stream of an arrival, and the later turns of its session."""
    first = arrival.recorded or Request(prompt_tokens=arrival.prompt_tokens, output_tokens=arrival.output_tokens)
    own_prompt, own_output = prompts.lengths(arrival.number)
    for turn, request in ((arrival.turn, first), *((later.turn, later.request) for later in arrival.followers)):
        has_text = request.messages is not None or request.text is not None
        yield Chosen(
            prompt=request.prompt_tokens if has_text or request.prompt_tokens is not None else own_prompt,
            output=own_output if request.output_tokens is None else request.output_tokens,
            turn=None if request.session is None else turn + 1,
        )


def expected_streams(workload: Workload, alone: Alone | None) -> int | None:
    """How many streams start in the measured part of the run; None when that cannot be foreseen.

    Users of a closed loop are expected to be served as fast as the one stream before the load.
    """
    if workload.is_open:
        due = (arrival for arrival in workload.arrivals() if arrival.at_ns >= workload.warmup_ns)
        return sum(1 + len(arrival.followers) for arrival in due)
    if alone is None or alone.e2e_ms is None:
        return None
    turn_ns = max(alone.e2e_ms * MS, _SHORTEST_NS) + (_mean_ns(workload.think) if workload.think else 0)
    return round(_user_ns(workload) / turn_ns)


def _user_ns(workload: Workload) -> float:
    """The time that all users together have in the measured part of the run."""
    if not workload.stages:
        return workload.users * (workload.length_ns - workload.warmup_ns)
    total, at_ns = 0.0, 0
    for stage in workload.stages:
        total += stage.users * max(at_ns + stage.length_ns - max(at_ns, workload.warmup_ns), 0)
        at_ns += stage.length_ns
    return total


def _mean_ns(think: Think) -> float:
    return think.low_ns if think.exponential else (think.low_ns + think.high_ns) / 2


def _because(workload: Workload, alone: Alone | None) -> str:
    if workload.is_open or alone is None or alone.e2e_ms is None:
        return f" ({workload.model})"
    return f" ({workload.model}; one stream alone took {show_ms(alone.e2e_ms * MS)})"


def _rounded_up(seconds: float) -> int:
    step = 1 if seconds < 20 else 10 if seconds < 300 else 60
    return int(-(-seconds // step) * step)
