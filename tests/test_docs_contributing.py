"""What the Makefile, the workflow and the templates say is what the project has."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
HELPED = set(re.findall(r"^([a-z][a-z-]*):.*## \S", MAKEFILE, re.MULTILINE))
CONTRIBUTING = (".github/workflows/ci.yml", ".github/pull_request_template.md", "CONTRIBUTING.md", "README.md",
                "docs/index.md", "docs/architecture.md", ".pre-commit-config.yaml", "examples/README.md")  # fmt: skip


def targets_called(text: str) -> set[str]:
    """The targets in every `make a b` of a text, without variables."""
    call = r"(?:^|[`(]|run: |entry: |&& )make((?: (?:[a-z][a-z-]*\b(?![=.])|[A-Z_]+=[^\s`]*))+)"
    calls = re.findall(call, text, re.MULTILINE)
    return {word for call in calls for word in call.split() if "=" not in word}


def scripts() -> list[str]:
    return [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]


def test_make_help_names_every_target_that_a_person_calls() -> None:
    assert {"programs"} == TARGETS - HELPED, "programs is for other targets"
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].replace("\\\n", " ").split()) == TARGETS


def test_every_make_target_that_a_page_or_the_workflow_calls_exists() -> None:
    called = {name: targets_called((ROOT / name).read_text(encoding="utf-8")) for name in CONTRIBUTING}

    assert {name: missing for name, targets in called.items() if (missing := targets - TARGETS)} == {}
    assert {"lint", "typecheck", "test", "coverage"} <= called[".github/workflows/ci.yml"]


def test_the_workflow_tests_every_python_from_the_oldest_that_the_project_allows() -> None:
    oldest = int(PROJECT["project"]["requires-python"].removeprefix(">=3."))
    versions = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]

    assert versions == [f"3.{minor}" for minor in range(oldest, oldest + len(versions))]
    assert len(versions) >= 4
    for name in ("lint", "wheel"):
        setup = next(step for step in WORKFLOW["jobs"][name]["steps"] if "setup-python" in step.get("uses", ""))
        assert setup["with"]["python-version"] == versions[0], name
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{oldest}"


def test_the_workflow_pastes_no_value_of_a_pull_request_into_a_script() -> None:
    assert all("${{" not in script for script in scripts())


def test_the_forms_for_issues_are_valid() -> None:
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))

    assert len(forms) >= 3
    for form in forms:
        if form.name != "config.yml":
            content = yaml.safe_load(form.read_text(encoding="utf-8"))
            assert content["name"], form.name
            assert content["description"], form.name
            fields = [field for field in content["body"] if field["type"] != "markdown"]
            assert len({field["id"] for field in fields}) == len(fields), form.name
            assert all(field["attributes"]["label"] for field in fields), form.name


def test_the_hooks_run_what_make_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]

    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "mypy"}
    assert all(hook["entry"].startswith((".venv/bin/ruff ", "make ")) for hook in hooks)
