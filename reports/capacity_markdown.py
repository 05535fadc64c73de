"""Markdown of a search for the capacity, for a job summary or a comment. The same file gives the same bytes."""

from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.words import by_load, client_advice, conclusion, figure_text, labelled, trials_text
from streamgauge.reports.markdown import markdown_table
from streamgauge.reports.tables import Table
from streamgauge.reports.text import ABSENT, md, number, percent


def capacity_markdown(found: CapacityFile) -> str:
    """The answer, the loads, and every point."""
    parts = [f"## Streamgauge capacity: {md(found.answer.headline)}", md(found.target)]
    if (held := conclusion(found)) is not None:
        parts.append(f"**{md(held[0])}**: {md(held[1])}")
    parts += [markdown_table(answer_table(found)), "### Loads", markdown_table(loads(found))]
    parts += ["### Points", markdown_table(points(found)), "### Settings", markdown_table(settings(found))]
    return "\n\n".join(parts) + "\n"


def answer_table(found: CapacityFile) -> Table:
    """The answer in labelled lines, without the headline."""
    rows = [[label, text] for label, text in labelled(found)[1:]]
    rows += [["what to do", line] for line in client_advice(found)]
    return Table(["", "answer"], rows)


def loads(found: CapacityFile) -> Table:
    """A row for each load, with the figures of the trial that says most."""
    columns = [
        "load",
        "trials",
        "streams",
        "streams/s",
        "tokens/s",
        "in flight",
        "goodput",
        "of ok only",
    ]
    cached = any(point.observation.cached_share is not None for point in found.points)
    columns += [*(["from cache"] if cached else []), *found.objectives]
    rows = []
    for row in by_load(found.points):
        seen = row.best.observation
        figures = {figure.slo: figure for figure in seen.figures}
        rows.append(
            [
                row.best.probe.shown,
                trials_text(row.trials),
                f"{seen.ok + seen.refused + seen.broken:,}",
                ABSENT if seen.streams_per_s is None else f"{seen.streams_per_s:,.2f}",
                number(seen.tokens_per_s),
                number(seen.in_flight),
                percent(seen.goodput),
                percent(seen.goodput_of_ok),
                *([percent(seen.cached_share)] if cached else []),
                *(figure_text(figures.get(slo), interval=True) or ABSENT for slo in found.objectives),
            ]
        )
    return Table(columns, rows, len(columns) - 2)


def points(found: CapacityFile) -> Table:
    """Every point in the order in which it was measured."""
    rows = []
    for number_, point in enumerate(found.points, 1):
        seen = point.observation
        notes = [note for note in (seen.cold, seen.stopped and f"ended early: {seen.stopped}") if note]
        rows.append(
            [
                str(number_),
                point.probe.shown,
                point.probe.purpose.value,
                point.verdict.value,
                "; ".join([point.reason, *notes]),
                f"{point.probe.seconds:g} s",
                f"{seen.ok:,}",
                f"{seen.refused:,}",
                f"{seen.broken:,}",
                f"{seen.cut:,}",
                ABSENT if seen.little is None else f"{seen.little:.1%}",
                seen.client,
            ]
        )
    columns = ["", "load", "why", "verdict", "reason", "length", "ok", "refused", "broken", "cut", "Little", "client"]
    return Table(columns, rows, 7)


def workload(found: CapacityFile) -> list[list[str]]:
    """The options that say what the streams ask for, as they were given. A history from elsewhere may hold anything."""
    given: dict[str, object] = {}
    for group in ("prompts", "trace"):
        options = found.settings.get(group)
        given |= options if isinstance(options, dict) else {}
    given |= {name: found.settings.get(name) for name in ("think_time", "abandon")}
    return [[str(name).replace("_", " "), str(value)] for name, value in given.items() if value is not None]


def settings(found: CapacityFile) -> Table:
    """How the search was made, and what it used."""
    plan = found.settings.get("plan", {})
    rows = [
        ["target", found.target],
        ["objectives", ", ".join(found.objectives)],
        ["confidence of each verdict", f"{found.confidence:.1%}"],
        ["precision", f"{plan.get('precision', 0):.1%} of the load, at least 1 user or session"],
        ["prompts", "each one unique" if found.settings.get("nonce") else "the same for every point"],
        *workload(found),
        ["processes", str(found.settings.get("processes", 1))],
        ["seed", str(plan.get("seed", ""))],
        [
            "used",
            f"{found.spent.seconds:,.0f} s, {found.spent.requests:,.0f} requests, {found.spent.tokens:,.0f} tokens",
        ],
        ["started", found.started],
        ["ended", found.ended or ABSENT],
        ["client", f"{found.machine.system}, Python {found.machine.python}, CPUs: {found.machine.cpus}"],
        ["streamgauge", found.streamgauge],
    ]
    floor = found.calibration
    if floor is not None:
        ceiling = f"{floor.users:,} users, {number(floor.tokens_per_s)} tokens/s, {floor.validity.verdict}"
        rows.insert(-1, ["calibrated at", ceiling])
    return Table(["setting", "value"], rows)
