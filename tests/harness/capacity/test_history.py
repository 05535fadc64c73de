"""The history of a search: written after each point, and continued."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.capacity.history import NAME, Header, History, read_history
from streamgauge.capacity.point import Observation, Verdict
from streamgauge.errors import UsageError
from tests.harness.capacity.points import holds, run

HEADER = Header(target="http://x/", settings={"plan": {"start": 1}, "confidence": 0.95})


def written(directory: Path) -> list[Any]:
    history = History(directory, HEADER)
    points = run(holds(3)).points
    for point in points:
        history.add(point.probe, point.observation)
    return points


def copied(seen: Observation) -> Observation:
    """As JSON brings it: lists in place of tuples, and 1.0 in place of 1."""
    return msgspec.json.decode(msgspec.json.encode(seen), type=Observation)


def test_a_history_gives_back_its_points(tmp_path: Path) -> None:
    points = written(tmp_path)

    found = read_history(tmp_path, HEADER)

    assert [one.probe for one in found] == [one.probe for one in points]
    assert [one.observation for one in found] == [copied(one.observation) for one in points]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_history_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    written(tmp_path)

    with pytest.raises(UsageError, match=r"target http://x/; confidence 0.95, now 0.9"):
        read_history(tmp_path, Header(target="http://y/", settings={"plan": {"start": 1}, "confidence": 0.9}))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}\n", b"[" * 100_000, b"\xff\n", b'{"schema":9,"streamgauge":"9","target":"","settings":{}}\n'],
)
def test_a_history_that_cannot_be_read_is_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)

    with pytest.raises(UsageError, match="--resume: "):
        read_history(tmp_path, HEADER)


def test_a_number_that_no_measurement_has_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes().replace(b'"requests":100', b'"requests":10000000000000000000000', 1))

    with pytest.raises(UsageError, match="cannot be read"):
        read_history(tmp_path, HEADER)


@pytest.mark.parametrize(
    "impossible",
    [
        {"ok": -1}, {"seconds": -1.0}, {"replicas": {"a": -3}}, {"streams_per_s": -1.0}, {"streams_per_s": 1e-300},
        {"residence_s": -1.0}, {"residence_s": 1e-300}, {"little": 0.9, "in_flight": None},
    ],
)  # fmt: skip
def test_a_point_with_which_nothing_can_be_calculated_is_refused(tmp_path: Path, impossible: dict[str, Any]) -> None:
    point = written(tmp_path)[0]
    history = History(tmp_path, HEADER)
    history.add(point.probe, msgspec.structs.replace(point.observation, **impossible))

    with pytest.raises(UsageError, match=r"--resume: .* cannot be read: a point has"):
        read_history(tmp_path, HEADER)


def test_without_a_history_the_message_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=NAME):
        read_history(tmp_path, HEADER)


def test_the_verdict_follows_from_the_observation() -> None:
    """It is not stored: another version may judge the same figures more strictly."""
    assert {point.verdict for point in run(holds(3)).points} == {Verdict.PASS, Verdict.FAIL}
