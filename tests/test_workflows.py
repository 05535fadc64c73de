"""Workflows, the action and the pages name the actions of others by commit, and take no more rights than they use."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = ROOT / ".github/actions/check/action.yml"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("**/*.md"))]
USES = re.compile(r"^\s*(?:- )?uses: (\S+)(.*)$", re.MULTILINE)
BY_COMMIT = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
OWN = re.compile(r"OWNER/streamgauge/[\w./-]+@COMMIT")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION, *PAGES], ids=name_of)
def test_an_action_is_named_by_its_commit_with_the_version_beside_it(path: Path) -> None:
    for action, comment in USES.findall(path.read_text(encoding="utf-8")):
        assert BY_COMMIT.fullmatch(action) or OWN.fullmatch(action), action
        assert re.fullmatch(r" # v\d+(\.\d+)+", comment), f"{action}: say which version this commit is"


def test_an_action_has_one_commit_everywhere() -> None:
    """So an update that forgets a file is found."""
    texts = [path.read_text(encoding="utf-8") for path in [*WORKFLOWS, ACTION, *PAGES]]
    commits: dict[str, set[str]] = {}
    for action, comment in (use for text in texts for use in USES.findall(text)):
        name, _, commit = action.partition("@")
        commits.setdefault(name, set()).add(commit + comment)

    assert {name: found for name, found in commits.items() if len(found) > 1} == {}
    assert len(commits) >= 6


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_may_only_read_except_the_job_that_publishes(path: Path) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert ("permissions" in job) == ((path.name, name) == ("release.yml", "release"))
    assert "pull_request_target" not in workflow[True], (
        "it would give a stranger's code our secrets"
    )  # True: the key `on`


def test_what_a_page_installs_from_the_repository_is_a_commit() -> None:
    installs = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if "git+https" in line]

    assert [line for line in installs if "@COMMIT" not in line] == []
    assert installs != []


def test_the_action_installs_only_what_the_locks_name() -> None:
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("name") == "Install streamgauge"]

    assert "--no-deps --require-hashes" in script
    assert re.findall(r"requirements/\w+\.txt", script) == ["requirements/build.txt", "requirements/base.txt"]
    assert script.splitlines()[-1].startswith("python -m pip install --quiet --no-deps --no-build-isolation")
