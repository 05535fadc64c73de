"""Options as dataclasses: the command line shows a parameter for each field, and the command gets the group."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from streamgauge.cli.capacity_options import SessionOptions
from streamgauge.cli.load_model import LoadModelOptions
from streamgauge.cli.option_groups import options_of, with_groups
from streamgauge.cli.prompt_options import PromptFlags
from streamgauge.cli.trace_options import TraceFlags
from streamgauge.loadgen.load import LoadOptions
from streamgauge.loadgen.model import LoadModel, workload_from
from streamgauge.loadgen.prompts.options import PromptOptions, plan_from
from streamgauge.loadgen.traces.controls import TraceOptions, controls_from


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: Annotated[int, typer.Option("--size", min=1)] = 3


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: Annotated[str, typer.Option("--name")] = "a"
    inner: Inner


def run(*words: str) -> tuple[Any, list[Any]]:
    seen: list[Any] = []

    @with_groups
    def command(
        *,
        first: Annotated[str | None, typer.Argument()] = None,
        outer: Outer,
        last: Annotated[bool, typer.Option()] = False,
    ) -> None:
        """What it does."""
        seen.extend([first, outer, last])

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, words), seen


def test_a_command_gets_its_groups_filled() -> None:
    done, seen = run("x", "--size", "5", "--last")
    assert done.exit_code == 0, done.output
    assert seen == ["x", Outer(name="a", inner=Inner(size=5)), True]
    assert run()[1] == [None, Outer(inner=Inner()), False]


def test_help_has_the_options_in_the_order_of_their_declaration() -> None:
    text = run("--help")[0].output
    assert "What it does." in text
    assert text.index("--name") < text.index("--size") < text.index("--last")


def test_a_bad_value_is_named_by_its_option() -> None:
    done, seen = run("--size", "0")
    assert done.exit_code == 2
    assert "--size" in done.output
    assert seen == []


def test_an_option_without_a_default_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bad:
        size: Annotated[int, typer.Option("--size")]

    def command(*, bad: Bad) -> None: ...

    command.__annotations__["bad"] = Bad
    with pytest.raises(AssertionError, match=r"Bad.size is an option and needs a default"):
        with_groups(command)


def test_the_options_of_a_group_are_those_of_the_groups_in_it_too() -> None:
    assert options_of(Outer(name="b", inner=Inner(size=5))) == {"name": "b", "size": 5}


def test_an_option_of_two_groups_is_refused() -> None:
    def command(*, one: Inner, outer: Outer) -> None: ...

    command.__annotations__ |= {"one": Inner, "outer": Outer}
    with pytest.raises(ValueError, match="duplicate parameter name: 'size'"):
        with_groups(command)


def filled(group: Any) -> Any:
    """A group in which every option has its default, those of the groups in it too."""
    hints = get_type_hints(group)
    return group(
        **{field.name: filled(hints[field.name]) for field in fields(group) if is_dataclass(hints[field.name])}
    )


@pytest.mark.parametrize(
    ("group", "keywords", "functions"),
    [(LoadModelOptions, LoadModel, (workload_from, controls_from)), (PromptFlags, PromptOptions, (plan_from,))],
)
def test_command_line_and_python_have_the_same_options(group: Any, keywords: Any, functions: Any) -> None:
    options = options_of(filled(group))
    assert options.keys() == keywords.__annotations__.keys()
    assert options == {name: value for function in functions for name, value in function.__kwdefaults__.items()}
    assert options.keys() <= LoadOptions.__annotations__.keys()


def test_load_and_capacity_read_a_trace_by_the_same_options() -> None:
    reading = options_of(filled(SessionOptions)).keys() - {"replay"}
    assert reading == options_of(TraceFlags()).keys() == TraceOptions.__annotations__.keys() - {"turns"}
