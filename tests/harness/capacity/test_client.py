"""What held a client up, and what helps."""

import pytest

from streamgauge.capacity.client import Trouble, advice, core_awaited, core_used, troubles
from streamgauge.metrics.validity import LIMITS
from tests.builders.client_lag import row


@pytest.mark.parametrize(
    ("used", "awaited", "expected"),
    [
        (0.95, 0.0, [Trouble.CPU]),
        (0.02, 0.6, [Trouble.BUSY_MACHINE]),
        (0.5, 0.4, [Trouble.CPU, Trouble.BUSY_MACHINE]),
        (0.02, 0.01, [Trouble.IDLE]),
        (None, None, [Trouble.IDLE]),
    ],
)
@pytest.mark.parametrize("limit", [limit.field for limit in LIMITS if limit.field != "unstamped_share"])
def test_a_late_client_lacks_cpu_time_or_shares_its_machine_or_was_idle(
    limit: str, used: float | None, awaited: float | None, expected: list[Trouble]
) -> None:
    assert troubles([limit], used, awaited) == expected


def test_a_missing_stamp_has_nothing_to_do_with_cpu_time() -> None:
    assert troubles(["unstamped_share"], 0.95, 0.5) == [Trouble.STAMPS]
    assert troubles([], 0.95, 0.5) == []


def test_the_busiest_process_and_the_one_that_waited_most_count() -> None:
    rows = [row(1, cpu_ns=800, waited_ns=10), row(2, cpu_ns=300, waited_ns=200)]
    wall = rows[0].wall_ns

    assert core_used(rows) == pytest.approx(800 / wall)
    assert core_awaited(rows) == pytest.approx(200 / wall)
    assert (core_used([]), core_awaited([])) == (None, None)


def what_helps(trouble: Trouble, processes: int = 1, cpus: int = 4) -> str:
    (text,) = advice([trouble], used=0.03, awaited=0.4, processes=processes, cpus=cpus)
    return text


def test_more_processes_are_advised_only_for_a_client_without_cpu_time_where_cores_are_left() -> None:
    assert "--processes 4" in what_helps(Trouble.CPU, processes=2)
    assert "--processes" not in what_helps(Trouble.CPU, processes=4)
    assert all("run it again with --processes" not in what_helps(one) for one in Trouble if one is not Trouble.CPU)


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Trouble.IDLE, "used only 3% of a core"),
        (Trouble.BUSY_MACHINE, "for 40% of the time a process was ready to run"),
        (Trouble.MEANS, "ulimit -n"),
        (Trouble.CLOCK, "clock was set"),
        (Trouble.NETWORK, "nothing could connect"),
        (Trouble.STAMPS, "on Linux"),
        (Trouble.STOPPED, "stopped for a while"),
    ],
)
def test_every_other_trouble_has_its_own_advice(trouble: Trouble, says: str) -> None:
    assert says in what_helps(trouble)
