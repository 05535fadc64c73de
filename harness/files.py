"""Writing a file so that a reader sees the old or the new one, and never half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError


def replace_file(path: Path, content: bytes) -> None:
    """`swap_in` for a file that the user named. Raises UsageError when it cannot be."""
    try:
        swap_in(path, content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "is it writable, the disk full?") from None


def swap_in(path: Path, content: bytes) -> None:
    """Replace `path`, or write into it where it is a pipe or a device. Raises OSError, and leaves nothing behind."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write instead of `path`, which it replaces at the end; gone where that is not reached."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def must_be_writable(path: Path) -> None:
    """Raise UsageError early where a file could not be written at the end of a run."""
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory", "name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: its directory does not exist", "make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied", "name a file that you may write")
