"""The longest tests begin first, each worker of pytest has some, and no test is lost."""

from pathlib import Path

import pytest

from tests.builders.order import LONGEST, longest_first

ROOT = Path(__file__).resolve().parent.parent
SHORT = [f"tests/test_short.py::test_{number}" for number in range(108)]
MIXED = [*SHORT[:50], *sorted(LONGEST), *SHORT[50:]]


@pytest.mark.parametrize("workers", [1, 2, 4, 6])
def test_each_share_begins_with_the_longest(workers: int) -> None:
    ordered = longest_first(MIXED, workers, str)

    size = len(ordered) // workers
    begins = [ordered[number * size : number * size + len(LONGEST) // workers] for number in range(workers)]
    assert sorted(name for share in begins for name in share) == sorted(LONGEST)
    assert [share[0] for share in begins] == list(LONGEST[:workers])
    assert [name for name in ordered if name not in LONGEST] == SHORT


@pytest.mark.parametrize("tests", [[], SHORT[:1], list(LONGEST[:3]), SHORT[:3], [*SHORT[:2], LONGEST[0]]])
def test_no_test_is_lost_where_there_are_few(tests: list[str]) -> None:
    assert sorted(longest_first(tests, 6, str)) == sorted(tests)


def test_all_tests_of_a_name_stay_together() -> None:
    of_one = [f"{LONGEST[3]}::test_{number}" for number in range(3)]

    assert longest_first([*SHORT, *of_one], 2, str) == [*of_one, *SHORT]


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_are_tests_that_exist(name: str) -> None:
    file, _, function = name.partition("[")[0].partition("::")

    assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8")
