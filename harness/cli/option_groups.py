"""Groups of options as dataclasses: a field is an option, and a command takes a group as one parameter.

    @dataclass(frozen=True, kw_only=True)
    class Prompts:
        nonce: Annotated[bool, typer.Option("--nonce")] = False

    @with_groups
    def load(url: Url, prompts: Prompts) -> None: ...

Typer knows options only as parameters of a function, so `with_groups` shows it a function with a parameter for each
field, in the order of the declarations; this order is the order of `--help`.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer needs it. A group may hold groups."""
    hints = get_type_hints(command, include_extras=True)
    shown = list(_flat(hints, inspect.signature(command).parameters))

    @functools.wraps(command)
    def run(**values: Any) -> None:
        command(**{name: _value(name, hints[name], values) for name in inspect.signature(command).parameters})

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


def options_of(group: Any) -> dict[str, Any]:
    """The options of a group with their values, those of the groups in it included."""
    found: dict[str, Any] = {}
    for field in fields(group):
        value = getattr(group, field.name)
        found |= options_of(value) if is_dataclass(value) else {field.name: value}
    return found


def _flat(hints: dict[str, Any], declared: Any) -> Iterator[inspect.Parameter]:
    """A keyword parameter for each option, those of groups included. `declared` are parameters of the command."""
    for name, parameter in declared.items():
        if is_dataclass(hints[name]):
            yield from _of_group(hints[name])
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])


def _of_group(group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        if is_dataclass(hints[field.name]):
            yield from _of_group(hints[field.name])
        else:
            assert field.default is not MISSING, f"{group.__name__}.{field.name} is an option and needs a default"
            yield inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )


def _value(name: str, hint: Any, values: dict[str, Any]) -> Any:
    """The value of an option, or the group made of the values of its fields."""
    if not is_dataclass(hint):
        return values[name]
    hints = get_type_hints(hint, include_extras=True)
    made: Any = hint
    return made(**{field.name: _value(field.name, hints[field.name], values) for field in fields(hint)})
