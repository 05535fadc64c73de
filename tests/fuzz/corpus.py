"""The inputs that are kept: what `make fuzz` found to reach new code, and every input that ever broke something.

One file a target, one input a line, written as Python writes bytes: so a diff shows what was added.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent / "corpus"


def kept(name: str) -> list[bytes]:
    """The inputs of a target that are kept; none where the file does not exist."""
    path = FOLDER / f"{name}.txt"
    if not path.exists():
        return []
    return [ast.literal_eval(line) for line in path.read_text(encoding="ascii").splitlines()]


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Write the inputs of a target: the shortest first, each once."""
    lines = [ascii(data) + "\n" for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("".join(lines), encoding="ascii")
