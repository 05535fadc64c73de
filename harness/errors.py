"""Errors, arranged by the party that must act.

StreamgaugeError
├── UsageError       the caller: an option, file or URL cannot be used (exit 2)
├── CannotMeasure    not known yet: no connection, no stream, or no data to measure (exit 3)
│   ├── OutOfTime    the same, because the time for all requests together is over
│   └── OutOfMeans   the same, because this machine has no descriptor, port or memory left for a stream
└── LimitExceeded    the endpoint: it sent a line, event, body or head larger than the harness buffers
"""

from enum import IntEnum
from typing import Final

from streamgauge.secrets import hide


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANNOT_MEASURE = 3
    CLIENT_LIMITED = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """In a few words, for `--help`, the README and docs/ci.md."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    ExitCode.OK: "passed",
    ExitCode.FAILED: "a check or threshold failed",
    ExitCode.USAGE: "usage",
    ExitCode.CANNOT_MEASURE: "could not measure, or what was measured is undecided or INVALID",
    ExitCode.CLIENT_LIMITED: "capacity: this client was the limit",
    ExitCode.INTERRUPTED: "interrupted",
}
EXIT_CODES: Final = f"Exit codes: {', '.join(f'{code.value} {code.meaning}' for code in ExitCode)}."


class StreamgaugeError(Exception):
    """Base class. `message` says what was expected and what came instead, `hint` says what to do about it.

    Both may quote the endpoint, so the user's secrets are masked in them.
    """

    exit_code = ExitCode.CANNOT_MEASURE

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = hide(message)
        self.hint = None if hint is None else hide(hint)
        super().__init__(self.message)


class UsageError(StreamgaugeError):
    """The command line, a target file or another input of the caller cannot be used."""

    exit_code = ExitCode.USAGE


class CannotMeasure(StreamgaugeError):  # noqa: N818 - a finding, not a fault
    """There is nothing to measure: no connection, no stream, or no data in it."""


class OutOfTime(CannotMeasure):
    """The time that a command has for all of its requests together is over."""


class OutOfMeans(CannotMeasure):
    """This machine has no descriptor, port or memory left for a stream: that says nothing about the endpoint."""


class LimitExceeded(StreamgaugeError):  # noqa: N818 - names the limit
    """The endpoint sent more in one piece than the harness is willing to hold."""
