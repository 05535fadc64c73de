"""What one point says, from its streams."""

from random import Random

import pytest

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.figure import Figure
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.observe import Sample, observe
from streamgauge.capacity.point import Kind, Point, Verdict, judge
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.stream import Fate, Stream, Value
from streamgauge.errors import UsageError
from streamgauge.metrics.intervals import Decision
from streamgauge.units import MS

PROBE = Probe(axis=Axis.USERS, load=10, seconds=100, warmup_s=0, seed=1, purpose=Purpose.DOUBLE)
TTFT = objectives(["ttft p95 < 500ms"])


def value(ms: float, error_ms: float = 0) -> Value:
    return Value(ms * MS, int(ms - error_ms >= 500), int(ms >= 500))


def stream(
    at_s: float, ms: float | None = 200, fate: Fate = Fate.OK, error_ms: float = 0, length_s: float = 1
) -> Stream:
    measured = None if ms is None else value(ms, error_ms)
    return Stream(at_s, at_s + length_s, fate, (measured, None), tokens=10)


def of(streams: list[Stream], probe: Probe = PROBE, **rest: object) -> Point:
    waits = [None if one.values[0] is None else one.values[0].value / 1e9 for one in streams]
    seen = observe(probe, Sample(streams, 0, probe.seconds, waits), TTFT, 0.95, **rest)  # type: ignore[arg-type]
    return judge(probe, seen)


def even(count: int, slow: int = 0, **rest: float) -> list[Stream]:
    """Streams at even times, of which some, spread over the window, are slow."""
    every = count // slow if slow else count + 1
    return [stream(i * 100 / count, 900 if i % every == every - 1 else 200, **rest) for i in range(count)]


def test_59_streams_without_a_miss_pass_and_58_do_not() -> None:
    assert of(even(59)).verdict is Verdict.PASS
    undecided = of(even(58))
    assert undecided.verdict is Verdict.UNDECIDED
    assert "none of 58 streams misses an objective; 59 would decide" in undecided.reason


def test_a_share_of_misses_near_the_allowed_one_is_undecided_and_a_large_one_fails() -> None:
    assert of(even(200, slow=10)).verdict is Verdict.UNDECIDED
    failed = of(even(200, slow=40))
    assert (failed.verdict, failed.kind, failed.missed) == (Verdict.FAIL, Kind.LATENCY, ["ttft p95 < 500ms"])


def test_a_miss_that_this_clients_own_error_explains_fails_nothing() -> None:
    point = of(even(200, slow=40, error_ms=450))

    assert point.verdict is Verdict.UNDECIDED
    assert point.observation.figures[0].possible == 40
    assert point.observation.figures[0].misses == 0


@pytest.mark.parametrize(("fate", "kind"), [(Fate.REFUSED, Kind.REFUSAL), (Fate.BROKEN, Kind.BREAKAGE)])
def test_failed_streams_fail_the_error_rate_and_say_how(fate: Fate, kind: Kind) -> None:
    streams = [stream(i, None if i % 3 == 0 else 200, fate if i % 3 == 0 else Fate.OK) for i in range(99)]
    point = of(streams)

    assert (point.verdict, point.kind, point.missed) == (Verdict.FAIL, kind, ["error_rate < 5%"])


def test_streams_that_the_end_of_the_window_cut_are_counted_and_left_out() -> None:
    streams = even(80) + [stream(99, None, Fate.CUT) for _ in range(30)]
    point = of(streams)

    assert point.verdict is Verdict.PASS
    assert (point.observation.ok, point.observation.cut) == (80, 30)


def test_goodput_counts_errors_and_the_flattering_share_does_not() -> None:
    seen = of([stream(i, None if i % 5 == 0 else 200, Fate.BROKEN if i % 5 == 0 else Fate.OK) for i in range(100)])

    assert (seen.observation.goodput, seen.observation.goodput_of_ok) == (0.8, 1.0)


@pytest.mark.parametrize("verdict", ["SUSPECT", "INVALID"])
def test_a_doubtful_client_decides_nothing_in_either_direction(verdict: str) -> None:
    for streams in (even(200), even(200, slow=100)):
        point = of(streams, client=verdict, client_reasons=["busy"])
        assert (point.verdict, point.client_limited) == (Verdict.UNDECIDED, True)


