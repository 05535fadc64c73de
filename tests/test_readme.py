"""The README says what the code says, and stays short enough to be read."""

import re

from tools.check_faults import FAULTS_PAGE, faults_page
from tools.checks_page import PAGE, page
from tools.readme import README, rewritten


def test_the_generated_parts_of_the_readme_are_those_the_code_gives() -> None:
    text = README.read_text(encoding="utf-8")

    assert rewritten(text) == text, "run: python -m tools.readme"


def test_the_page_of_checks_is_the_one_the_code_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.readme"


def test_the_page_of_checks_and_faults_is_the_one_the_code_gives() -> None:
    assert FAULTS_PAGE.read_text(encoding="utf-8") == faults_page(), "run: python -m tools.readme"


def test_the_readme_is_a_page_and_not_a_manual() -> None:
    """Only lines written by hand count: a new command or metric adds a generated one."""
    text = re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->\n", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert 50 <= len(text.splitlines()) <= 110
