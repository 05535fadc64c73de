"""report.html: one self-contained file. Autoescaping is on, and every string passes through `clean`."""

import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from streamgauge.conformance.result import WORST_FIRST, CheckResult, Verdict
from streamgauge.reports import tables
from streamgauge.reports.caveats import caveats
from streamgauge.reports.figures import draw_all
from streamgauge.reports.headline import check_counts, headline
from streamgauge.reports.load import Run
from streamgauge.reports.text import ABSENT, clean, moment, ms

_COMMAND: Final = re.compile(r"`([^`<>]{1,600})`")
_OPTION: Final = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]{0,40}")
_LOUD: Final = frozenset({Verdict.ERROR, Verdict.FAIL, Verdict.WARN})


class Group(NamedTuple):
    """The checks of one group, worst first."""

    name: str
    results: list[CheckResult]


def html_report(run: Run) -> str:
    """The page. The same run gives the same bytes."""
    # These drawings are safe as markup: they are our own, and matplotlib escapes the text in them.
    figures = {
        section: [(drawing, Markup(drawing.svg)) for drawing in drawn] for section, drawn in draw_all(run).items()
    }
    results = run.checks.results if run.checks else []
    return page(
        "report.html.j2",
        run=run,
        top=headline(run),
        figures=figures,
        caveats=caveats(run),
        tables=tables,
        counts=check_counts(run),
        loud=[r for r in _worst_first(results) if r.verdict in _LOUD],
        quiet=[
            (verdict, grouped([r for r in results if r.verdict is verdict]))
            for verdict in (Verdict.INFO, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE, Verdict.PASS)
        ],
        version=run.manifest.streamgauge if run.manifest else (run.checks.streamgauge if run.checks else None),
    )


def page(template: str, **values: Any) -> str:
    """A self-contained page from a template in reports/templates. Text is escaped and cleaned of control characters."""
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("streamgauge.reports"), autoescape=True, undefined=StrictUndefined, finalize=_finalize,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"ms": ms, "clean": clean, "moment": moment, "prose": prose}
    return environment


def prose(text: str) -> Markup:
    """A sentence of our own as HTML: a command in backticks is code, and a line never breaks inside of an option.

    All of it is escaped first, so untrusted words in it stay words.
    """
    shown = _COMMAND.sub(r"<code>\1</code>", str(escape(clean(text))))
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', shown))


def grouped(results: Iterable[CheckResult]) -> list[Group]:
    """Checks by group, groups in order of name."""
    ordered = sorted(results, key=lambda r: (r.group, WORST_FIRST.index(r.verdict), r.id))
    return [Group(name, list(members)) for name, members in groupby(ordered, key=lambda r: r.group)]


def _worst_first(results: Iterable[CheckResult]) -> list[CheckResult]:
    return sorted(results, key=lambda r: (WORST_FIRST.index(r.verdict), r.group, r.id))


def _finalize(value: Any) -> Any:
    if value is None:
        return ABSENT
    if isinstance(value, Markup):
        return value
    return clean(value) if isinstance(value, str) else value
