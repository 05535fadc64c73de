"""`streamgauge explain` prints everything that is known about a check."""

import difflib
from typing import Annotated, Final

import typer

from streamgauge.cli.check_list import print_list
from streamgauge.cli.console import out, safe
from streamgauge.cli.reproduction import faults_of, reproduction_of
from streamgauge.conformance.catalogue import entry_of
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.registry import Check
from streamgauge.conformance.requirement import Requirement
from streamgauge.conformance.selection import select
from streamgauge.diagnosis.product import snippets
from streamgauge.errors import UsageError

_NEAREST: Final = 5


def explain(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="A check's id. A group, or a glob that matches several checks: a list.")
    ],
) -> None:
    """Explain a check: what it demands and why, how it is tested, how to fix it, and how to see it fail.

    Examples:

      streamgauge explain framing.no-bom

      streamgauge explain flush

      streamgauge explain '*.heartbeat-*'
    """
    found = [CHECKS[name]] if name in CHECKS else _matching(name)
    if len(found) == 1:
        _print(found[0])
    else:
        print_list(found)


def _matching(name: str) -> list[Check]:
    try:
        return select((name,))
    except UsageError:
        *others, last = nearest_to(name) or [""]
        near = f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?" if last else ""
        raise UsageError(
            f"no check or group is called {name!r}", near or "`streamgauge check --list` prints them all"
        ) from None


def nearest_to(wrong: str) -> list[str]:
    """Ids and groups that contain the text or look like it, the most likely first."""
    text = wrong.lower()
    names = [*dict.fromkeys(check.group for check in CHECKS.values()), *CHECKS]
    containing = [name for name in names if text in name]
    alike = difflib.get_close_matches(text, names, n=_NEAREST, cutoff=0.5)
    ends = {name.partition(".")[2]: name for name in CHECKS}
    alike += [ends[end] for end in difflib.get_close_matches(text, ends, n=_NEAREST, cutoff=0.5)]
    return list(dict.fromkeys([*containing, *alike]))[:_NEAREST]


def _print(check: Check) -> None:
    rule, entry = check.requirement, entry_of(check)
    out.print(f"[bold]{check.id}[/bold]  {rule.level}, {rule.severity}, {rule.basis}")
    out.print(f"  {safe(rule.statement)}")
    _section("Why", [f"{rule.basis}: {rule.basis.meaning}", *_levels(rule)])
    _section("What breaks", [rule.breaks] if rule.breaks else [])
    tested = [f"{step.name}: {step.summary}{_needs(step.needs)}" for step in entry.scenarios]
    tested += ["every other request that is made"] if entry.watches else []
    _section("How it is tested", [*tested, f"expected: {check.expected}"])
    fixes = "\n".join(snippet.plain for snippet in snippets(check.id, entry.fixes))
    _section("Fix", [rule.fix, *fixes.splitlines(), *(f"{cause}: {fix}" for cause, fix in rule.causes.items())])
    _section(
        "In profiles",
        [f"{name}: {change.level or 'left out'}; {change.why}" for name, change in entry.profiles.items()],
    )
    _section("References", entry.references)
    _print_reproduction(check)


def _levels(rule: Requirement) -> list[str]:
    """What an unmet requirement does to a run, and its lesser part if it has one."""
    lines = [f"unmet, it {rule.level.unmet}"]
    if rule.lesser is not None:
        lines.append(f"its lesser part is a {rule.level.below}: {rule.lesser}")
    return lines


def _print_reproduction(check: Check) -> None:
    _section("Faults of the mock that break it", [f"{one.usage}: {one.sentence}" for one in faults_of(check)])
    if shown := reproduction_of(check):
        _section("See it fail", [*(f"{server} &" for server in shown.servers), shown.check])


def _section(title: str, lines: list[str]) -> None:
    if lines:
        out.print(f"\n[bold]{title}[/bold]")
        for line in lines:
            out.print(f"  {safe(line)}")


def _needs(flags: list[str]) -> str:
    return f" (needs {' and '.join(flags)})" if flags else ""
