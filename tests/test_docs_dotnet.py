"""docs/dotnet.md shows parts of examples/dotnet/Program.cs, word for word."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/dotnet.md").read_text(encoding="utf-8")
PROGRAM = (ROOT / "examples/dotnet/Program.cs").read_text(encoding="utf-8")
PARTS = {name: textwrap.dedent(code) for name, code in
         re.findall(r"^ *// <([\w-]+)>\n(.*?)^ *// </\1>", PROGRAM, re.MULTILINE | re.DOTALL)}  # fmt: skip
SHOWN = re.findall(
    r"<!-- examples/dotnet/Program.cs: ([\w-]+) -->\n```csharp\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)


def test_the_page_shows_every_part_once_and_no_other_code() -> None:
    assert sorted(name for name, _ in SHOWN) == sorted(PARTS)
    assert PAGE.count("```csharp") == len(SHOWN)


@pytest.mark.parametrize(("name", "code"), SHOWN)
def test_a_snippet_is_the_program_s(name: str, code: str) -> None:
    assert code == PARTS[name], f"copy the part {name} of examples/dotnet/Program.cs into docs/dotnet.md"
