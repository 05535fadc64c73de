"""Generated pages are the ones that the code gives, and the README stays short enough to be read."""

from pathlib import Path

import pytest

from tools.blocks import handwritten
from tools.docs import GENERATED, write
from tools.readme import BLOCKS, README

LIMIT = 120


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_a_generated_page_is_the_one_that_the_code_gives(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path](), "run: make docs"


def test_only_files_that_are_out_of_date_are_written(tmp_path: Path) -> None:
    old, new, same = (tmp_path / name for name in ("old", "new", "same"))
    old.write_text("1")
    same.write_text("3")

    assert write({old: lambda: "2", new: lambda: "2", same: lambda: "3"}) == [old, new]
    assert (old.read_text(), new.read_text()) == ("2", "2")


def test_the_handwritten_part_of_the_readme_is_a_page_and_not_a_manual() -> None:
    assert 80 <= len(handwritten(README.read_text(encoding="utf-8"), BLOCKS)) <= LIMIT


def test_generated_lines_do_not_count() -> None:
    block = next(iter(BLOCKS))

    assert handwritten(f"a\n<!-- begin {block} -->\nb\nc\n<!-- end {block} -->\nd", BLOCKS) == [
        "a", f"<!-- begin {block} -->", f"<!-- end {block} -->", "d",
    ]  # fmt: skip
