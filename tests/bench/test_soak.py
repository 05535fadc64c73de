"""What `make soak` calls a leak, a loss and a pass."""

import pytest

from streamgauge.units import MIB
from tests.bench.soak import KINDS, Growth, Sample, Soaked, Streams, settled, show

FAST = KINDS["fast"]
FLAT = Growth(mean=100.0 * MIB, most=101.0 * MIB, per_hour=1.0 * MIB, window_s=1_440)
FEW = Growth(mean=230, most=232, per_hour=0, window_s=1_440)


def soaked(**changes: object) -> Soaked:
    whole = Soaked(
        kind=FAST, exit_code=0, memory={"load": FLAT, "mock": FLAT}, descriptors={"load": FEW, "mock": FEW},
        streams=Streams(seen=101, alone=1, recorded=100, whole=100, others={}), load_s=1_800, verdict="VALID",
        reasons=["all is well"], reader="native", output="",
    )  # fmt: skip
    return whole._replace(**changes)  # type: ignore[arg-type]


def test_a_load_that_held_everything_has_no_fault() -> None:
    assert soaked().faults(shared=False) == []


def test_growth_is_the_slope_of_a_line_through_the_samples() -> None:
    samples = [Sample(1_000.0 + second, (100 + second) * MIB, 7, 2) for second in range(61)]

    memory, descriptors = Growth.of(samples, "rss_bytes"), Growth.of(samples, "descriptors")

    assert memory == pytest.approx((130 * MIB, 160 * MIB, 3_600 * MIB, 60))
    assert descriptors == pytest.approx((7, 7, 0, 60))
    assert Growth.of(samples[:1], "rss_bytes") is None


LEAK = FLAT._replace(per_hour=15.0 * MIB)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exit_code": 3, "output": "no token came"}, "exit code 3: no token came"),
        ({"memory": {"load": LEAK, "mock": FLAT}}, "the memory of load grew by 6.0 MiB"),
        ({"memory": {"load": None, "mock": FLAT}}, "load was not watched"),
        ({"descriptors": {"load": FEW, "mock": FEW._replace(per_hour=15.0)}}, "the descriptors of mock grew by 6.0"),
        ({"streams": Streams(105, 1, 100, 100, {})}, "4 streams that the mock has seen are not recorded"),
        ({"streams": Streams(101, 1, 100, 98, {"truncated": 2})}, "2 streams are not whole: {'truncated': 2}"),
        ({"verdict": "SUSPECT"}, "the figures are SUSPECT"),
        ({"verdict": "without figures"}, "the figures are without figures"),
    ],
)
def test_each_thing_that_did_not_hold_is_named(changes: dict[str, object], words: str) -> None:
    result = soaked(**changes)

    (fault,) = result.faults(shared=False)

    assert words in fault
    assert f"NOT AS IT SHOULD BE: {fault}" in show(result, shared=False)


def test_a_shared_machine_excuses_suspect_figures_and_nothing_else() -> None:
    assert soaked(verdict="SUSPECT").faults(shared=True) == []
    assert soaked(verdict="INVALID").faults(shared=True) == ["the figures are INVALID"]
    assert soaked(memory={"load": LEAK}).faults(shared=True) != []


def test_memory_may_grow_by_more_in_a_short_soak() -> None:
    short = FLAT._replace(per_hour=3_000.0 * MIB, window_s=20)

    assert short.over_window > FLAT.allowed
    assert soaked(memory={"load": short}).faults(shared=False) == []
    assert soaked(memory={"load": short._replace(per_hour=4_000.0 * MIB)}).faults(shared=False) != []


def test_many_streams_excuse_no_growth() -> None:
    many = Streams(seen=50_001, alone=1, recorded=50_000, whole=50_000, others={})

    assert soaked(memory={"load": FLAT, "mock": FLAT}, streams=many).faults(shared=False) == []
    assert soaked(memory={"load": LEAK, "mock": FLAT}, streams=many).faults(shared=False) != []
    assert soaked(memory={"load": FLAT, "mock": LEAK}, streams=many).faults(shared=False) != []
    assert "(+157 bytes a stream)" in show(soaked(memory={"load": LEAK}, streams=many), shared=False)


def samples_of(descriptors: list[int]) -> list[Sample]:
    return [Sample(float(second), 100 * MIB, count, 2) for second, count in enumerate(descriptors)]


def test_a_load_is_watched_when_its_caches_are_full_and_its_users_have_connected() -> None:
    at_once = settled(samples_of([9, *[200] * 109]), 5, 105)
    slowly = settled(samples_of([*range(0, 200, 5), *[200] * 70]), 5, 105)
    leaking = settled(samples_of(list(range(110))), 5, 105)

    assert [(part[0].at_s, part[-1].at_s) for part in (at_once, slowly, leaking)] == [(25, 105), (40, 105), (55, 105)]
    assert settled(samples_of([1]), 5, 105) == []


def test_streams_are_shortened_so_that_a_short_soak_ends_some() -> None:
    assert KINDS["slow"].within(1_800) == KINDS["slow"]
    assert KINDS["slow"].within(30).stream_s <= 10
    assert FAST.within(3).stream_s <= 1
