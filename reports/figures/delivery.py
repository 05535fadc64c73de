"""Arrivals against emissions, one staircase figure a path. Buffering is the area between the two."""

from matplotlib.figure import Figure

from streamgauge.diagnosis.patterns import PathFinding
from streamgauge.reports.figures.canvas import BLUE, GREY, HALF, HEIGHT, PLAIN, Drawing, svg
from streamgauge.reports.load import Run
from streamgauge.reports.text import ABSENT, clean, ms
from streamgauge.units import plural

_MAX_STEPS = 600
_MAX_PATHS = 8


def draw(run: Run) -> list[Drawing]:
    if run.diagnosis is None:
        return []
    paths = [path for path in run.diagnosis.paths if path.arrivals_ms][:_MAX_PATHS]
    # The same axes for each path, or the eye compares the wrong things.
    latest = max((at for path in paths for at in (*path.arrivals_ms, *path.emitted_ms)), default=1.0)
    tokens = max((max(len(path.arrivals_ms), len(path.emitted_ms)) for path in paths), default=1)
    return [_path(index, path, latest, tokens) for index, path in enumerate(paths, 1)]


def _path(index: int, path: PathFinding, latest: float, tokens: int) -> Drawing:
    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if path.emitted_ms:
            axes.step(
                *_stairs(path.emitted_ms), where="post", color=GREY, linestyle=(0, (4, 2)), linewidth=1.6,
                label="written upstream",
            )  # fmt: skip
        axes.step(*_stairs(path.arrivals_ms), where="post", color=BLUE, label="arrived here")
        axes.set_xlim(0, latest * 1.03)
        axes.set_ylim(0, tokens * 1.05)
        axes.xaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_major_formatter(PLAIN)
        axes.set_xlabel("ms since the request was sent")
        axes.set_ylabel("tokens so far")
        axes.legend(loc="upper left")

    size = f", blocks of {path.size_bytes:,} B" if path.size_bytes else ""
    window = f", windows of {ms(path.window_ms)}" if path.window_ms else ""
    name = clean(path.label)
    emitted = "" if path.emitted_ms else " When they were written is not known here."
    return Drawing(
        f"delivery-{index}",
        f"Path {name}: {path.pattern.value}{size}{window}",
        f"{plural(path.tokens or len(path.arrivals_ms), 'token')} in {plural(path.groups, 'group')}; "
        f"first after {ms(path.ttft_ms) if path.ttft_ms is not None else ABSENT}.{emitted}",
        f"Tokens over time on path {name}, {path.pattern.value}: the first arrived after {ms(path.arrivals_ms[0])}, "
        f"the last after {ms(path.arrivals_ms[-1])}.",
        svg(f"delivery-{index}", HALF, HEIGHT, paint),
        HALF,
    )


def _stairs(times: list[float]) -> tuple[list[float], list[int]]:
    ordered = sorted(times)
    # Every n-th step of a long stream, and always the last.
    every = max(len(ordered) // _MAX_STEPS, 1)
    kept = [i for i in range(len(ordered)) if i % every == 0 or i == len(ordered) - 1]
    return [0.0, *(ordered[i] for i in kept)], [0, *(i + 1 for i in kept)]
