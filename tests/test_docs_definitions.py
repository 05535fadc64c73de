"""The words that docs/ defines are the words of the code: all of them, and no others."""

import re
from pathlib import Path

import pytest

from streamgauge.conformance.requirement import Basis, Level, Severity
from streamgauge.conformance.result import Verdict
from streamgauge.diagnosis.patterns import Pattern
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.protocol.dialects import DIALECTS
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord

DOCS = Path(__file__).resolve().parent.parent / "docs"
DEFINITIONS = (DOCS / "definitions.md").read_text(encoding="utf-8")
METHODS = (DOCS / "methods.md").read_text(encoding="utf-8")
PROTOCOLS = (DOCS / "protocols.md").read_text(encoding="utf-8")


def chapter(page: str, heading: str) -> str:
    """A chapter with the chapters below it."""
    level = re.search(rf"^(#+) {re.escape(heading)}$", page, re.MULTILINE)
    assert level is not None, heading
    return re.split(rf"^#{{1,{len(level[1])}}} ", page[level.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The names in backticks that begin the rows of a table."""
    return re.findall(r"^\| `([\w-]+)`", text, re.MULTILINE)


def test_the_outcomes_are_those_of_the_code() -> None:
    assert sorted(first_column(chapter(DEFINITIONS, "Outcomes"))) == sorted(Outcome)


def test_the_classes_of_delivery_are_those_of_the_code() -> None:
    assert first_column(chapter(METHODS, "Buffering")) == list(Pattern)


def test_the_instants_are_fields_of_a_record() -> None:
    assert set(first_column(chapter(DEFINITIONS, "Times"))) <= set(StreamRecord.__struct_fields__)


@pytest.mark.parametrize(("axis", "words"), [("verdict", Verdict), ("level", Level), ("severity", Severity)])
def test_the_axes_of_a_check_have_the_values_of_the_code(axis: str, words: type[Verdict | Level | Severity]) -> None:
    row = re.search(rf"^\| {axis} \| ([^|]*) \|", chapter(DEFINITIONS, "Verdicts of checks"), re.MULTILINE)

    assert row is not None
    assert sorted(re.findall(r"[\w-]+", row[1])) == sorted(words)


def test_every_application_shape_has_a_chapter() -> None:
    """A vendor's dialect has a path of its own; the others are shapes of applications."""
    shapes = {dialect.name for dialect in DIALECTS if dialect.path is None}

    assert set(re.findall(r"^### ([\w-]+)$", chapter(PROTOCOLS, "Application shapes"), re.MULTILINE)) == shapes


def test_every_vendor_that_the_mock_plays_is_among_those_that_deviate() -> None:
    named = chapter(PROTOCOLS, "Vendors that deviate").lower()

    assert [name for name in PROFILES if name != "openai" and name not in named] == []


def test_every_basis_that_the_page_of_practices_names_exists() -> None:
    page = (DOCS / "application-streams.md").read_text(encoding="utf-8")

    assert set(re.findall(r"basis `(\w+)`", page)) <= set(Basis)
