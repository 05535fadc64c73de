"""The page of a search for the capacity: one self-contained file, without script and network."""

from typing import NamedTuple

from markupsafe import Markup

from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.point import Verdict
from streamgauge.capacity.words import conclusion, labelled, level
from streamgauge.reports import capacity_markdown as tables
from streamgauge.reports.figures.load_curve import draw_capacity
from streamgauge.reports.html import page
from streamgauge.reports.text import ABSENT, number

_MARKS = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.UNDECIDED: "warn"}


class Tile(NamedTuple):
    """A key figure of the answer."""

    label: str
    value: str
    note: str
    level: str = ""


def capacity_html(found: CapacityFile) -> str:
    """The page. The same file gives the same bytes."""
    held = conclusion(found)
    return page(
        "capacity.html.j2",
        found=found,
        level=level(found),
        headline=found.answer.headline,
        held=held,
        lines=labelled(found)[1:],
        tiles=_tiles(found),
        # These drawings are safe as markup: they are our own, and matplotlib escapes the text in them.
        figures=[(drawing, Markup(drawing.svg)) for drawing in draw_capacity(found)],
        tables=tables,
    )


def _tiles(found: CapacityFile) -> list[Tile]:
    answer, show = found.answer, found.answer.axis.show
    tiles = [
        Tile("passes", ABSENT if answer.low is None else show(answer.low), f"{answer.trials_low} trials agree", "good"),
        Tile(
            "fails", ABSENT if answer.high is None else show(answer.high), f"{answer.trials_high} trials agree", "bad"
        ),
    ]
    if answer.binding is not None:
        margin = "" if answer.binding_low is None else f"margin {answer.binding_low:.0%} where it passes"
        tiles.append(Tile("binding SLO", answer.binding.replace("_", " "), margin))
    if answer.streams_per_s is not None:
        tokens = "" if answer.tokens_per_s is None else f"{number(answer.tokens_per_s)} tokens/s"
        tiles.append(Tile("at the answer", f"{answer.streams_per_s:,.3g} streams/s", tokens))
    for one in answer.rates[-1:]:
        tiles.append(Tile("open loop", f"{one.load:,.3g}/s", one.verdict.value, _MARKS[one.verdict]))
    for one in answer.sustained[:1]:
        tiles.append(
            Tile("sustained", show(one.load), f"{one.verdict.value}, {one.seconds:.0f} s", _MARKS[one.verdict])
        )
    needs = found.fleet.needs
    if needs is not None:
        tiles.append(Tile("replicas", needs.words.removesuffix(" replicas"), f"for {needs.users:,} users"))
    return tiles
