"""docs/performance.md has the scenarios, columns, clients and goals of the bench. Its figures are not compared."""

import re

import pytest

from tests.bench.clients.goals import judged
from tests.bench.clients.page import PAGE, TITLES, page
from tests.bench.clients.programs import CLIENTS
from tests.bench.clients.results import Results
from tests.bench.clients.scenarios import SCENARIOS, Scenario

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = {title.strip(): text for title, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", TEXT, re.MULTILINE)}
MEND = "run: make bench-docs (or `python -m tests.bench.clients none --write` when only words have changed)"


def rows(section: str) -> list[list[str]]:
    """The table of a section, with its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_the_sections_of_the_bench_in_their_order() -> None:
    declared = re.findall(r"^## (.*)$", page(Results()), re.MULTILINE)

    assert list(SECTIONS) == declared, MEND


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_has_all_columns_and_all_its_sizes(scenario: Scenario) -> None:
    head, _, *figures = rows(scenario.name)

    assert tuple(head) == TITLES, MEND
    assert scenario.about in SECTIONS[scenario.name], MEND
    assert {row[0] for row in figures} == {f"{streams:,}" for streams in scenario.streams}, MEND


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_names_only_clients_that_are_declared(scenario: Scenario) -> None:
    assert {row[1] for row in rows(scenario.name)[2:]} <= set(scenario.clients) <= set(CLIENTS), MEND


def test_the_page_has_every_goal() -> None:
    assert [row[:2] for row in rows("Goals")[2:]] == [[goal.where, goal.goal] for goal in judged(Results())], MEND
