"""A search that is interrupted and goes on, without an endpoint: the events come before each load."""

from pathlib import Path

import pytest

from streamgauge.capacity.budget import Budget
from streamgauge.capacity.history import NAME, Header, History, read_history
from streamgauge.capacity.measure import Conditions
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.run import Asking, Measured, Request, SearchEvent, find_capacity
from streamgauge.capacity.search import SearchPlan
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.loadgen.progress import silent
from tests.harness.capacity.points import SLO, holds, run

TARGET = Target(url="http://127.0.0.1:2/v1/chat/completions")


def request(directory: Path, **more: object) -> Request:
    conditions = Conditions(target=TARGET, objectives=objectives([SLO]), confidence=0.95, prompts={}, nonce=False)
    plan = SearchPlan(from_above=False, confirm_rate=False, needed=1, seconds=10, longest_s=40)
    options = {"budget": Budget(seconds=1e6), **more}
    return Request(plan=plan, conditions=conditions, directory=directory, **options)  # type: ignore[arg-type]


def remember(directory: Path, count: int) -> Header:
    """A history of the first points of a search for 5 users."""
    asked = request(directory)
    header = Header(target=TARGET.url, settings=asked.settings())
    history = History(directory, header)
    for point in run(holds(5)).points[:count]:
        history.add(point.probe, point.observation)
    return header


def interrupt(event: SearchEvent) -> None:
    if isinstance(event, Asking):
        raise KeyboardInterrupt


def test_an_interruption_gives_what_is_known_and_keeps_the_history(tmp_path: Path) -> None:
    header = remember(tmp_path, 4)
    events: list[SearchEvent] = []

    def progress(event: SearchEvent) -> None:
        events.append(event)
        interrupt(event)

    found = find_capacity(request(tmp_path, resume=True), progress, silent)

    assert found.interrupted
    assert (found.answer.low, found.answer.high) == (4, 8)
    assert found.answer.headline == "between 4 users (passed) and 8 users (failed), then stopped: it was interrupted"
    assert [type(event) for event in events] == [Measured] * 4 + [Asking]
    assert all(event.resumed for event in events if isinstance(event, Measured))
    assert len(read_history(tmp_path, header)) == 4


def test_a_whole_history_is_an_answer_without_a_single_request(tmp_path: Path) -> None:
    remember(tmp_path, 100)

    found = find_capacity(request(tmp_path, resume=True), interrupt, silent)

    assert not found.interrupted
    assert (found.answer.low, found.answer.high, found.answer.because) == (5, 6, None)


def test_points_that_this_version_would_not_ask_for_are_measured_again(tmp_path: Path) -> None:
    remember(tmp_path, 3)
    path = tmp_path / NAME
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1], lines[3]]) + "\n")

    found = find_capacity(request(tmp_path, resume=True), interrupt, silent)

    assert [point.load for point in found.points] == [1]


def test_a_budget_ends_the_search_before_the_point_that_could_exceed_it(tmp_path: Path) -> None:
    remember(tmp_path, 4)

    found = find_capacity(request(tmp_path, resume=True, budget=Budget(seconds=60)), interrupt, silent)

    assert found.answer.because is not None
    assert found.answer.because.startswith("the next point would exceed --budget 60s")


def test_an_endpoint_that_nobody_answers_is_an_error_and_no_answer(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure):
        find_capacity(request(tmp_path), lambda _: None, silent)


def test_a_cache_that_cannot_be_emptied_ends_the_search_before_the_point(tmp_path: Path) -> None:
    asked = request(tmp_path)
    conditions = asked.conditions._replace(reset_cache="http://127.0.0.1:2/reset_prefix_cache")

    found = find_capacity(asked._replace(conditions=conditions), interrupt, silent)

    assert not found.interrupted
    assert (found.answer.because or "").startswith("the server's cache could not be emptied: ")
