"""The search alone: points with given verdicts, in the order in which it asks for them."""

import pytest

from streamgauge.capacity.answer import Ending, answer, sentences
from streamgauge.capacity.axis import Axis
from streamgauge.capacity.budget import Budget, affordable, spent
from streamgauge.capacity.point import Verdict
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search, SearchPlan
from tests.harness.capacity.points import Judge, holds, loads, point, run

PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED


def test_it_doubles_to_the_first_failure_and_bisects_to_the_precision() -> None:
    search = run(holds(41), agreeing=1)

    assert loads(search) == [1, 2, 4, 8, 16, 32, 64, 48, 40, 44, 42]
    assert search.ladder.bracket == (40, 42)


@pytest.mark.parametrize("capacity", [0, 1, 2, 3, 7, 19, 20, 41, 100, 999])
def test_the_interval_contains_the_capacity_and_is_5_percent_wide(capacity: int) -> None:
    low, high = run(holds(capacity)).ladder.bracket

    assert high is not None
    assert (low or 0) <= capacity < high
    assert high - (low or 0) <= max(1, 0.05 * (low or 0))


def test_a_rate_is_halved_while_nothing_passes() -> None:
    search = run(holds(0.2), axis=Axis.RATE, agreeing=1)
    low, high = search.ladder.bracket

    assert loads(search)[:4] == [1, 0.5, 0.25, 0.125]
    assert low is not None
    assert high is not None
    assert low <= 0.2 < high <= 1.06 * low


def test_both_ends_are_repeated_until_two_trials_agree() -> None:
    search = run(holds(5))
    repeats = [one.load for one in search.points if one.probe.purpose is Purpose.REPEAT]

    assert sorted(repeats) == [5, 6]
    assert {one.probe.seed for one in search.ladder.points[5]} == {one.probe.seed for one in search.ladder.points[6]}


def test_an_undecided_point_is_measured_for_longer_and_then_stays_inside_of_the_interval() -> None:
    def judge(probe: Probe) -> Verdict:
        return UNDECIDED if probe.load in (6, 7) else PASS if probe.load < 6 else FAIL

    search = run(judge)
    found = answer(search)

    assert [one.probe.seconds for one in search.points if one.load == 6] == [10, 40]
    assert (found.low, found.high, found.undecided) == (5, 8, [6, 7])
    assert "between 5 users (passed) and 8 users (failed), not decided further: 6 users, 7 users" in found.headline
    assert "allowed both answers even for the longest time (40 s)" in found.headline


def test_a_longer_point_lasts_as_long_as_its_figures_need_and_at_least_twice_as_long() -> None:
    def lengths(likely: int | None, least: int = 100) -> list[float]:
        judge = lambda probe: UNDECIDED if probe.load == 6 and probe.seconds < 39 else holds(6)(probe)  # noqa: E731
        search = run(judge, figure={"likely": likely, "least": least})
        return [one.probe.seconds for one in search.points if one.load == 6]

    assert lengths(310)[:2] == [10, 31]  # 3.1 times as many streams as the 100 of 10 s
    assert lengths(110)[:2] == [10, 20]
    assert lengths(900)[:2] == [10, 40]
    assert lengths(None)[:2] == [
        10,
        40,
    ]  # no number of streams is likely to decide it: the longest is the last


def test_a_load_that_needs_more_than_the_longest_time_is_not_measured_for_it() -> None:
    judge = lambda probe: UNDECIDED if probe.load == 6 else holds(6)(probe)  # noqa: E731
    search = run(judge, figure={"likely": None, "least": 450})

    assert [one.probe.seconds for one in search.points if one.load == 6] == [10]
    assert "6 users would need more than 45 s, and --longest is 40 s" in answer(search).headline


def test_an_undecided_load_is_given_up_when_its_time_is_not_left_and_both_ends_are_repeated_first() -> None:
    search = Search(SearchPlan(seconds=10, longest_s=400, needed=1, from_above=False, confirm_rate=False, agreeing=2))
    judge = lambda probe: UNDECIDED if probe.load == 6 else holds(6)(probe)  # noqa: E731
    budget = Budget(seconds=230)
    while (probe := affordable(search, budget)) is not None:
        search.take(point(probe, judge(probe), figure={"likely": 2_000, "least": 300}))
    found = answer(search)

    assert [one.probe.seconds for one in search.points if one.load == 6] == [10]
    assert (found.ending, found.low, found.high, found.trials_low, found.trials_high) == (
        Ending.BRACKETED, 5, 7, 2, 2,
    )  # fmt: skip
    assert "6 users needs about 200 s more, and" in found.headline
    assert "s of --budget are left for it" in found.headline
    assert spent(search.points).seconds <= 230


