"""The README with its generated blocks: commands, checks and metrics, each taken from the code that declares them."""

import re
from collections import Counter
from pathlib import Path

import typer.main

from streamgauge.cli import app
from streamgauge.conformance.checks import CHECKS
from tools import readme_metrics

README = Path(__file__).parent.parent / "README.md"


def commands() -> str:
    """Every command with the first sentence of its help."""
    group = typer.main.get_command(app())
    rows = [
        f"| `{name}` | {(command.help or '').strip().split(chr(10) + chr(10))[0].replace(chr(10), ' ')} |"
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def checks() -> str:
    """How many checks there are, by group."""
    groups = Counter(name.partition(".")[0] for name in CHECKS)
    listed = ", ".join(f"{name} {count}" for name, count in sorted(groups.items()))
    more = "`check --list` and [docs/checks.md](docs/checks.md) list all of them, `explain ID` describes one."
    return f"`check` has {sum(groups.values())} checks ({listed}). {more}"


BLOCKS = {"commands": commands, "checks": checks, "metrics": readme_metrics.table}


def rewritten(text: str) -> str:
    """The README with its generated blocks made anew."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        assert len(pattern.findall(text)) == 1, f"the README needs one block {name!r}"
        text = pattern.sub(lambda _, a=begin, b=end, m=make: f"{a}\n{m()}\n{b}", text)  # type: ignore[misc]
    return text


def readme() -> str:
    """The README as it should be."""
    return rewritten(README.read_text(encoding="utf-8"))


def handwritten(text: str) -> list[str]:
    """The lines of the README that a person wrote: all but those inside the generated blocks."""
    for name in BLOCKS:
        text = re.sub(f"(<!-- begin {name} -->\\n).*?(<!-- end {name} -->)", r"\1\2", text, flags=re.DOTALL)
    return text.splitlines()
