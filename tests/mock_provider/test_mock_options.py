"""Options that are declared once: the flags of a command, and the words of the control API."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from streamgauge.mock_provider.options import changed, check_choices, options, with_options


@dataclass(frozen=True, kw_only=True)
class Settings:
    count: Annotated[int, "How many."] = 3
    share: Annotated[float, "Which part."] = 0.5
    most: Annotated[int | None, "How many at most."] = None
    queue_order: Annotated[Literal["first", "last"], "Who goes first."] = "first"
    words: Annotated[tuple[Literal["a", "b"], ...], "Letters."] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        if self.count < 0:
            raise ValueError(f"count: expected 0 or more, got {self.count}")


def run(*arguments: str) -> str:
    app = typer.Typer()

    @app.command()
    @with_options(Settings, "settings", "Panel")
    def command(settings, name: str = "x") -> None:
        """Says its settings."""
        try:
            typer.echo(f"{name} {settings()}")
        except ValueError as error:
            typer.echo(f"error: {error}")

    result = CliRunner().invoke(app, list(arguments))
    return result.output.strip() if result.exit_code == 0 else f"exit {result.exit_code}"


def test_each_field_is_a_flag() -> None:
    assert run() == f"x {Settings()}"
    given = run("--name", "y", "--count", "7", "--share", "0.1", "--most", "9", "--queue-order", "last",
                "--words", "a", "--words", "b")  # fmt: skip
    assert given == f"y {Settings(count=7, share=0.1, most=9, queue_order='last', words=('a', 'b'))}"


def test_a_wrong_value_is_an_error_of_the_command() -> None:
    assert run("--count", "-1") == "error: count: expected 0 or more, got -1"
    assert run("--words", "c") == "error: words: expected one of a, b, got 'c'"
    assert run("--queue-order", "middle") == "exit 2"


def test_the_help_has_the_texts_the_defaults_and_the_words() -> None:
    shown = " ".join(run("--help").split())
    assert "How many." in shown
    assert "Repeatable; of a, b." in shown
    assert "Says its settings." in shown


def test_options_know_their_choices() -> None:
    assert [(option.flag, option.choices, option.repeats) for option in options(Settings)] == [
        ("--count", (), False),
        ("--share", (), False),
        ("--most", (), False),
        ("--queue-order", ("first", "last"), False),
        ("--words", ("a", "b"), True),
    ]


def test_changes_are_written_as_on_the_command_line() -> None:
    settings = Settings(most=1)
    assert changed(settings, {"count": "8", "most": "2", "words": "a,b"}) == Settings(count=8, most=2, words=("a", "b"))
    assert changed(settings, {"most": "", "queue-order": "last"}) == Settings(queue_order="last")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"count": "x"}, "count: expected a whole number, got 'x'"),
        ({"count": "9" * 5_000}, "count: expected a whole number"),
        ({"share": "much"}, "share: expected a number"),
        ({"queue_order": "last"}, "'queue_order': expected one of count, share"),
        ({"words": "a,c"}, "words: expected one of a, b, got 'c'"),
    ],
)
def test_a_wrong_change_is_named(values: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        changed(Settings(), values)
