"""`--help` of every command."""

from typing import Any

import pytest
import typer
from rich.text import Text

from streamgauge.cli import app

COMMANDS: dict[str, Any] = typer.main.get_command(app()).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_rich_prints_every_bracket_of_an_options_help(name: str) -> None:
    """Rich takes `[target]` for a style and drops it, unless the help text escapes the bracket."""
    for option in COMMANDS[name].params:
        written = option.help or ""
        assert Text.from_markup(written).plain == written.replace("\\[", "["), option.name