class TestDoubtAboutOneFigure:
    """The client may have distorted the gaps, and no TTFT."""

    ITL = "itl p95 < 50ms"
    SLOS = objectives(["ttft p95 < 500ms", ITL])

    def of(self, streams: list[Stream]) -> Point:
        with_gaps = [
            one if len(one.values) == 3 else one._replace(values=(one.values[0], Value(10 * MS, 0, 0, 10), None))
            for one in streams
        ]
        sample = Sample(with_gaps, 0, 100, [0.2] * len(with_gaps))
        return judge(PROBE, observe(PROBE, sample, self.SLOS, 0.95, doubts={self.ITL: "late"}))

    def test_it_spoils_a_point_that_needs_this_figure_to_pass(self) -> None:
        point = self.of(even(200))
        assert (point.verdict, point.client_limited) == (Verdict.UNDECIDED, True)
        assert point.reason == "this client is doubtful for itl p95 < 50ms: late"

    def test_a_miss_of_another_objective_is_a_failure_all_the_same(self) -> None:
        point = self.of(even(200, slow=40))
        assert (point.verdict, point.missed) == (Verdict.FAIL, ["ttft p95 < 500ms"])

    def test_a_miss_of_the_doubtful_figure_is_none(self) -> None:
        slow_gaps = [one._replace(values=(one.values[0], Value(90 * MS, 10, 10, 10), None)) for one in even(200)]
        point = self.of(slow_gaps)
        assert point.observation.figures[1].decision is Decision.FAIL
        assert (point.verdict, point.missed) == (Verdict.UNDECIDED, [])


def test_a_load_that_was_not_the_planned_one_decides_nothing() -> None:
    point = of(even(200, slow=100), unusable="a process was killed")

    assert (point.verdict, point.client_limited, point.reason) == (Verdict.UNDECIDED, False, "a process was killed")


def test_an_early_end_is_no_pass_but_its_figures_can_fail() -> None:
    assert of(even(200), stopped="ttft p95 > 2500ms for 5s").verdict is Verdict.UNDECIDED
    assert of(even(200, slow=100), stopped="ttft p95 > 2500ms for 5s").verdict is Verdict.FAIL


def test_waits_that_rise_through_the_window_are_no_steady_state() -> None:
    point = of([stream(i / 2, 100 + i) for i in range(200)])

    assert point.verdict is Verdict.UNDECIDED
    assert point.reason.startswith("no steady state: the TTFT rose all the time")


def test_a_backlog_that_grows_in_an_open_loop_is_a_failure() -> None:
    probe = Probe(axis=Axis.RATE, load=2, seconds=100, warmup_s=0, seed=1, purpose=Purpose.RATE)
    point = of([stream(i / 2, 10 + 2 * i, length_s=1 + i / 10) for i in range(200)], probe)

    assert (point.verdict, point.kind) == (Verdict.FAIL, Kind.BACKLOG)
    assert point.reason.startswith("the backlog grows: 5.8 streams in flight")


def test_a_first_wave_that_is_much_slower_is_a_cold_engine() -> None:
    streams = [stream(i / 10, 450 if i < 10 else 100) for i in range(200)]

    assert "the first wave of 10 streams had a TTFT of 450 ms" in (of(streams).observation.cold or "")
    assert of(even(200)).observation.cold is None


def test_figures_that_contradict_littles_law_decide_nothing() -> None:
    """20 streams a second of half a second each are 10 in flight. Here 30 more of them never end."""
    good = [stream(i / 20, length_s=0.5) for i in range(2_000)]
    assert of(good).observation.little == pytest.approx(0, abs=0.01)
    endless = [stream(50, fate=Fate.CUT, length_s=60) for _ in range(30)]
    point = of(sorted(good + endless, key=lambda one: one.start_s))

    assert point.verdict is Verdict.UNDECIDED
    assert "Little's law" in point.reason


def test_dependent_streams_are_worth_fewer_independent_ones() -> None:
    """Waits that wander slowly between 100 and 400 ms never miss the limit, but say little about the next hour."""
    rng, wait, streams = Random(1), 250.0, []
    for i in range(300):
        wait = min(max(wait + rng.gauss(0, 20), 100), 400)
        streams.append(stream(i / 3, wait))
    figure = of(streams).observation.figures[0]

    assert figure.worth is not None
    assert figure.worth < 30
    assert figure.decision is Decision.UNDECIDED


def test_the_gaps_of_a_stream_are_one_observation() -> None:
    """Each stream has 100 gaps. In 1 of 20 streams all of them are slow: 5 % of the gaps, but only 10 slow streams."""
    slos = objectives(["itl p95 < 50ms"])
    probe = PROBE
    for slow, decision in ((0, Decision.PASS), (10, Decision.UNDECIDED), (80, Decision.FAIL)):
        streams = [
            Stream(
                i / 2, i / 2 + 1, Fate.OK, (Value(60 * MS, 100, 100, 100) if i < slow else Value(0, 0, 0, 100), None)
            )
            for i in range(200)
        ]
        sample = Sample(streams, 0, 100, [None] * 200)
        figure = observe(probe, sample, slos, 0.95, pooled={"itl p95 < 50ms": 20 * MS}).figures[0]
        assert (figure.decision, figure.margin) == (decision, 0.6)