def test_the_interval_stays_wide_when_the_budget_only_lets_both_ends_be_repeated() -> None:
    search = Search(SearchPlan(seconds=10, needed=1, from_above=False, confirm_rate=False))
    budget = Budget(seconds=170)
    while (probe := affordable(search, budget)) is not None:
        search.take(point(probe, holds(41)(probe)))
    found = answer(search)

    assert (found.ending, found.low, found.high) == (Ending.BRACKETED, 32, 64)
    assert (found.trials_low, found.trials_high) == (2, 2)
    assert "not decided further: no more loads in between, because the next point would exceed --budget 170s" in (
        found.headline
    )
    assert spent(search.points).seconds <= 170


def test_without_a_load_that_passed_undecided_ones_are_no_failure_of_the_endpoint() -> None:
    found = answer(run(lambda probe: UNDECIDED if probe.load < 4 else FAIL))

    assert (found.ending, found.low, found.high) == (Ending.UNDECIDED, None, 4)
    assert found.headline.startswith("less than 4 users, not decided further: 1 user, 2 users, 3 users allowed both")


def test_an_undecided_low_load_is_not_measured_again_before_something_failed() -> None:
    """One user brings few streams a second: more users decide sooner."""
    search = run(lambda probe: UNDECIDED if probe.load < 8 else PASS if probe.load < 12 else FAIL)

    assert loads(search)[:5] == [1, 2, 4, 8, 16]
    assert search.ladder.bracket == (11, 12)


def test_a_point_that_was_disturbed_is_measured_again_and_is_no_end() -> None:
    seen: list[float] = []

    def judge(probe: Probe) -> Verdict | str:
        seen.append(probe.load)
        return "disturbed" if probe.load == 4 and seen.count(4) == 1 else holds(5)(probe)

    assert run(judge).ladder.bracket == (5, 6)
    assert seen[:4] == [1, 2, 4, 4]


def test_a_load_that_cannot_be_measured_three_times_ends_the_search_with_its_reason() -> None:
    search = run(lambda probe: "disturbed" if probe.load == 4 else PASS)

    assert search.stopped == "4 users could not be measured 3 times: as scripted"
    assert answer(search).ending is Ending.UNDECIDED


def test_a_doubtful_client_is_a_wall_and_the_search_goes_on_below_it() -> None:
    search = run(lambda probe: "client" if probe.load >= 22 else PASS)
    found = answer(search)

    assert (found.ending, found.low, found.high, found.wall) == (Ending.CLIENT_LIMITED, 21, None, 22)
    assert found.headline == "≥ 21 users (the client, not the server, ended the search)"


def test_a_budget_that_ends_below_the_wall_of_the_client_leaves_the_client_as_the_limit() -> None:
    plan = SearchPlan(from_above=False, confirm_rate=False, needed=1, seconds=10.0, longest_s=40.0)
    search = Search(plan)
    while (probe := search.next) is not None and len(search.points) < 7:
        search.take(point(probe, "client" if probe.load >= 22 else PASS))
    search.stop("--budget 4m is used up")
    found = answer(search)

    assert (found.ending, found.low, found.high, found.wall) == (Ending.CLIENT_LIMITED, 16, None, 32)
    assert dict(sentences(found))["not measured"] == "--budget 4m is used up"


def test_a_failure_below_the_wall_of_the_client_is_an_end() -> None:
    found = answer(run(lambda probe: "client" if probe.load >= 30 else holds(17)(probe)))

    assert (found.ending, found.low, found.high) == (Ending.BRACKETED, 17, 18)


