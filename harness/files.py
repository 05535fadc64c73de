"""Files that the user named: read whole up to a limit, replaced so that a reader sees the old or the new content."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.secrets import hidden_content
from streamgauge.units import show_bytes

MAX_BYTES: Final = 64 * 1024 * 1024


def read_file(path: Path, most_bytes: int = MAX_BYTES) -> bytes:
    """The content of a file. Raises OSError, also on a file that is larger than the limit or never ends."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {show_bytes(most_bytes)}")
    return content


def replace_file(path: Path, content: bytes) -> None:
    """`swap_in` for a file that the user named. Raises UsageError when it cannot be written."""
    try:
        swap_in(path, content)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "may you write there, and is the disk full?"
        ) from None


def swap_in(path: Path, content: bytes) -> None:
    """Replace `path`, or write into it when it is a pipe or a device. On OSError no temporary file is left.

    The user's secrets are masked in `content`.
    """
    content = hidden_content(content)
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`. It replaces `path` when the block succeeds and is removed when it fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def must_be_writable(path: Path) -> None:
    """Raise UsageError before a run whose result could not be written at its end."""
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory", "name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: its directory does not exist", "make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied", "name a file that you may write")