@pytest.mark.parametrize("count", [8, 40])
def test_gaps_without_a_miss_are_worth_their_streams_and_the_reason_says_how_many_more_it_takes(count: int) -> None:
    """A p95 needs 59 streams, however many gaps they have."""
    streams = [Stream(i * 2, i * 2 + 1, Fate.OK, (Value(0, 0, 0, 100), None)) for i in range(count)]
    slos = objectives(["itl p95 < 50ms"])
    sample = Sample(streams, 0, 100, [None] * count)
    point = judge(PROBE, observe(PROBE, sample, slos, 0.95, pooled={"itl p95 < 50ms": 20 * MS}))
    figure = point.observation.figures[0]

    assert figure.decision is Decision.UNDECIDED
    assert figure.least == 59 * 100
    assert (figure.likely or 0) > figure.least
    assert PROBE.seconds < point.likely_s(unknown_s=1e9) < 1e9
    assert point.reason.startswith(
        f"itl p95 < 50ms: none of {count * 100:,} misses it, but they depend on each other and are worth {count}; "
        "about 5,900 would decide"
    )


class TestObjectives:
    def test_one_about_failures_is_added(self) -> None:
        assert [str(one) for one in TTFT] == ["ttft p95 < 500ms", "error_rate < 5%"]
        assert [one.allowed for one in TTFT] == [0.05, 0.05]
        assert [str(one) for one in objectives(["goodput > 95%"])] == ["goodput > 95%"]

    @pytest.mark.parametrize(
        ("slo", "says"),
        [
            ("output_tokens_per_s > 1000", "no property of single streams"),
            ("ttft < 500ms", "no number of streams can prove"),
            ("ttft mean < 500ms", "no percentile"),
            ("error_rate < 1%", "no objective that limits a latency"),
        ],
    )
    def test_what_no_point_can_decide_is_refused(self, slo: str, says: str) -> None:
        with pytest.raises(UsageError, match=says):
            objectives([slo])

    def test_the_streams_that_a_claim_needs(self) -> None:
        (p99, _) = objectives(["ttft p99 < 1s"])
        assert [TTFT[0].needed(0.95), p99.needed(0.99), p99.needed(0.99, 1)] == [59, 459, 662]


class TestHowManyStreamsDecide:
    """A point of 200 streams near the limit says how many would decide it."""

    @staticmethod
    def figure(slow: int, count: int = 200) -> Figure:
        return of(even(count, slow=slow)).observation.figures[0]

    def test_the_nearer_the_share_is_to_the_allowed_one_the_more_it_takes(self) -> None:
        """5 % are allowed: of 200, 7 misses are 3.5 %, and 8 are 4 %."""
        near, nearer = self.figure(7), self.figure(8)
        assert near.likely is not None
        assert nearer.likely is not None
        assert 200 < near.likely < nearer.likely < 5_000
        assert self.figure(10).likely is None, "a share of exactly 5 % is on the limit"

    def test_less_than_the_least_is_not_worth_a_try(self) -> None:
        figure = self.figure(8)
        assert figure.least is not None
        assert figure.likely is not None
        assert 200 <= figure.least < figure.likely
        assert (self.figure(10).least or 0) > 400

    def test_without_a_miss_it_takes_as_many_as_the_objective_needs(self) -> None:
        assert self.figure(0, count=20).least == 59
        assert (self.figure(0, count=20).likely or 0) >= 59

    def test_as_many_streams_as_are_likely_to_decide_do_so_when_the_share_stays_the_same(self) -> None:
        for slow in (4, 7, 16):
            likely = self.figure(slow).likely or 0
            assert of(even(likely, slow=likely * slow // 200)).verdict is not Verdict.UNDECIDED

    def test_the_reason_says_it(self) -> None:
        assert of(even(200, slow=8)).reason.startswith(
            "ttft p95 < 500ms: 8 of 200 miss it, which allows both answers; about"
        )
        assert "no number of streams would decide" in of(even(200, slow=10)).reason


def test_waits_that_stay_below_half_of_the_limit_decide_although_they_depend_on_each_other() -> None:
    """How streams beyond the limit would depend on each other cannot be known, because there are none."""
    rng, wait, waits = Random(1), 150.0, []
    for _ in range(100):
        wait = min(max(wait + rng.gauss(0, 20), 50), 250)
        waits.append(wait)
    assert of([stream(i, wait) for i, wait in enumerate(waits)]).observation.figures[0].decision is Decision.PASS
    far = [*waits[:50], 260, *waits[50:-1]]
    assert of([stream(i, wait) for i, wait in enumerate(far)]).observation.figures[0].decision is Decision.UNDECIDED
