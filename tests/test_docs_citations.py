"""Every citation leads somewhere: code to a page of docs/, a page to another, a check to a practice."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.sources import PRACTICES, guides
from streamgauge.protocol.dialects import DIALECTS
from streamgauge.protocol.dialects.base import Dialect

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("harness", "mock_provider", "reports", "scenarios", "tests", "tools", "docs", "examples", ".github", ".ci")
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".html", ".j2", ".json", ".sh", ".conf", ""}
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])

CITATION = re.compile(r"(?<![\w/.])(docs/[\w-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
# Documents that were cited once and are not in the repository.
GONE = re.compile(
    r"design(?:\.md)? section|conformance\.md|\bguides? S\d|\bhouse\.md|\bdesign\.md|\bwitnesses\.md|\bstyle\.md"
)


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project, by its path."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in files:
        if path.suffix in TEXT and "__pycache__" not in path.parts and path != Path(__file__):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")


def anchors(page: str) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    slugs: list[str] = re.findall(r'<a (?:id|name)="([^"]+)"', text)
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        slugs.append(f"{slug}-{slugs.count(slug)}" if slug in slugs else slug)
    return set(slugs)


def missing(page: Path, anchor: str | None) -> str | None:
    """What a citation names that does not exist."""
    if not page.exists():
        return f"{page.relative_to(ROOT)} does not exist"
    if anchor and anchor not in anchors(page.read_text(encoding="utf-8")):
        return f"{page.relative_to(ROOT)} has no heading #{anchor}"
    return None


def test_every_page_and_heading_that_a_file_cites_exists() -> None:
    cited = [(name, page, anchor) for name, text in texts() for page, anchor in CITATION.findall(text)]

    assert len(cited) > 20
    assert [f"{name}: {why}" for name, page, anchor in cited if (why := missing(ROOT / page, anchor))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [(page.parent / target if target else page, anchor) for target, anchor in LINK.findall(text)]

    assert [why for target, anchor in links if (why := missing(target.resolve(), anchor))] == []


def test_no_file_cites_a_document_that_is_not_in_the_repository() -> None:
    assert [f"{name}: {found[0]}" for name, text in texts() if (found := GONE.search(text))] == []


def test_no_file_needs_anything_beside_the_repository() -> None:
    """`.ci/run` may use more where it lies beside the repository; everything else may not know of it."""
    assert [name for name, text in texts() if "../shared" in text and name != ".ci/run"] == []


def test_a_practice_that_checks_cite_has_a_chapter_and_the_chapter_its_public_source() -> None:
    page = (ROOT / "docs" / "application-streams.md").read_text(encoding="utf-8")
    chapters = {next(iter(anchors(f"## {part}"))): part for part in page.split("\n## ")[1:]}

    assert {practice.chapter for practice in PRACTICES.values()} == chapters.keys()
    for topic, practice in PRACTICES.items():
        assert practice.address in chapters[practice.chapter], topic


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_cites_its_chapter(dialect: Dialect) -> None:
    module = sys.modules[type(dialect).__module__]

    assert re.search(r"docs/protocols\.md#\w", module.__doc__ or ""), (
        f"{dialect.name}: give it a chapter in docs/protocols.md, and cite it in its docstring: docs/protocols.md#…"
    )


def test_every_practice_is_cited_by_a_check() -> None:
    cited = {reference for check in CHECKS.values() for reference in check.requirement.references}

    assert [topic for topic in PRACTICES if guides(topic) not in cited] == []


def test_a_citation_that_leads_nowhere_is_found() -> None:
    """The rules above, each on a text that breaks it."""
    assert missing(ROOT / "docs" / "no-such-page.md", None) == "docs/no-such-page.md does not exist"
    assert missing(ROOT / "docs" / "methods.md", "no-such") == "docs/methods.md has no heading #no-such"
    assert all(
        GONE.search(text) for text in ("design section 4", "conformance.md D.6", "guide S4", "design.md section 2")
    )
    assert anchors("# A b\n## A b\n```\n# no\n```\n### `x.y` (z)") == {"a-b", "a-b-1", "xy-z"}
