"""The examples of docs/python.md run as they stand, one after the other, as a reader would run them."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs/python.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_examples_run_in_their_order(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"directory": tmp_path / "first"}
    try:
        for match in BLOCK.finditer(page):
            line = page.count("\n", 0, match.start(1))
            exec(compile("\n" * line + match[1], str(PAGE), "exec"), names)  # a traceback names the line of the page
    finally:
        if "mock" in names:
            names["mock"].stop()
    for name, kind in (("stream", "Stream"), ("found", "ChecksFile"), ("result", "LoadResult"),
                       ("left", "CancellationFile"), ("diagnosis", "DiagnosisFile"), ("report", "CompareReport"),
                       ("price", "OverheadReport")):  # fmt: skip
        assert repr(names[name]).startswith(f"<{kind} "), "the page shows what a notebook shows"
        assert f"{name}  # <{kind} " in page
