"""docs/ci.md and the action say nothing that the program does not know."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import streamgauge.pytest_plugin
from streamgauge.cli import app
from streamgauge.conformance.baseline import read_baseline
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.targets import load_targets
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

ROOT = Path(__file__).resolve().parent.parent
CI = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
ACTION: dict[str, Any] = yaml.safe_load((ROOT / ".github/actions/check/action.yml").read_text(encoding="utf-8"))
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", CI, re.MULTILINE | re.DOTALL)
STEP = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "check")


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def options(*path: str) -> set[str]:
    """The options of a command, as its help has them."""
    command: Any = typer.main.get_command(app())
    for name in path:
        command = command.commands[name]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def commands() -> Iterator[list[str]]:
    """Every command line of the page: of its shell blocks, and of the scripts in its YAML."""
    for text in [*blocks("sh"), *(line for block in blocks("yaml") for line in scripts(yaml.safe_load(block)))]:
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and "=" in words[0]:
                words = words[1:]
            if words:
                yield words


def scripts(node: Any) -> Iterator[str]:
    """What YAML has under `run` and `script`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script"):
                yield from value if isinstance(value, list) else [value]
            else:
                yield from scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from scripts(item)


def test_every_command_of_the_page_exists() -> None:
    """With each of its options."""
    told = list(commands())
    ours = [words for words in told if words[0] == "streamgauge"]
    known = set(
        re.findall(r'"(--streamgauge-[a-z-]+)"', Path(streamgauge.pytest_plugin.__file__).read_text("utf-8"))
    ) | {"--dist"}

    assert len(ours) >= 7
    for words in ours:
        assert {word for word in words[2:] if word.startswith("-")} <= options(words[1]), words
    for words in told:
        if words[0] == "pytest":
            assert {word for word in words[1:] if word.startswith("--")} <= known, words


def test_every_option_of_the_tables_exists() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", CI))

    assert len(named) > 6
    assert {name for name in named if not name.startswith("--streamgauge")} <= options("check")


def test_the_files_of_the_page_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, accepted = blocks("toml")
    monkeypatch.setenv("TENANT_KEY", "k")
    (tmp_path / "targets.toml").write_text(targets)
    (tmp_path / "accepted.toml").write_text(accepted)

    assert [one.label for one in load_targets(tmp_path / "targets.toml")] == ["gateway", "chat API"]
    (entry,) = read_baseline(tmp_path / "accepted.toml", CHECKS)
    assert tomllib.loads(accepted)["accepted"][0]["target"] == entry.target == "chat API"


def test_the_page_uses_inputs_that_the_action_has() -> None:
    (job,) = [block for block in blocks("yaml") if ".github/actions/check" in block]
    step = next(one for one in yaml.safe_load(job)["jobs"]["streams"]["steps"] if "streamgauge" in one["uses"])

    assert step["with"].keys() <= ACTION["inputs"].keys()
    assert (ROOT / ".github/actions/check/action.yml").is_file()


def test_no_input_is_pasted_into_a_script() -> None:
    """An input with a quote in it would run whatever follows."""
    assert all("${{" not in step.get("run", "") for step in ACTION["runs"]["steps"])
    assert set(STEP["env"]) <= set(re.findall(r"\$\{?([A-Z_]+)", STEP["run"]))


@pytest.mark.parametrize(("faults", "code"), [((), 0), (("no-terminal",), 1)])
def test_the_actions_step_does_what_it_says(tmp_path: Path, faults: tuple[str, ...], code: int) -> None:
    """Its script, run as GitHub would: the files, the summary, the output and the exit code."""
    shim = tmp_path / "streamgauge"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from streamgauge.cli import main; main()" "$@"\n')
    shim.chmod(0o755)
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=faults)) as mock:
        given = {
            "URLS": f"{mock.url}/v1/chat/completions\n  {mock.url}/api/chat/stream",
            "FAIL_ON": "fail",
            "ARGUMENTS": "--only\ntermination\n",
            "REPORTS": "reports",
            **dict.fromkeys(("TARGETS", "MOCK", "BASELINE"), ""),
        }
        assert given.keys() == STEP["env"].keys()
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", STEP["run"]],
            cwd=tmp_path,
            env={
                **os.environ,
                **given,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "GITHUB_OUTPUT": str(tmp_path / "output"),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == code, done.stderr
    assert (tmp_path / "output").read_text() == f"exit-code={code}\n"
    assert "## Streamgauge: " in (tmp_path / "summary").read_text()
    assert {one.name for one in (tmp_path / "reports").iterdir()} == {
        "checks.json", "checks.xml", "checks.sarif", "checks.markdown", "checks.html",
    }  # fmt: skip
