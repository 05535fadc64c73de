"""`make new-check` writes a check that can be imported, with tapes that fail until it is written."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.registry import DECLARED
from streamgauge.conformance.result import Verdict
from tools.new_check import CHECKS, ROOT, TAPES, main, modules_of

NAME = "framing.no-such-check"


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Path]:
    """The files of a new check, by their names, in a tree of their own."""
    (tmp_path / CHECKS).mkdir(parents=True)
    (tmp_path / TAPES).mkdir(parents=True)
    files = modules_of(NAME, tmp_path)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return {path.name: path for path in files}


def test_the_check_can_be_imported_and_its_tapes_fail_until_it_is_written(written: dict[str, Path]) -> None:
    assert written.keys() == {"framing_no_such_check.py", "tapes_framing_no_such_check.py"}
    try:
        load(written["framing_no_such_check.py"], "framing_no_such_check")
        examples = load(written["tapes_framing_no_such_check.py"], "tapes_framing_no_such_check").examples.all
        results = [judge_case(example.case(), [DECLARED[NAME]])[0] for example in examples]
    finally:
        DECLARED.pop(NAME, None)

    assert [example.verdict for example in examples] == [Verdict.PASS, Verdict.WARN]
    assert [result.verdict for result in results] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]


def test_what_it_writes_is_formatted_and_has_no_lint(written: dict[str, Path]) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--config", str(ROOT / "pyproject.toml"), *map(str, written.values())],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("written")
def test_a_check_that_exists_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"framing_no_such_check\.py exists already"):
        modules_of(NAME, tmp_path)
    with pytest.raises(ValueError, match=r"a check framing\.no-bom exists already"):
        modules_of("framing.no-bom")


@pytest.mark.parametrize("name", ["", "framing", "nonsense.x", "framing.No-Tabs", "framing.a_b", "framing.x/../../y"])
def test_a_name_that_cannot_be_used_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 2
    assert capsys.readouterr().err.startswith(
        f"error: expected group.name in lower case, such as framing.no-tabs, got {name!r}"
    )
