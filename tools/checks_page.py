"""docs/checks.md, which the code knows: `make docs` writes it, a test compares it."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Final

from streamgauge.conformance.catalogue import Entry, catalogue
from streamgauge.conformance.requirement import Basis, Level
from streamgauge.diagnosis.product import snippets
from streamgauge.reports.text import md, md_snippet

PAGE = Path(__file__).parent.parent / "docs" / "checks.md"
HEAD = """# Checks

Every requirement that `streamgauge check` knows, generated from the code: `check --list --format json` gives the same
to programs, `explain ID` on a terminal, with the commands that show a check fail.

The level says how binding a requirement is, and it alone decides what an unmet requirement does to a run. A requirement
may have a lesser part, which binds one level less. The severity says how much harm an unmet requirement does, whatever
its level; the basis says who asks for it.
"""
# A column is its title and what it says of a check.
COLUMNS: Final[dict[str, Callable[[Entry], str]]] = {
    "check": lambda entry: f"[{entry.id}](#{anchor(entry.id)})",
    "level": lambda entry: entry.level,
    "severity": lambda entry: entry.severity,
    "basis": lambda entry: entry.basis,
    "needs": lambda entry: " ".join(f"`{flag}`" for flag in entry.needs),
}


def anchor(check_id: str) -> str:
    """Where the headings of a rendered page are found: lower case, without the full stop."""
    return check_id.replace(".", "")


def page() -> str:
    """The whole page."""
    whole = catalogue()
    parts = [HEAD, "\n".join(f"- unmet, a **{level}** {level.unmet}" for level in Level)]
    parts.append("\n".join(f"- **{basis}**: {basis.meaning}" for basis in Basis))
    for group, members in groupby(whole.checks, key=lambda entry: entry.group):
        entries = list(members)
        parts += [f"## {group}: {whole.groups[group]}", table(entries), *map(section, entries)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(entries: list[Entry]) -> str:
    """A row for each check of a group."""
    rows = [[say(entry) for say in COLUMNS.values()] for entry in entries]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(COLUMNS), ["---"] * len(COLUMNS), *rows])


def section(entry: Entry) -> str:
    """All about one check."""
    read = ", ".join(f"{step.name} ({md(step.summary)})" for step in entry.scenarios)
    read += ", and every other request that is made" if entry.watches else ""
    lines = [f"Expected: {md(entry.expected)}. Read from: {read}."]
    lines += [f"Its lesser part: {md(entry.lesser)}"] if entry.lesser else []
    lines += [f"What breaks: {md(entry.breaks)}"] if entry.breaks else []
    lines += [f"Fix: {md(entry.fix)}"]
    lines += [md_snippet(snippet) for snippet in snippets(entry.id, entry.fixes)]
    lines += [f"Fix for the cause {cause}: {md(fix)}" for cause, fix in entry.causes.items()]
    lines += [
        f"Profile {name}: {change.level or 'left out'}; {md(change.why)}" for name, change in entry.profiles.items()
    ]
    lines += [f"Reference: {linked(reference)}" for reference in entry.references]
    told = "\n".join(f"- {line}" for line in lines)
    return f"### {entry.id}\n\n{entry.level}, {entry.severity}, {entry.basis}. {md(entry.statement)}\n\n{told}"


def linked(reference: str) -> str:
    """A reference whose address, if it has one, can be followed."""
    name, found, address = reference.partition("https://")
    return md(name) + (f" <{found}{address}>" if found else "")
