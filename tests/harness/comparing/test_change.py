"""The grammar of `compare --fail-on`."""

import pytest

from streamgauge.comparing.change import DEFAULT, Kind, parse_change
from streamgauge.errors import UsageError
from streamgauge.units import MS


@pytest.mark.parametrize(
    ("text", "metric", "statistic", "limit", "kind"),
    [
        ("ttft p95 > +10%", "ttft", "p95", 0.1, Kind.RELATIVE),
        ("ttft > +10%", "ttft", "p95", 0.1, Kind.RELATIVE),
        ("itl p50 > +2ms", "itl", "p50", 2 * MS, Kind.DURATION),
        ("e2e mean>+1.5s", "e2e", "mean", 1500 * MS, Kind.DURATION),
        ("error_rate > +1pp", "error_rate", None, 0.01, Kind.POINTS),
        ("goodput < -1.5pp", "goodput", None, 0.015, Kind.POINTS),
        ("output_tokens_per_s < -5%", "output_tokens_per_s", None, 0.05, Kind.RELATIVE),
        ("checks", "checks", None, 0, Kind.CHECKS),
    ],
)
def test_a_change_is_read(text: str, metric: str, statistic: str | None, limit: float, kind: Kind) -> None:
    found = parse_change(text)
    assert (found.metric, found.statistic, found.kind) == (metric, statistic, kind)
    assert found.limit == pytest.approx(limit)
    assert parse_change(str(found)) == found


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("", 1, "the name of a metric"),
        ("speed > +1%", 1, "the name of a metric"),
        ("schedule_delay > +1%", 1, "the name of a metric"),
        ("ttft p95 < +10%", 10, "expected >"),
        ("ttft p95 > 10%", 12, "a change such as +10% or +20ms"),
        ("ttft p95 > -10%", 12, "a change such as +10% or +20ms"),
        ("ttft p95 > +10", 12, "a change such as +10% or +20ms"),
        ("ttft max > +10%", 6, "has no interval"),
        ("error_rate > +1%", 14, "percentage points such as +1pp"),
        ("error_rate > +101pp", 14, "percentage points such as +1pp"),
        ("output_tokens_per_s > +5%", 21, "expected <"),
        ("goodput < -1%", 11, "percentage points such as -1pp"),
        ("goodput > +1pp", 9, "expected <"),
        ("ttft p95 > +10% now", 17, "nothing more"),
        ("checks now", 8, "nothing more"),
    ],
)
def test_an_error_points_at_the_character_that_does_not_fit(text: str, character: int, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_change(text)
    assert f"character {character}: " in caught.value.message
    assert expected in caught.value.message


def test_the_default_changes_are_texts_of_the_grammar() -> None:
    assert [parse_change(str(change)) for change in DEFAULT] == list(DEFAULT)
