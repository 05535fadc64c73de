"""Options that are declared once: a field of a frozen dataclass becomes a flag of a command as well.

class Settings:
    replicas: Annotated[int, "Replicas behind the one address."] = 1    # --replicas 1
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import typer

T = TypeVar("T")


class Option(NamedTuple):
    """One field: `hint` is its type, `text` the help of its flag."""

    name: str
    hint: Any
    default: Any
    text: str

    @property
    def flag(self) -> str:
        """`queue_order` becomes `--queue-order`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted words of a Literal, or of a tuple of a Literal; empty for other types."""
        hint = get_args(self.hint)[0] if self.repeats else self.hint
        literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
        return tuple(get_args(literals[0])) if literals else ()

    @property
    def repeats(self) -> bool:
        """Whether the flag may be given several times, because the field is a tuple."""
        return get_origin(self.hint) is tuple


def options(settings: type) -> tuple[Option, ...]:
    """The options of a dataclass, in the order of its fields."""
    hints = get_type_hints(settings, include_extras=True)
    found = []
    for each in fields(settings):
        hint, text = get_args(hints[each.name])
        found.append(Option(each.name, hint, None if each.default is MISSING else each.default, text))
    return tuple(found)


def check_choices(settings: object) -> None:
    """ValueError if a value is not one of its option's choices; values may come from code and not from a flag."""
    for option in options(type(settings)):
        value = getattr(settings, option.name)
        for word in value if option.repeats else (value,):
            if option.choices and word is not None and word not in option.choices:
                name = option.flag.removeprefix("--")
                raise ValueError(f"{name}: expected one of {', '.join(option.choices)}, got {word!r}")


def changed(settings: T, values: Mapping[str, str]) -> T:
    """`settings` with other values, written as on the command line; an empty text is the default.

    ValueError if a name or a value is wrong. Words of a repeated option are separated by commas.
    """
    known = {option.flag.removeprefix("--"): option for option in options(type(settings))}
    found: dict[str, Any] = {}
    for name, text in values.items():
        if name not in known:
            raise ValueError(f"{name[:80]!r}: expected one of {', '.join(known)}")
        option = known[name]
        found[option.name] = _parsed(option, text) if text else option.default
    return replace(settings, **found)  # type: ignore[type-var]


def _parsed(option: Option, text: str) -> Any:
    if option.repeats:
        return tuple(text.split(","))
    kinds = {option.hint, *get_args(option.hint)}
    kind = next((kind for kind in (int, float) if kind in kinds), str)
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"{option.flag.removeprefix('--')}: expected {expected}, got {text[:80]!r}") from None


def with_options(settings: type[T], argument: str, panel: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a typer command a flag for each field of `settings`.

    The command gets, as `argument`, a function that makes the settings: a ValueError of theirs is raised inside it.
    """
    own = options(settings)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            made = {option.name: values.pop(option.name) for option in own}
            for option in own:
                if option.repeats:
                    made[option.name] = tuple(made[option.name] or ())
            command(**values, **{argument: lambda: settings(**made)})

        parameters = [each for each in inspect.signature(command).parameters.values() if each.name != argument]
        parameters += [_parameter(option, panel) for option in own]
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _parameter(option: Option, panel: str) -> inspect.Parameter:
    hint, default, text = option.hint, option.default, option.text
    if option.repeats:  # typer has no lists of literals: `check_choices` knows the words
        hint, default = list[str] | None, None
        text = f"{text} Repeatable; of {', '.join(option.choices)}." if option.choices else f"{text} Repeatable."
    info = typer.Option(option.flag, help=text, rich_help_panel=panel)
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, info]
    )
