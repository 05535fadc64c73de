"""Foreign text on a terminal."""

import pytest

from harness.cli.console import out, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root:x:0", "root:x:0"),
        (":smiley:", ":smiley:"),
        ("[bold]b[/bold]", "[bold]b[/bold]"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200eb\u2028c\ud800", "a\\u200eb\\u2028c\\ud800"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
    ],
)
def test_foreign_text_is_shown_as_it_is(text: str, shown: str) -> None:
    with out.capture() as captured:
        out.print(safe(text))
    assert captured.get() == shown + "\n"
