"""What `import streamgauge` offers: each name exists, is explained, and costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import streamgauge

DOORS = {"cancel", "check", "compare", "diagnose", "load", "overhead", "probe"}
HEAVY = "('typer', 'rich', 'locust', 'gevent', 'pandas', 'matplotlib', 'httpx', 'msgspec', 'pytest')"
BESIDE_THE_CLIENT = "('typer', 'locust', 'gevent', 'pandas', 'matplotlib', 'pytest')"


def loaded(program: str, names: str) -> str:
    program = f"import sys, streamgauge; {program}; print([name for name in {names} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", streamgauge.__all__)
def test_a_public_name_exists_and_is_explained(name: str) -> None:
    value = getattr(streamgauge, name)
    assert name in dir(streamgauge)
    assert name == "__version__" or (value.__doc__ or "").strip()
    assert name == "__version__" or value.__name__ == name


def test_the_doors_are_public() -> None:
    assert set(streamgauge.__all__) >= DOORS
    assert all(callable(getattr(streamgauge, name)) for name in DOORS)


def test_what_a_type_checker_sees_is_what_there_is() -> None:
    tree = ast.parse(Path(streamgauge.__file__ or "").read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: (node.module or "").removeprefix("streamgauge.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == streamgauge._ROOMS
    assert sorted(streamgauge.__all__) == sorted([*typed, "__version__"])


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = streamgauge.no_such_name


def test_the_name_alone_imports_nothing_heavy() -> None:
    assert loaded("dir(streamgauge)", HEAVY) == "[]"


@pytest.mark.parametrize("name", sorted(DOORS))
def test_a_door_imports_neither_the_command_line_nor_gevent(name: str) -> None:
    assert loaded(f"streamgauge.{name}", BESIDE_THE_CLIENT) == "[]"


def test_a_room_does_not_hide_a_door() -> None:
    """A package `streamgauge.load` would replace the function as soon as one of its modules is imported."""
    folder = Path(streamgauge.__file__ or "").parent
    assert not [name for name in streamgauge.__all__ if (folder / name).exists() or (folder / f"{name}.py").exists()]
