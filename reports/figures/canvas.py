"""Drawing for the page: matplotlib figures as small, deterministic SVG that takes its colours from the page's CSS.

matplotlib needs concrete colours, the page has two colour schemes. So every colour here is a stand-in that stands for
a CSS variable and is replaced by it in the SVG: one figure is then legible in the light, in the dark and on paper.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Transform

INK: Final = "#010101"
FAINT: Final = "#020202"
GRID: Final = "#030303"
BLUE: Final = "#040404"
ORANGE: Final = "#050505"
RED: Final = "#060606"
GREY: Final = "#070707"
GREEN: Final = "#080808"
_VARIABLES: Final = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GRID: "var(--grid)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    RED: "var(--red)",
    GREY: "var(--grey)",
    GREEN: "var(--green)",
}

# The page scales a drawing to the width of its column. Drawn for a column of a phone, the text stays legible there
# (10 px) and does not become larger than a heading on a wide screen (16 px).
HALF: Final = 400
WHOLE: Final = 860
HEIGHT: Final = 250
TEXT: Final = 12


class Drawing(NamedTuple):
    """A figure ready for the page. `alt` describes it in words for readers who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    width: int

    @property
    def is_whole(self) -> bool:
        """Whether the drawing takes the whole width of the page."""
        return self.width > HALF


_RC: Final[dict[Any, Any]] = {
    "figure.dpi": 72,
    "savefig.dpi": 72,
    "svg.fonttype": "none",
    "svg.hashsalt": "streamgauge",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": GRID,
    "axes.labelsize": TEXT,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "path.simplify_threshold": 0.5,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": TEXT,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
    "figure.constrained_layout.use": True,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def svg(name: str, width: int, height: int, draw: Callable[[Figure], None]) -> str:
    """Draw on a figure of so many CSS pixels and return it as an SVG element. To be called inside `style()`."""
    figure = Figure(figsize=(width / 72, height / 72))
    canvas: Any = FigureCanvasSVG(figure)  # its methods have no types
    draw(figure)
    _lay_out(figure)
    out = io.StringIO()
    # Not savefig: it draws a figure twice that ever had a layout engine.
    canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(out.getvalue(), name)


def _lay_out(figure: Figure) -> None:
    """Place the axes, once."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")


def _inline(document: str, name: str) -> str:
    """The `<svg>` element alone: no prolog, no namespaces, ids of its own, colours and fonts left to the page."""
    text = document[document.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', body).replace("url(#", f"url(#{name}-")
    body = re.sub(r"(font: [^;\"']*?[\d.]+px) [^;\"]*(?=[;\"])", r"\1 inherit", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r"font: (?:[a-z0-9]+ )*?([\d.]+)px inherit", r"font-size: \1px", body)
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, variable)
    body = re.sub(r"(\d\.\d{2})\d+", r"\1", body)
    body = re.sub(r"\n\s*", "\n", body)
    return f'<svg {view.group() if view else ""} aria-hidden="true">{body}'.strip()


def marks(axes: Axes, paths: list[tuple[float, float, float]], colour: str, width: float = 1.2) -> None:
    """Vertical ticks (x, bottom, top) as one path: a thousandth of what as many line objects weigh."""
    if not paths:
        return
    vertices = [point for x, bottom, top in paths for point in ((x, bottom), (x, top))]
    codes = [Path.MOVETO, Path.LINETO] * len(paths)
    axes.add_patch(PathPatch(Path(vertices, codes), edgecolor=colour, facecolor="none", linewidth=width))


def at_line(axes: Axes, x: float, text: str, colour: str, height: float, *, left: bool = False) -> None:
    """A dashed vertical line with its words beside it, `height` being a fraction of the axes."""
    axes.axvline(x, color=colour, linestyle=(0, (4, 3)), linewidth=1.4)
    blended: Transform = axes.get_xaxis_transform()
    words = axes.annotate(
        text, (x, height), xycoords=blended, xytext=(-5 if left else 5, 0), textcoords="offset points",
        ha="right" if left else "left", va="center", color=INK,
    )  # fmt: skip
    # Words beside a line at the edge must not push the axes together.
    words.set_in_layout(False)


def left_out(axes: Axes, window: tuple[float, float] | None, *, words: bool = True) -> None:
    """Shade what comes before the measured window (the warm-up) and after it (the drain), within the axis."""
    if window is None:
        return
    low, high = axes.get_xlim()
    slack = (high - low) / 12  # a shorter time is only the end of the last streams, not a drain
    for begin, end, name, at, side in (
        (low, min(window[0], high), "warm-up", 0.01, "left"),
        (max(window[1], low), high, "drain", 0.99, "right"),
    ):
        if end - begin > slack:
            axes.axvspan(begin, end, color=GREY, alpha=0.18, linewidth=0)
            if words:  # from the edge inwards: a word in the middle of a short time would lie over the ticks
                label = axes.text(at, 0.97, name, transform=axes.transAxes, ha=side, va="top", color=INK)
                label.set_in_layout(False)


def _show_tick(value: float, _position: object = None) -> str:
    return f"{value:,.10g}"


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Ticks of a log axis that name enough values to read it by: 1, 2, 5 unless it spans many decades."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 2_000 * low else (1,)))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(NullFormatter())


PLAIN: Final = FuncFormatter(_show_tick)
SHARES: Final = FuncFormatter(lambda value, _position=None: f"{100 * value:g} %")
