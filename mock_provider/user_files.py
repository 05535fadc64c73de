"""Files that the user names. A pipe or a device would hang the start, or fill the memory."""

import os
import stat
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

MOST_CHARACTERS = 16 * 1_048_576  # of a text, and of a line of a trace


def open_text(path: Path) -> TextIOWrapper:
    """A regular file of UTF-8 text, with its line ends as they are. ValueError says why there is none."""
    return os.fdopen(_open_regular(path), encoding="utf-8", newline="")


def must_be_regular(path: Path) -> None:
    """Raise ValueError for a path that only another library opens, and that might keep it waiting."""
    os.close(_open_regular(path))


def _open_regular(path: Path) -> int:
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror or error}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"can't read {path}: expected a regular file, got a folder, a pipe or a device")
    return descriptor


def read_text(path: Path) -> str:
    """The text of a regular file. ValueError says why there is none."""
    with open_text(path) as file:
        file.reconfigure(newline=None)
        try:
            text = file.read(MOST_CHARACTERS + 1)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text: {error}") from None
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{path} has more than {MOST_CHARACTERS} characters")
    return text


def lines(file: TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of `file`, which is that of `path`. ValueError for a line above MOST_CHARACTERS."""
    while line := file.readline(MOST_CHARACTERS + 1):
        if len(line) > MOST_CHARACTERS:
            raise ValueError(f"{path} has a line of more than {MOST_CHARACTERS} characters")
        yield line
