"""Cases that run in one test: each runs, and each failure is listed."""

import threading

import pytest

from tests.builders.together import SIDE_BY_SIDE, side_by_side, together


def test_every_case_runs_and_every_failure_is_listed() -> None:
    ran: list[int] = []

    def four_cases() -> None:
        with together() as case:
            for number in range(4):
                with case(number):
                    ran.append(number)
                    assert number % 2 == 0, "odd"

    with pytest.raises(AssertionError) as caught:
        four_cases()
    assert ran == [0, 1, 2, 3]
    assert str(caught.value).splitlines()[0] == "2 cases failed:"
    assert "1: AssertionError: odd" in str(caught.value)
    assert "3: AssertionError: odd" in str(caught.value)


def test_an_exception_is_a_failure_too() -> None:
    with pytest.raises(AssertionError, match="first: KeyError: 'x'"), together() as case, case("first"):
        raise KeyError("x")


def test_cases_that_pass_fail_nothing() -> None:
    with together() as case, case("only"):
        pass


def test_cases_run_side_by_side_and_their_results_keep_the_order() -> None:
    meeting = threading.Barrier(SIDE_BY_SIDE)

    def met(number: int) -> int:
        meeting.wait(20)
        return number

    assert side_by_side(met, range(2 * SIDE_BY_SIDE)) == list(range(2 * SIDE_BY_SIDE))
