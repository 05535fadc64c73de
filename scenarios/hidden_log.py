"""Masks the user's secrets in what a process of Locust writes: its log, and what a scenario or gevent prints.

Locust's web UI shows the log too. Lines from before Locust's `init` cannot quote an endpoint.
"""

import logging

from streamgauge.hiding_stream import hide_output
from streamgauge.loadgen.job import given_target
from streamgauge.secrets import hide


class HidingFormatter(logging.Formatter):
    """Masks secrets in what another formatter makes of a record: the message and the traceback."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return hide(self._formatter.format(record))


def hide_log() -> None:
    """Mask secrets in all logs of this process, and in its standard output and standard error."""
    given_target()  # a leading process makes no user, who would learn the secrets of the target
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.Logger.manager.loggerDict)]
    for handler in (handler for logger in loggers for handler in logger.handlers):
        if not isinstance(handler.formatter, HidingFormatter):
            handler.setFormatter(HidingFormatter(handler.formatter))
    hide_output()
