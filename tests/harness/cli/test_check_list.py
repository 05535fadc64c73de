"""`check --list` and `explain`: what a user reads of the checks without running one."""

import dataclasses
import json
import shlex
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from streamgauge.cli import app
from streamgauge.cli.explain import nearest_to
from streamgauge.cli.reproduction import faults_of, reproduction_of
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.registry import Check
from streamgauge.diagnosis.product import fixes_for, products
from streamgauge.errors import UsageError
from streamgauge.mock_provider import faults
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect


def said(*words: str) -> str:
    """What a command prints, given that it succeeds."""
    result: Result = CliRunner().invoke(app(), words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str) -> UsageError:
    """The error of a command that does not understand its arguments."""
    result = CliRunner().invoke(app(), words)
    assert isinstance(result.exception, UsageError), result.output
    return result.exception


def test_the_list_has_every_check_once() -> None:
    listed = [line.split()[0] for line in said("check", "--list").splitlines() if line.strip()]

    assert sorted(name for name in listed if name in CHECKS) == sorted(CHECKS)


@pytest.mark.parametrize("words", [("--list", "--format", "json"), ("--format", "json", "--list")])
def test_the_list_described_says_all_that_is_declared(words: tuple[str, ...]) -> None:
    """Whichever flag comes first; and no URL is asked for."""
    listed = json.loads(said("check", *words))

    assert {entry["id"] for entry in listed["checks"]} == CHECKS.keys()
    for entry in listed["checks"]:
        check = CHECKS[entry["id"]]
        assert entry["group"] in listed["groups"]
        assert entry["statement"] == check.requirement.statement
        assert [step["name"] for step in entry["scenarios"]] == list(check.scenarios)
        assert entry["references"]
        assert entry["fixes"].keys() <= products().keys()


def test_what_a_check_needs_is_in_the_list() -> None:
    by_id = {entry["id"]: entry["needs"] for entry in json.loads(said("check", "--list", "--format", "json"))["checks"]}

    assert by_id["framing.no-bom"] == []
    assert by_id["flush.lockstep"] == ["--mock"]
    assert by_id["liveness.heartbeat-idle-15s"] == ["--mock", "--long"]


def test_what_profiles_change_is_in_the_list_and_in_the_explanation() -> None:
    listed = json.loads(said("check", "--list", "--format", "json"))
    changed = {entry["id"]: entry["profiles"] for entry in listed["checks"] if entry["profiles"]}
    told = changed["errors.machine-readable"]

    assert {name for profiles in changed.values() for name in profiles} <= listed["profiles"].keys()
    assert told["aspnet"]["level"] == "MUST"
    assert changed["http.validation-before-stream"]["ollama"]["level"] is None
    assert told["aspnet"]["why"] in said("explain", "errors.machine-readable")


def test_a_format_without_a_list_is_refused() -> None:
    """It would have no effect."""
    assert "--list" in refused("check", "--format", "json").message


def test_an_explanation_is_complete() -> None:
    """Everything that the declaration says, and how to see the check fail."""
    text = said("explain", "framing.no-bom")
    check = CHECKS["framing.no-bom"]
    rule = check.requirement

    words = [rule.id, rule.level, rule.severity, rule.basis.meaning, rule.statement, rule.breaks, check.expected]
    words += [rule.fix, *rule.references, "happy: an ordinary stream"]
    words += [line for fix in fixes_for(rule.id).values() for line in fix.splitlines()]
    assert [word for word in words if word and word not in text] == []
    assert "mock --port 9000 --fault bom" in text
    assert "check http://127.0.0.1:9000/v1/chat/completions --mock http://127.0.0.1:9000 --only framing.no-bom" in text


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_can_be_explained(name: str) -> None:
    assert name in said("explain", name)


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("flush", lambda check: check.group == "flush"),
        ("*.heartbeat-*", lambda check: ".heartbeat-" in check.id),
    ],
)
def test_a_group_or_a_glob_gives_a_list(what: str, holds: Callable[[Check], bool]) -> None:
    text = said("explain", what)

    assert [name for name in CHECKS if name in text] == [name for name, check in CHECKS.items() if holds(check)]


@pytest.mark.parametrize(
    ("what", "nearest"),
    [
        ("bom", "framing.no-bom"),
        ("flush.lockstp", "flush.lockstep"),
        ("lockstep", "flush.lockstep"),
        ("no_bom", "framing.no-bom"),
        ("securty", "security"),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(what: str, nearest: str) -> None:
    error = refused("explain", what)

    assert what in error.message
    assert nearest in (error.hint or "")
    assert nearest_to(what)[0] == nearest


def test_a_name_like_no_other_leads_to_the_list() -> None:
    assert "--list" in (refused("explain", "\x1b[31m").hint or "")


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_can_be_broken_is_shown_to_fail(name: str) -> None:
    """The commands name a fault, a dialect and options that there are."""
    shown = reproduction_of(CHECKS[name])

    if shown is None:
        assert CHECKS[name].broken_by is None
        assert not [fault for fault in faults_of(CHECKS[name]) if fault.streams]
        return
    words = shlex.split(shown.check)
    assert words[-2:] == ["--only", name]
    url = next(word for word in words if word.startswith("http"))
    paths = {path for dialect in DIALECTS for _, path in dialect.routes}
    assert "--dialect" in words or urlsplit(url).path in paths
    server = shlex.split(shown.servers[0])
    if "--fault" in server:
        faults.parse(server[server.index("--fault") + 1])


def test_a_check_may_name_a_fault_that_does_not_name_it() -> None:
    """A new check that an old fault breaks is one file."""
    check = dataclasses.replace(CHECKS["http.status-200"], broken_by=BrokenBy(fault="late-close:2s"))

    assert "late-close" in [fault.name for fault in faults_of(check)]
    shown = reproduction_of(check)
    assert shown is not None
    assert shown.servers == ("streamgauge mock --port 9000 --fault late-close:2s",)


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_the_mock_speaks_every_dialect_under_the_readers_name(dialect: Dialect) -> None:
    assert dialect.name in {spoken.name for spoken in DIALECTS}
