"""The catalogue of checks as values, for `check --list --format json` and for the generated pages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from streamgauge.conformance.applies import two_paths, with_schema
from streamgauge.conformance.groups import GROUPS
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.profiles import PROFILES
from streamgauge.conformance.registry import Applies, Check
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.declaration import Scenario
from streamgauge.conformance.selection import select
from streamgauge.diagnosis.product import fixes_for
from streamgauge.version import __version__

SCHEMA: Final = 1
# Checks that apply only where a flag is given.
_GIVEN_BY: Final[Mapping[Applies, list[str]]] = {two_paths: ["--via"], with_schema: ["--schema"]}


class ReproductionStep(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario that a check reads. `needs` are the flags without which it does not run."""

    name: str
    summary: str
    needs: list[str]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The level of a requirement in a profile, or None where the profile leaves it out; and why."""

    level: str | None
    why: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A check in words. `needs` are the flags without which none of its scenarios runs.

    `watches`: it judges all other requests too. `lesser` is the part of the requirement that binds one level less.
    `fixes` is what to change in a product, by the product's id; `causes` are the defects that have a fix of their own.
    """

    id: str
    group: str
    level: str
    severity: str
    basis: str
    statement: str
    lesser: str | None
    expected: str
    breaks: str | None
    references: list[str]
    fix: str
    fixes: dict[str, str]
    causes: dict[str, str]
    scenarios: list[ReproductionStep]
    watches: bool
    needs: list[str]
    profiles: dict[str, Change]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Every check there is, in the order of the groups."""

    schema: int = SCHEMA
    streamgauge: str = __version__
    groups: dict[str, str]
    profiles: dict[str, str]
    checks: list[Entry]


def catalogue() -> Catalogue:
    """The catalogue of this version."""
    return Catalogue(
        groups=dict(GROUPS),
        profiles={profile.name: profile.summary for profile in PROFILES.values()},
        checks=[entry_of(check) for check in select()],
    )


def entry_of(check: Check) -> Entry:
    """A check without its code."""
    rule = check.requirement
    return Entry(
        id=rule.id,
        group=rule.group,
        level=rule.level.value,
        severity=rule.severity.value,
        basis=rule.basis.value,
        statement=rule.statement,
        lesser=rule.lesser,
        expected=check.expected,
        breaks=rule.breaks,
        references=list(rule.references),
        fix=rule.fix,
        fixes=dict(fixes_for(rule.id)),
        causes=dict(rule.causes),
        scenarios=[_step(SCENARIOS[name]) for name in check.scenarios],
        watches=check.watches,
        needs=[*_GIVEN_BY.get(check.applies, []), *_flags(check.needs_mock, check.opt_ins, check.opt_ins_without_mock)],
        profiles=dict(_changes(check)),
    )


def _changes(check: Check) -> Iterator[tuple[str, Change]]:
    for profile in PROFILES.values():
        rule = profile.rule_for(check.id)
        if rule is not None and rule.level is not check.requirement.level:
            yield profile.name, Change(level=rule.level.value if rule.level else None, why=rule.why)


def _step(scenario: Scenario) -> ReproductionStep:
    return ReproductionStep(
        name=scenario.name,
        summary=scenario.summary,
        needs=_flags(scenario.mock, scenario.opt_in, scenario.opt_in_without_mock),
    )


def _flags(mock: bool, opt_ins: Iterable[OptIn], without_mock: Iterable[OptIn]) -> list[str]:
    flags = [*(["--mock"] if mock else []), *(opt_in.flag for opt_in in opt_ins)]
    return flags + [f"--mock or {opt_in.flag}" for opt_in in without_mock]
