"""Sentences on a page: commands are code, options stay in one piece, and untrusted words stay words."""

import pytest

from streamgauge.reports.html import prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("59 would decide", "59 would decide"),
        ("and --longest is 8 s", 'and <span class="option">--longest</span> is 8 s'),
        ("run `ulimit -n`, then again", "run <code>ulimit -n</code>, then again"),
        ("a -- b, a--b, ---x", "a -- b, a--b, ---x"),
        ("<b> `<i>` --<u>", "&lt;b&gt; <code>&lt;i&gt;</code> --&lt;u&gt;"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_a_sentence_on_a_page(text: str, shown: str) -> None:
    assert prose(text) == shown
