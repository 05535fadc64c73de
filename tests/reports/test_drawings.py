"""Drawings are legible where they are shown: nothing lies outside of their frame, and the text has one size."""

import re
from pathlib import Path

import pytest

from streamgauge.reports.figures import draw_all
from streamgauge.reports.figures.canvas import HALF, TEXT, WHOLE, Drawing
from streamgauge.reports.figures.load_curve import draw_capacity
from streamgauge.reports.load import load
from tests.harness.capacity.files import simulated
from tests.reports.report_builders import full_run

COLUMN_OF_A_PHONE = 340
SCROLLED = 720
SMALLEST = 10


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


def test_no_text_begins_outside_of_the_frame(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        width, height = frame(drawing.svg)
        places = re.findall(r'<text [^>]*?(?:x="|translate\()([-\d.]+)"?,? ?(?:y=")?([-\d.]+)', drawing.svg)
        assert places, drawing.name
        for x, y in places:
            assert 0 <= float(x) <= width, drawing.name
            assert 0 <= float(y) <= height, drawing.name


def test_text_is_legible_on_a_phone(drawings: list[Drawing]) -> None:
    """A half of a row is as wide as the phone; a whole row scrolls by itself and has a least width in the style."""
    assert f"min-width: {SCROLLED}px" in (Path(__file__).parents[2] / "reports/templates/report.css").read_text()
    for drawing in drawings:
        scale = (COLUMN_OF_A_PHONE if drawing.width == HALF else SCROLLED) / drawing.width
        sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", drawing.svg)}
        assert sizes == {TEXT}, drawing.name
        assert min(sizes) * scale >= SMALLEST, drawing.name
