"""The figures and verdicts of a comparison in words: the same in the terminal, in Markdown and on the page."""

from streamgauge.comparing.report import Range, Row, RuleResult, Versus
from streamgauge.comparing.verdict import Finding, RuleVerdict
from streamgauge.metrics.metric import Unit
from streamgauge.units import MS, show_ms


def figure(row: Row, value: float | None) -> str:
    """A figure of one side with its unit."""
    if value is None:
        return "-"
    match row.unit:
        case Unit.DURATION.value:
            return show_ms(value * MS)
        case Unit.SHARE.value:
            return f"{value:.2%}"
        case _:
            return f"{value:,.1f}/s"


def change(row: Row) -> str:
    """The difference in words, without its interval."""
    if row.unit == Unit.SHARE.value:
        return f"{100 * row.absolute.point:+.2f} pp" if row.absolute else "-"
    if row.relative:
        return f"{100 * row.relative.point:+.1f} %"
    return absolute(row) if row.absolute else "-"


def interval(row: Row) -> str:
    """The interval of the difference."""
    if row.unit == Unit.SHARE.value:
        return _ends(row.absolute, 100, " pp", 2)
    return _ends(row.relative, 100, " %", 1)


def absolute(row: Row) -> str:
    """The difference in the unit of the figure."""
    if row.absolute is None:
        return "-"
    sign = "+" if row.absolute.point >= 0 else ""
    return sign + show_ms(row.absolute.point * MS) if row.unit == Unit.DURATION.value else f"{row.absolute.point:+,.1f}"


def noise(row: Row) -> str:
    """The noise of the same target twice."""
    return "-" if row.noise is None else f"± {100 * row.noise:.1f} %"


def floor(row: Row) -> str:
    """The error of the client."""
    return "-" if row.floor_ms is None else f"± {show_ms(row.floor_ms * MS)}"


def finding(row: Row) -> str:
    """What the row shows, and what would show more."""
    match row.finding:
        case Finding.NONE_VISIBLE:
            if row.shows_five:
                return "none visible; 5 % would show"
            more = f"; n = {row.needed:,} would show 5 %" if row.needed else ""
            return f"none visible at this n{more}"
        case Finding.NOT_JUDGED:
            return f"not judged: {row.note}"
        case _:
            return row.finding.value


def rule(result: RuleResult) -> str:
    """A rule's verdict with its reason."""
    parts = [result.reason] if result.reason else []
    if result.needed:
        parts.append(f"n = {result.needed:,} streams a side would decide it if nothing changed")
    return f"{result.verdict.value}{': ' if parts else ''}{'; '.join(parts)}"


def headline(versus: Versus) -> str:
    """The answer in one sentence."""
    named = [result for result in versus.rules if result.verdict is versus.verdict]
    against = "" if versus.base == "A" else f" against {versus.base}"
    match versus.verdict:
        case RuleVerdict.REGRESSION:
            found = "; ".join(f"{one.rule}: {one.measured}" for one in named)
            kind = "Regression" if versus.base == "A" else "Slow drift, a regression"
            return f"{kind} in {versus.name}{against}: {found}"
        case RuleVerdict.NONE:
            return f"No regression in {versus.name}{against}: every limit lies outside of the intervals"
        case _:
            return f"No verdict on {versus.name}{against}: {'; '.join(one.rule for one in named) or 'no rule'}"


def _ends(span: Range | None, scale: float, unit: str, digits: int) -> str:
    if span is None:
        return "-"
    low, high = ("?" if end is None else f"{scale * end:+.{digits}f}" for end in (span.low, span.high))
    return f"{low} to {high}{unit}"
