"""Values and untrusted text for reports. Text from the endpoint is data, never markup."""

import re
from textwrap import indent
from typing import Final

from streamgauge.diagnosis.product import Snippet
from streamgauge.units import MS, show_ms
from streamgauge.untrusted_text import UNSAFE_CHARACTERS

ABSENT: Final = "–"
LONGEST: Final = 4_000

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)")
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]|~$])")


def clean(text: str) -> str:
    """`text` without escape sequences and active characters, bounded in length."""
    kept = UNSAFE_CHARACTERS.sub("", _ANSI.sub("", text[: 4 * LONGEST]))
    return kept if len(kept) <= LONGEST else kept[:LONGEST] + " … (cut)"


def label(text: str, longest: int = 34) -> str:
    """Text inside a drawing: one short line, with `?` for characters that the bundled font lacks."""
    line = " ".join(clean(text).split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return "".join(c if ord(c) < 0x250 or c in "…–−→·" else "?" for c in line)


def ms(value: float | None) -> str:
    """Milliseconds with the unit, for tiles and sentences."""
    return ABSENT if value is None else show_ms(value * MS)


def ms_cell(value: float | None) -> str:
    """Milliseconds without the unit, for a table whose head names it."""
    if value is None:
        return ABSENT
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def moment(text: str | None) -> str:
    """A time of ISO 8601 as people write it; other texts stay as they are."""
    if text is None:
        return ABSENT
    found = _MOMENT.fullmatch(text)
    return text if found is None else f"{found[1]} {found[2]} UTC"


def number(value: float | None) -> str:
    """A count or rate."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.1f}"


def percent(value: float | None) -> str:
    """A share as a percentage. A share near 0 or 1 is never rounded to 0 % or 100 %."""
    if value is None:
        return ABSENT
    if 0 < value < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{value:.0%}"[:-1] + " %" if value in (0, 1) else f"{value:.1%}"[:-1] + " %"


def md(text: str) -> str:
    """Untrusted text in Markdown: one line, all markup escaped, safe in a table cell."""
    line = " ".join(clean(text).split())
    return _MARKDOWN.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def md_code(text: str) -> str:
    """Untrusted text as a Markdown code span, safe in a table cell."""
    line = " ".join(clean(text).split())
    if not line:
        return ABSENT
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def md_block(text: str, language: str = "") -> str:
    """Untrusted text as a fenced Markdown block; `language` comes from this program, not from the endpoint."""
    kept = clean(text)
    fence = "`" * max(max((len(run) for run in re.findall("`+", kept)), default=0) + 1, 3)
    return f"{fence}{language}\n{kept}\n{fence}"


def md_snippet(snippet: Snippet) -> str:
    """A product's fix as an item of a Markdown list: text, a code span, or a fenced block below the product's name."""
    if snippet.language is None:
        return f"{md(snippet.product)}: {md(snippet.content)}"
    if "\n" not in snippet.content:
        return f"{md(snippet.product)}: {md_code(snippet.content)}"
    return f"{md(snippet.product)}:\n\n{indent(md_block(snippet.content, snippet.language), '  ')}\n"
