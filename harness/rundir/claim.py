"""The claim of one run on its directory: a second run into the same directory would remove the records of the first."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamgauge.errors import UsageError

_HINT: Final = "choose another directory with --out"
_WAIT: Final = "wait until it has ended, or choose another directory with --out"


class Claim:
    """A lock on the directory itself, so that no file is left behind. It holds as long as any process has `descriptor`
    open: child processes that inherit it keep the claim when their parent is killed.
    """

    def __init__(self, directory: Path) -> None:
        """Raises UsageError when another run has the claim, or when the directory cannot be read."""
        self._directory = directory
        try:
            self.descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UsageError(f"cannot read {directory}: {error.strerror}", _HINT) from None
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(f"cannot write to {directory}: another run is writing there", _WAIT) from None
        except OSError:
            pass  # a file system without locks, as some network shares are

    @property
    def lost(self) -> str | None:
        """Why the files of this run are not in the directory any more; None while they are."""
        with suppress(OSError):
            if os.path.samestat(os.stat(self._directory), os.fstat(self.descriptor)):
                return None
        return f"the run directory {self._directory} was removed or moved"

    def close(self) -> None:
        os.close(self.descriptor)


def must_be_free(directory: Path) -> None:
    """Raise UsageError when a run is writing into this directory, which need not exist."""
    if directory.is_dir():
        Claim(directory).close()
