"""docs/architecture.md names modules that exist, in the order in which data flows."""

import re
from pathlib import Path

import pytest

from tests.test_layering import ROOMS, imports, modules

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
WALKS = {part.splitlines()[0]: part.split("\n## ")[0] for part in PAGE.split("\n### ")[1:]}
FAST = PAGE.split("\n## Fast paths\n")[1].split("\n## ")[0]
FOLDERS = ("mock_provider/", "reports/", "scenarios/", "tests/")
MODULES = {str(path.relative_to(ROOT)): name for name, path in modules().items()}


def named(text: str) -> list[str]:
    """The files that a text names, by their paths in the repository."""
    found = re.findall(r"`([\w/]+\.py)`", text)
    return [path if path.startswith(FOLDERS) else f"harness/{path}" for path in found]


def steps(walk: str) -> list[str]:
    """The first module of each numbered step."""
    return [named(line)[0] for line in walk.splitlines() if re.match(r"\d+\. ", line)]


def test_every_module_that_the_page_names_exists() -> None:
    assert len(named(PAGE)) > 30
    assert [path for path in named(PAGE) if not (ROOT / path).is_file()] == []


def test_the_page_has_the_four_walks() -> None:
    assert list(WALKS) == [
        "A read to the report", "A fault to the wire", "A check to its cell", "An SLO to its verdict",
    ]  # fmt: skip


def test_a_read_passes_at_most_14_modules_from_the_socket_to_the_records() -> None:
    walk = steps(WALKS["A read to the report"])

    assert (walk[0], walk[-1]) == ("harness/transport/connection.py", "harness/rundir/runs.py")
    assert len(walk) <= 14


@pytest.mark.parametrize("title", WALKS)
def test_each_module_of_a_walk_is_imported_by_another_of_it(title: str) -> None:
    """A module that no other module of the walk imports, and that imports none of them, is not on the way."""
    walk = [MODULES[path] for path in named(WALKS[title])]
    imported = {name: {item.name for item in imports(modules()[name].read_text(encoding="utf-8"))} for name in walk}

    alone = [
        name
        for name in walk
        if not imported[name] & set(walk) and not any(name in others for others in imported.values())
    ]
    assert alone == []


def test_the_table_of_rooms_has_every_folder_that_the_layering_test_knows() -> None:
    table = PAGE[PAGE.index("## Rooms") : PAGE.index("## Four walks")]
    rooms = set(re.findall(r"^\| `(?:harness/)?(\w+)/`", table, re.MULTILINE))

    assert rooms == (ROOMS.keys() | {"mock_provider"}) - {"values", "doors", "mock"}


def test_the_table_of_fast_paths_has_every_fast_module() -> None:
    rows = [line.split("|")[1] for line in FAST.splitlines() if line.startswith("| `")]

    assert sorted(path for row in rows for path in named(row)) == sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "harness").rglob("*_fast.py")
    )


@pytest.mark.parametrize("path", [path for path in MODULES if path.endswith("_fast.py")])
def test_a_fast_module_says_its_law_and_names_the_property_test_that_holds_it(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8").split('"""')[1]
    cited = re.findall(r"(test_\w+)\.py(?: and (test_\w+)\.py)?:\s+(test_\w+)", text)

    assert "law" in text.lower()
    assert cited
    for *files, name in cited:
        for file in filter(None, files):
            tests = next((ROOT / "tests").rglob(f"{file}.py")).read_text(encoding="utf-8")
            decorators = tests.split(f"def {name}(")[0].rsplit("\n\n\n", 1)[1]
            assert "@given(" in decorators, f"{file}.py: {name}"
