"""The style of the pages: every colour exists in the light, in the dark and on paper, and its text can be read."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from streamgauge.reports.capacity_html import capacity_html
from streamgauge.reports.render import render
from tests.harness.capacity.files import simulated
from tests.reports.report_builders import full_run

CSS: Final = (Path(__file__).parents[2] / "reports" / "templates" / "report.css").read_text()
LEAST_CONTRAST: Final = 4.5  # WCAG 2.2, 1.4.3, level AA
OF_SCREEN: Final = {"--shadow"}


def palette(after: str) -> dict[str, str]:
    """The variables of the first `:root` behind a piece of the style."""
    block = CSS[CSS.index(after) :]
    block = block[block.index(":root {") :]
    return dict(re.findall(r"(--[a-z-]+): ([^;]+);", block[: block.index("}")]))


PALETTES: Final = {
    "light": palette(":root"),
    "dark": palette("prefers-color-scheme: dark"),
    "paper": palette("@media print"),
}


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_scheme_has_every_colour() -> None:
    light = set(PALETTES["light"])
    assert len(light) > 12
    assert set(PALETTES["dark"]) == light
    assert set(PALETTES["paper"]) == light - OF_SCREEN


@pytest.mark.parametrize("scheme", list(PALETTES))
@pytest.mark.parametrize("text", ["--ink", "--faint", "--blue", "--orange", "--red", "--green"])
def test_text_can_be_read_on_every_ground(scheme: str, text: str) -> None:
    colours = PALETTES[scheme]
    grounds = ["--page", "--card", "--code"] + ([] if text == "--blue" else ["--good-bg", "--warn-bg", "--bad-bg"])
    for ground in grounds:
        assert contrast(colours[text], colours[ground]) >= LEAST_CONTRAST, (text, ground)


class Tables(HTMLParser):
    """The classes of the parent of every table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parents: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.parents.append(self._open[-1])
        if tag in ("div", "section"):
            self._open.append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "section"):
            self._open.pop()


def test_a_wide_table_scrolls_by_itself_and_not_the_page(tmp_path: Path) -> None:
    render(full_run(tmp_path))
    for page in ((tmp_path / "report.html").read_text(), capacity_html(simulated("queue"))):
        parents = Tables(page).parents
        assert len(parents) > 3
        assert set(parents) == {"scroll"}
