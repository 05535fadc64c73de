"""The page of a search for the capacity: one self-contained file, without script and network."""

from collections.abc import Callable

from markupsafe import Markup

from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.point import Verdict
from streamgauge.capacity.words import client_advice, conclusion, labelled, level
from streamgauge.reports import capacity_markdown as tables
from streamgauge.reports.figures.load_curve import draw_capacity
from streamgauge.reports.headline import HeadlineFinding, Level, Tile
from streamgauge.reports.html import page
from streamgauge.reports.text import ABSENT, number
from streamgauge.units import show_digits

_MARKS = {Verdict.PASS: Level.GOOD, Verdict.FAIL: Level.BAD, Verdict.UNDECIDED: Level.WARN}
_PART = "answer"


def capacity_html(found: CapacityFile) -> str:
    """The page. The same file gives the same bytes."""
    held = conclusion(found)
    return page(
        "capacity.html.j2",
        found=found,
        level=level(found),
        headline=found.answer.headline,
        held=held,
        reasons=_findings(found),
        key_figures=_tiles(found),
        # These drawings are safe as markup: they are our own, and matplotlib escapes the text in them.
        figures=[(drawing, Markup(drawing.svg)) for drawing in draw_capacity(found)],
        tables=tables,
    )


def _findings(found: CapacityFile) -> list[HeadlineFinding]:
    """Why the search ended where it did, and what to do."""
    lines = dict(labelled(found))
    findings = [
        HeadlineFinding(Level.NOTE, f"{label}: {lines[label]}")
        for label in ("binding SLO", "kind of limit", "beyond it")
        if label in lines
    ]
    if found.answer.client:
        findings = [HeadlineFinding(Level.WARN, f"this client: {text}") for text in found.answer.client]
        findings += [HeadlineFinding(Level.NOTE, f"what to do: {text}") for text in client_advice(found)]
    return [*(HeadlineFinding(Level.WARN, text) for text in found.answer.caveats), *findings]


def _end(label: str, load: float | None, trials: int, level: Level, show: Callable[[float], str]) -> Tile:
    """An end of the interval."""
    if load is None:
        return Tile(_PART, label, ABSENT, "no such load was found")
    return Tile(_PART, label, show(load), "1 trial" if trials == 1 else f"{trials} trials agree", level)


def _tiles(found: CapacityFile) -> list[Tile]:
    answer, show = found.answer, found.answer.axis.show
    tiles = [
        _end("passes", answer.low, answer.trials_low, Level.GOOD, show),
        _end("fails", answer.high, answer.trials_high, Level.BAD, show),
    ]
    if answer.binding is not None:
        margin = "" if answer.binding_low is None else f"margin {answer.binding_low:.0%} where it passes"
        tiles.append(Tile(_PART, "binding SLO", answer.binding.replace("_", " "), margin))
    if answer.streams_per_s is not None:
        tokens = "" if answer.tokens_per_s is None else f"{number(answer.tokens_per_s)} tokens/s"
        tiles.append(Tile(_PART, "at the answer", f"{show_digits(answer.streams_per_s)} streams/s", tokens))
    for one in answer.rates[-1:]:
        tiles.append(Tile(_PART, "open loop", f"{show_digits(one.load)}/s", one.verdict.value, _MARKS[one.verdict]))
    for one in answer.sustained[:1]:
        tiles.append(
            Tile(_PART, "sustained", show(one.load), f"{one.verdict.value}, {one.seconds:.0f} s", _MARKS[one.verdict])
        )
    needs = found.fleet.needs
    if needs is not None and any(map(str.isdigit, needs.words)):  # else it says that the number is not known
        tiles.append(Tile(_PART, "replicas", needs.words.removesuffix(" replicas"), f"for {needs.users:,} users"))
    return tiles
