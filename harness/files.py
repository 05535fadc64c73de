"""Files of this machine: read whole up to a limit, replaced so that a reader sees the old or the new content.

A path can lead to anything: a directory, a device without an end (/dev/zero), a pipe into which nobody writes. Every
read here has a limit of bytes, and waits for a pipe only a limited time.
"""

import errno
import os
import re
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.secrets import hidden_content
from streamgauge.units import MIB, show_bytes

MAX_BYTES: Final = 64 * MIB

_PIECE: Final = 1024 * 1024
_MOST_LINKS: Final = 8
_DESCRIPTORS: Final = re.compile(r"/proc/[0-9]+(?:/task/[0-9]+)?/fd")
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a pipe without a writer would block in open


class Patience(NamedTuple):
    """How long a pipe or a device may take: for the next bytes, and in all."""

    silence_s: float = 10.0
    total_s: float = 60.0


_PATIENCE: Final = Patience()


def read_file(path: Path, most_bytes: int = MAX_BYTES, patience: Patience = _PATIENCE) -> bytes:
    """The content of a file or of a pipe: `--body <(command)` is a pipe.

    Raises OSError, also on a file that is larger than the limit, and on a pipe that brings nothing or does not end.
    """
    fd = os.open(path, _FLAGS)
    try:
        content = bytearray()
        for piece in _pieces(fd, patience):
            content += piece
            if len(content) > most_bytes:
                raise OSError(errno.EFBIG, f"it is larger than {show_bytes(most_bytes)}")
        return bytes(content)
    finally:
        os.close(fd)


def _pieces(fd: int, patience: Patience) -> Iterator[bytes]:
    is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
    ends_s = time.monotonic() + patience.total_s
    while True:
        if not is_regular:
            _wait(fd, select.POLLIN, patience, ends_s)
        piece = os.read(fd, _PIECE)
        if not piece:
            return
        yield piece


def _wait(fd: int, event: int, patience: Patience, ends_s: float) -> None:
    """Wait until a pipe or a device is ready. Raises OSError when it is not ready in time."""
    left_s = max(ends_s - time.monotonic(), 0)
    poll = select.poll()
    poll.register(fd, event)
    if left_s and poll.poll(min(left_s, patience.silence_s) * 1000):
        return
    if left_s < patience.silence_s:
        raise OSError(errno.ETIMEDOUT, f"it is not a regular file, and had no end after {patience.total_s:.0f} s")
    doing = "brought" if event == select.POLLIN else "took"
    raise OSError(errno.ETIMEDOUT, f"it is not a regular file, and {doing} nothing for {patience.silence_s:.0f} s")


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises OSError, also on a directory, a pipe and a device."""
    fd = os.open(path, _FLAGS)
    if not stat.S_ISREG(mode := os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"it is {_kind(mode)}, not a regular file")
    return os.fdopen(fd, "rb")


@contextmanager
def text_lines(path: Path, most_characters: int) -> Iterator[Iterator[str]]:
    """The lines of a regular text file (UTF-8), each cut after `most_characters` + 1. Raises OSError as `open_regular`.

    While lines are read: UnicodeDecodeError.
    """
    with TextIOWrapper(open_regular(path), encoding="utf-8", newline="") as file:
        yield iter(lambda: file.readline(most_characters + 1), "")


def read_regular(path: Path, most_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file. Raises OSError, also on anything else and on a file above the limit."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {show_bytes(most_bytes)}")
    return content


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def replace_file(path: Path, content: bytes) -> None:
    """`swap_in` for a file that the user named. Raises UsageError when it cannot be written."""
    try:
        swap_in(path, content)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "may you write there, and is the disk full?"
        ) from None


def swap_in(path: Path, content: bytes) -> None:
    """Replace `path`, or write into it when it is a pipe, a device or an open file of a process (/dev/stdout).

    The user's secrets are masked in `content`. On OSError no temporary file is left.
    """
    if _is_descriptor(path) or (path.exists() and not path.is_file()):
        _write_into(path, hidden_content(content))
    else:
        replace_whole(path, content)


def replace_whole(path: Path, content: bytes) -> None:
    """Replace `path`, also when a pipe or a device has its name. The user's secrets are masked. Raises OSError."""
    with replacing(path) as temporary:
        temporary.write_bytes(hidden_content(content))


def _is_descriptor(path: Path) -> bool:
    """Whether the path stands for an open file of a process, as /dev/stdout and /dev/fd/3 do.

    With the output redirected to a file it leads to a regular file, but the link itself must not be replaced.
    """
    link = path.absolute()
    for _ in range(_MOST_LINKS):
        if _DESCRIPTORS.fullmatch(os.path.realpath(link.parent)):
            return True
        if not link.is_symlink():
            return False
        link = link.parent / link.readlink()
    return False


def _write_into(path: Path, content: bytes) -> None:
    """Write to a pipe or a device. Raises OSError, also on a pipe from which nobody reads."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from this pipe") from None
        raise
    try:
        left = memoryview(content)
        ends_s = time.monotonic() + _PATIENCE.total_s
        while left:
            _wait(fd, select.POLLOUT, _PATIENCE, ends_s)
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`. It replaces `path` when the block succeeds and is removed when it fails.

    Its name cannot be guessed, and it must be new: where others may write to the directory, a link that they planted
    would lead the content elsewhere.
    """
    temporary = path.with_name(f".{path.name[:40]}.{token_hex(6)}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def must_be_writable(path: Path) -> None:
    """Raise UsageError before a run whose result could not be written at its end."""
    try:
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a directory", "name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: its directory does not exist", "make it first")
        writable = os.access(path if path.exists() else path.parent, os.W_OK)
    except OSError as error:  # a name that is too long, a loop of links, a parent that may not be entered
        raise UsageError(f"cannot write {path}: {error.strerror}", "name a file that you may write") from None
    if not writable:
        raise UsageError(f"cannot write {path}: permission denied", "name a file that you may write")
