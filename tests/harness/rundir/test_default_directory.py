"""Two runs that start at the same time, in the same folder, do not meet."""

from streamgauge.rundir.default_directory import default_directory


def test_no_two_runs_get_the_same_directory() -> None:
    names = {default_directory("load") for _ in range(20)}
    assert len(names) > 1
    assert all(name.parent.name == "runs" and name.name.startswith("load-") for name in names)
