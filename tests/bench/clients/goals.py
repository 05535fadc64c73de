"""The goals of the project for cost and accuracy, each judged by the figures of a run of the bench."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.bench.clients.measuring import Figures
from tests.bench.clients.results import Results
from tests.bench.clients.scenarios import FLOOR, OURS


class Judged(NamedTuple):
    """One figure beside its goal. `met` is None when it was not measured."""

    goal: str
    where: str
    figure: str
    met: bool | None


Demand = Callable[[Figures], tuple[bool, str]]


def judged(results: Results) -> Iterator[Judged]:
    """Every goal."""
    for streams, most in ((100, 2.6), (400, 2.0), (1_000, 2.0)):
        yield _cost(results, streams, FLOOR, most)
    for streams in (100, 400):
        yield _cost(results, streams, "aiohttp", 0.5)
    for goal, scenario, streams, demand in DEMANDS:
        yield _judge(results, goal, scenario, streams, demand)


def _cost(results: Results, streams: int, to: str, most: float) -> Judged:
    case = results.case("aligned", streams)
    ratio = case.ratio(OURS, to) if case else None
    goal = f"CPU per token at most {most:g} × that of the {to}" if to == FLOOR else f"at most {most:g} × that of {to}"
    where = f"aligned, {streams:,} streams"
    return Judged(goal, where, "-" if ratio is None else f"{ratio:.2f} ×", None if ratio is None else ratio <= most)


def _judge(results: Results, goal: str, scenario: str, streams: int, demand: Demand) -> Judged:
    case = results.case(scenario, streams)
    ours = case.of(OURS) if case else None
    met, figure = (None, "-") if ours is None else demand(ours)
    return Judged(goal, f"{scenario}, {streams:,} streams", figure, met)


def _accurate(ttft_ms: float, itl_ms: float | None = None, *, valid: bool = True) -> Demand:
    def demand(ours: Figures) -> tuple[bool, str]:
        met = ours.ttft_error_p99 is not None and abs(ours.ttft_error_p99) <= ttft_ms
        figure = f"TTFT {_ms(ours.ttft_error_p99)}"
        if itl_ms is not None:
            met &= ours.itl_error_p99 is not None and abs(ours.itl_error_p99) <= itl_ms
            figure += f", ITL {_ms(ours.itl_error_p99)}"
        return (met and (ours.verdict == "VALID" or not valid)), f"{figure}, {ours.verdict}"

    return demand


def _bounded(ttft_ms: float) -> Demand:
    def demand(ours: Figures) -> tuple[bool, str]:
        met, figure = _accurate(ttft_ms, valid=False)(ours)
        stated = f"bound {_ms(ours.ttft_bound_p99)}"
        return met and bool(ours.bound_holds), f"{figure}, {stated} {'holds' if ours.bound_holds else 'does not hold'}"

    return demand


def _small(rss_mib: float) -> Demand:
    def demand(ours: Figures) -> tuple[bool, str]:
        met = ours.lost == 0 and ours.rss_mib < rss_mib and ours.verdict == "VALID"
        return met, f"{ours.lost} lost, {ours.rss_mib:.0f} MiB, {ours.verdict}"

    return demand


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"


ACCURATE_400: Final = _accurate(0.2, 0.2)
ACCURATE_1000: Final = _accurate(0.5, 0.2)
DEMANDS: Final[tuple[tuple[str, str, int, Demand], ...]] = (
    ("TTFT p99 error at most 0.2 ms, ITL p99 error at most 0.2 ms, VALID", "aligned", 400, ACCURATE_400),
    ("TTFT p99 error at most 0.5 ms, ITL p99 error at most 0.2 ms, VALID", "aligned", 1_000, ACCURATE_1000),
    ("out of phase at least as good: 0.2 ms and 0.2 ms, VALID", "unequal", 400, ACCURATE_400),
    ("out of phase at least as good: 0.5 ms and 0.2 ms, VALID", "unequal", 1_000, ACCURATE_1000),
    ("TTFT p99 error at most 1.5 ms, and the stated bound holds", "starved", 400, _bounded(1.5)),
    ("no stream lost, RSS below 600 MiB, VALID", "slow", 5_000, _small(600)),
    ("TTFT p99 error at most 2 ms, VALID", "http2", 100, _accurate(2)),
    ("TTFT p99 within 5 ms of the ledger", "busy", 50, _accurate(5, valid=False)),
)