class TestTrialsThatDisagree:
    def scripted(self, script: dict[float, list[Verdict]], capacity: float) -> Judge:
        def judge(probe: Probe) -> Verdict | str:
            return script[probe.load].pop(0) if script.get(probe.load) else holds(capacity)(probe)

        return judge

    def test_a_failure_that_three_trials_contradict_is_outvoted(self) -> None:
        """A hiccup at the first trial of 8 users: the interval is found above it."""
        search = run(self.scripted({8: [FAIL]}, 21))

        assert search.ladder.bracket == (21, 22)
        assert [one.verdict for one in search.ladder.points[8]] == [FAIL, PASS, PASS, PASS]

    def test_a_load_that_passes_and_fails_alike_is_undecided(self) -> None:
        found = answer(run(self.scripted({8: [FAIL, PASS, FAIL, PASS]}, 9)))

        assert (found.low, found.high, found.undecided) == (9, 10, [])
        found = answer(run(self.scripted({10: [PASS, FAIL, PASS, FAIL]}, 9)))
        assert (found.low, found.high, found.undecided) == (9, 11, [10])

    def test_trials_that_disagree_are_not_settled_after_one_of_the_longest_time_decided_nothing(self) -> None:
        """It went on for ten more trials of the longest time, each of them undecided."""
        script = {5: [PASS, FAIL, UNDECIDED, UNDECIDED, UNDECIDED]}
        search = run(self.scripted(script, 5))

        assert [one.verdict for one in search.ladder.points[5]] == [PASS, FAIL, UNDECIDED, UNDECIDED]
        assert answer(search).undecided == [5]

    def test_a_load_that_the_longest_trial_left_open_needs_two_that_agree(self) -> None:
        search = run(self.scripted({6: [PASS, UNDECIDED, UNDECIDED, UNDECIDED]}, 6))

        assert answer(search).undecided == [6]
        assert search.ladder.bracket == (5, 7)


def test_a_pass_above_a_failure_is_measured_again_and_the_lowest_failure_is_the_answer() -> None:
    """8 users fail at first by chance, then 16 pass; afterwards 8 users fail each time."""
    script = {8: [FAIL, PASS, FAIL, FAIL]}

    def judge(probe: Probe) -> Verdict:
        if script.get(probe.load):
            return script[probe.load].pop(0)
        return FAIL if probe.load in (8, 32) else PASS

    found = answer(run(judge))

    assert (found.low, found.high) == (7, 8)
    assert found.passed_above == []


def test_the_answer_is_measured_from_above_until_it_passes() -> None:
    tried: list[Verdict] = []

    def judge(probe: Probe) -> Verdict | str:
        if probe.purpose is Purpose.FROM_ABOVE:
            tried.append(FAIL if len(tried) < 2 else PASS)
            return tried[-1]
        return holds(5)(probe)

    search = run(judge, from_above=True)
    found = answer(search)

    assert tried == [FAIL, FAIL, PASS]
    assert [one.load for one in search.points[-4:]] == [12, 5, 5, 5]
    assert [one.probe.rests for one in search.points[-4:]] == [True, False, False, False]
    assert found.recovery == "recovers after 12 users within 20 s"
    assert (found.low, found.high) == (5, 6)


def test_the_equivalent_rate_is_lowered_while_it_fails() -> None:
    def judge(probe: Probe) -> Verdict | str:
        if probe.axis is Axis.RATE:
            return PASS if probe.load <= 4.2 else FAIL
        return holds(5)(probe)

    found = answer(run(judge, confirm_rate=True))

    assert [(one.load, one.verdict) for one in found.rates] == [(5, FAIL), (4.5, FAIL), (4, PASS)]


def test_a_rate_that_was_tried_again_is_in_the_answer_once() -> None:
    tried: list[Verdict] = []

    def judge(probe: Probe) -> Verdict | str:
        if probe.axis is Axis.RATE:
            tried.append(PASS if tried else UNDECIDED)
            return tried[-1]
        return holds(5)(probe)

    found = answer(run(judge, confirm_rate=True))

    assert tried == [UNDECIDED, PASS]
    assert [(one.load, one.verdict) for one in found.rates] == [(5, PASS)]


def test_the_answer_and_80_percent_of_it_are_sustained() -> None:
    search = run(holds(10), sustain_s=300.0)
    found = answer(search)

    assert [(one.load, one.seconds) for one in found.sustained] == [(10, 300), (8, 300)]
    assert found.headline == (
        "between 10 users (passed) and 11 users (failed); 10 users for 300 s: pass; 8 users for 300 s: pass"
    )


def test_a_sustained_load_that_fails_is_not_held() -> None:
    found = answer(run(lambda probe: FAIL if probe.seconds == 300 else holds(10)(probe), sustain_s=300.0))

    assert found.met(10) is False
    assert found.met(5) is True


def test_the_largest_load_that_was_asked_for_is_a_lower_bound() -> None:
    found = answer(run(holds(1_000), most=50.0))

    assert (found.ending, found.low, found.high) == (Ending.AT_LEAST, 50, None)
    assert found.met(40) is True
    assert found.met(60) is None


