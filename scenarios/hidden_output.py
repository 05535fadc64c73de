"""Masks the user's secrets in the output of a process of Locust: its log, and what a scenario or gevent prints.

Locust's web UI shows the log too. Lines from before `init` cannot quote an endpoint.
"""

import logging
import sys
from typing import Any, TextIO

from streamgauge.loadgen.job import given_target
from streamgauge.secrets import hide


class HidingFormatter(logging.Formatter):
    """Masks secrets in what another formatter makes of a record: the message and the traceback."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return hide(self._formatter.format(record))


class HidingStream:
    """A text stream that masks secrets in each text before it writes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(hide(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def hide_output() -> None:
    """Mask secrets in all logs of this process, and in its standard output and standard error."""
    given_target()  # a leading process makes no user, who would learn the secrets of the target
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.Logger.manager.loggerDict)]
    for handler in (handler for logger in loggers for handler in logger.handlers):
        if not isinstance(handler.formatter, HidingFormatter):
            handler.setFormatter(HidingFormatter(handler.formatter))
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), HidingStream):
            setattr(sys, name, HidingStream(getattr(sys, name)))
