"""The README with its generated blocks: commands, checks and metrics, each taken from the code that declares them."""

from collections import Counter
from pathlib import Path

import typer.main

from streamgauge.cli import app
from streamgauge.conformance.checks import CHECKS
from tools import readme_metrics
from tools.blocks import rewritten
from tools.sample import sample

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


BLOCKS = {"sample": sample, "commands": commands, "checks": checks, "metrics": readme_metrics.table}


def readme() -> str:
    """The README as it should be."""
    return rewritten(README.read_text(encoding="utf-8"), BLOCKS)
