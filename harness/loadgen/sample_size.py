"""How many streams a run will give, and whether its objectives can be decided with them: said before it begins."""

from collections.abc import Sequence
from typing import Final

from streamgauge.loadgen.progress import Expected
from streamgauge.loadgen.workload import Think, Workload
from streamgauge.metrics.concurrency import Alone
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import needed_streams
from streamgauge.units import MS, SECOND, plural, show_ms

_SHORTEST_NS: Final = MS  # of a stream: a figure for one that failed at once says nothing about the others


def expected(workload: Workload, slos: Sequence[Condition], alone: Alone | None) -> Expected | None:
    """What the run and its objectives need; None when no objective rests on a sample, or nothing can be foreseen."""
    needs = {str(slo): least for slo in slos if (least := needed_streams(slo)) is not None}
    streams = expected_streams(workload, alone)
    if not needs or streams is None:
        return None
    each = ", ".join(f"{slo} needs {least:,}" for slo, least in needs.items())
    about = "about" if workload.is_open else "at most about"  # under load, streams are not faster than one alone
    said = (
        f"{about} {plural(streams, 'stream')} expected{_because(workload, alone)}. To be met at {CONFIDENCE:.0%} "
        f"confidence, without a stream beyond the limit: {each}."
    )
    short = [slo for slo, least in needs.items() if least > streams]
    if short:
        times = max(needs.values()) / max(streams, 1)
        seconds = (workload.length_ns - workload.warmup_ns) / SECOND * times
        said += f" {'; '.join(short)} can only be missed or stay undecided: give --duration {_rounded_up(seconds)}s"
    return Expected(streams, said)


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
