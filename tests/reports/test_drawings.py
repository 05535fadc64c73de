"""Drawings are legible where they are shown: nothing lies outside of their frame, and the text has one size."""

import re
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from streamgauge.reports.figures import draw_all
from streamgauge.reports.figures.canvas import HALF, TEXT, WHOLE, Drawing
from streamgauge.reports.figures.load_curve import draw_capacity
from streamgauge.reports.load import load
from tests.harness.capacity.files import simulated
from tests.reports.report_builders import full_run

COLUMN_OF_A_PHONE = 340
SCROLLED = 720
SMALLEST = 10
FONT = FontProperties(family="DejaVu Sans", size=TEXT)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> list[Drawing]:
    run = load(full_run(tmp_path_factory.mktemp("full")))
    return [*(drawing for found in draw_all(run).values() for drawing in found), *draw_capacity(simulated("queue"))]


def frame(svg: str) -> tuple[float, float]:
    found = re.match(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


def test_every_drawing_has_one_of_two_widths(drawings: list[Drawing]) -> None:
    assert len(drawings) > 8
    for drawing in drawings:
        assert drawing.width in (HALF, WHOLE), drawing.name
        assert frame(drawing.svg)[0] == pytest.approx(drawing.width), drawing.name


class Words(NamedTuple):
    """A text of a drawing that is not rotated, and where it reaches from and to in the font that it is drawn with."""

    text: str
    left: float
    right: float
    y: float


def words(svg: str) -> list[Words]:
    found = []
    for attributes, text in re.findall(r"<text ([^>]*)>([^<]*)</text>", svg):
        place = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", attributes)
        x, y = (re.search(rf'\b{name}="([-\d.]+)"', attributes) for name in "xy")
        rotated = re.search(r"rotate\((?!-?0(?:\.0+)?[ )])", attributes)
        if rotated or not (place or (x and y)):
            continue
        at = (float(place[1]), float(place[2])) if place else (float(x[1]), float(y[1]))  # type: ignore[index]
        width = TextPath((0, 0), unescape(text).strip(), prop=FONT).get_extents().width if text.strip() else 0
        before = {"middle": 0.5, "end": 1.0}.get((re.search(r"text-anchor: (\w+)", attributes) or ["", "start"])[1], 0)
        found.append(Words(text, at[0] - before * width, at[0] + (1 - before) * width, at[1]))
    return found


def test_no_text_reaches_out_of_the_frame(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        width, height = frame(drawing.svg)
        found = words(drawing.svg)
        assert found, drawing.name
        for text in found:
            assert text.left >= 0, (drawing.name, text)
            assert text.right <= width, (drawing.name, text)
            assert 0 <= text.y <= height, (drawing.name, text)


def test_text_is_legible_on_a_phone(drawings: list[Drawing]) -> None:
    """A half of a row is as wide as the phone; a whole row scrolls by itself and has a least width in the style."""
    assert f"min-width: {SCROLLED}px" in (Path(__file__).parents[2] / "reports/templates/report.css").read_text()
    for drawing in drawings:
        scale = (COLUMN_OF_A_PHONE if drawing.width == HALF else SCROLLED) / drawing.width
        sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", drawing.svg)}
        assert sizes == {TEXT}, drawing.name
        assert min(sizes) * scale >= SMALLEST, drawing.name
