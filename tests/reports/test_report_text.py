"""How a report shows numbers, absent values and untrusted text."""

import pytest

from streamgauge.reports.text import LONGEST, clean, label, md, md_block, md_code, ms, ms_cell, number, percent
from streamgauge.units import plural


def test_clean_removes_active_characters_and_keeps_the_words() -> None:
    assert clean("a\x1b[31mb\x1b]0;title\x07c\x9b31m\x00\x7f\u202ed\te\n") == "abc31md\te\n"


def test_clean_bounds_the_length() -> None:
    assert len(clean("x" * 10 * LONGEST)) < LONGEST + 20


def test_a_figure_label_is_one_short_line_in_known_characters() -> None:
    assert label("a\nb  \u4e2d$x$") == "a b ?$x$"
    assert len(label("x" * 100)) == 34


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.9999, "> 99.9 %"), (0.0001, "< 0.1 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_an_absent_value_is_a_dash() -> None:
    assert [ms(None), ms_cell(None), number(None)] == ["–"] * 3


def test_numbers_have_separators_of_thousands_and_only_digits_that_matter() -> None:
    assert [ms_cell(0.123), ms_cell(1234.56), number(1234.4), number(12.34), number(3)] == [
        "0.12", "1,234.6", "1,234", "12.3", "3",
    ]  # fmt: skip
    assert [plural(1, "stream"), plural(2_000, "stream")] == ["1 stream", "2,000 streams"]


def test_markdown_in_untrusted_text_is_escaped_and_cannot_leave_its_table_cell() -> None:
    assert md("a|b\n<i>*c*</i> [x](y)") == r"a\|b &lt;i&gt;\*c\*&lt;/i&gt; \[x\](y)"
    assert md_code("a|`b`") == r"`` a\|`b` ``"
    assert md_block("```\nx") == "````\n```\nx\n````"