@pytest.mark.parametrize(("capacity", "met"), [(60, True), (40, False)])
def test_one_load_alone_is_measured_until_two_trials_agree(capacity: int, met: bool) -> None:
    search = run(holds(capacity), only=50.0)

    assert loads(search) == [50, 50]
    assert answer(search).met(50) is met
    assert answer(search).ending is (Ending.AT_LEAST if met else Ending.NOTHING_PASSED)


def test_one_load_alone_can_stay_undecided_or_be_too_much_for_the_client() -> None:
    open_ = run(lambda _: UNDECIDED, only=50.0)
    assert [one.probe.seconds for one in open_.points] == [10, 40]
    assert (answer(open_).met(50), answer(open_).ending) == (None, Ending.UNDECIDED)
    assert answer(run(lambda _: "client", only=50.0)).ending is Ending.CLIENT_LIMITED


def test_a_search_that_is_stopped_after_its_interval_was_final_has_it_all_the_same() -> None:
    search = Search(SearchPlan(seconds=10, needed=1))
    while (probe := search.next) is not None and probe.purpose is not Purpose.OVERLOAD:
        search.take(point(probe, holds(5)(probe)))
    search.stop("--budget 5m is used up")
    found = answer(search)

    assert (found.ending, found.low, found.high) == (Ending.BRACKETED, 5, 6)
    assert ("not measured", "--budget 5m is used up") in sentences(found)


def test_a_search_that_is_stopped_before_both_ends_were_repeated_is_undecided() -> None:
    search = Search(SearchPlan(seconds=10, needed=1))
    while (probe := search.next) is not None and probe.purpose is not Purpose.REPEAT:
        search.take(point(probe, holds(5)(probe)))
    search.stop("--budget 5m is used up")

    assert answer(search).ending is Ending.UNDECIDED
    assert "between 5 users (passed) and 6 users (failed), then stopped" in answer(search).headline


def test_a_cache_that_answers_more_at_one_end_leaves_the_answer_open() -> None:
    found = answer(run(holds(5), seen=lambda probe: {"cached_share": 0.1 if probe.load > 5 else 0.6}))

    assert found.ending is Ending.UNDECIDED
    assert "cache moved from 10% to 60% between the points" in found.headline
    same = answer(run(holds(5), seen=lambda probe: {"cached_share": 0.5 + probe.load / 1_000}))
    assert same.ending is Ending.BRACKETED


def test_answers_that_grow_longer_and_a_cold_engine_are_caveats() -> None:
    found = answer(
        run(
            holds(5),
            seen=lambda probe: {"tokens_per_s": probe.load * (100 if probe.load > 5 else 80), "cold": "the first wave"},
        )
    )

    assert found.ending is Ending.BRACKETED
    assert found.caveats[0].startswith("answers had 80.0 to 100.0 tokens at the ends of the interval")
    assert found.caveats[1] == "cold engine at 1 user: the first wave"


def test_a_search_that_is_stopped_asks_for_nothing_more_and_says_what_it_knows() -> None:
    search = Search(SearchPlan())
    for _ in range(3):
        assert search.next is not None
        search.take(point(search.next, PASS))
    search.stop("--budget 30s is used up")

    assert search.next is None
    assert answer(search).headline == "≥ 4 users, then stopped: --budget 30s is used up"


def test_a_point_lasts_long_enough_for_the_streams_that_the_objectives_need() -> None:
    """At 0.5 streams a second, 59 streams take 118 s; half as many more leave room for those that are cut."""
    search = Search(SearchPlan(seconds=10, longest_s=300, needed=59))
    for verdict in (PASS, FAIL):
        assert search.next is not None
        search.take(point(search.next, verdict, rate=0.5))

    assert search.next is not None
    assert search.next.purpose is Purpose.REPEAT
    assert search.next.seconds == 177


def test_a_search_that_ends_at_its_largest_load_says_why_this_load_is_open() -> None:
    open_at = lambda load: lambda probe: UNDECIDED if probe.load >= load else PASS  # noqa: E731
    nothing, some = (answer(run(open_at(load), most=4.0, longest_s=10.0)) for load in (1, 4))

    assert (nothing.ending, nothing.low, some.low) == (Ending.UNDECIDED, None, 2)
    assert nothing.headline == (
        "not known: 1 user, 2 users, 4 users allowed both answers even for the longest time (10 s)"
    )
    assert some.headline == (
        "≥ 2 users, not decided further: 4 users allowed both answers even for the longest time (10 s)"
    )
