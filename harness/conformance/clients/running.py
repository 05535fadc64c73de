"""Runs one client over one body and reports the result; what comes after the last byte is part of the body.

Nothing here can wait: where the body does not end, the client's next request for bytes ends the run.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum, auto
from json import JSONDecodeError
from typing import NamedTuple

from streamgauge.conformance.clients.base import Body, Client, EmulatedError, Message, RefusedError, ReportedError


class Ending(Enum):
    """What comes after the last byte: the end of the body, a failed connection, or nothing at all."""

    EOF = auto()
    BROKEN = auto()
    NOTHING = auto()


class How(Enum):
    """How a client ended; STOPPED: it stopped by itself before the end of the body."""

    ENDED = auto()
    STOPPED = auto()
    RAISED = auto()
    REFUSED = auto()
    REPORTED = auto()
    WAITING = auto()
    BROKEN = auto()


class Ran(NamedTuple):
    """`handed` bytes had been given when it ended, and `came` says for each message how many when it came.

    `torn` holds what a decoder refused, and where in it: bytes that are no UTF-8, a JSON string that has no end.
    """

    how: How
    messages: list[Message]
    came: list[int]
    handed: int
    error: str | None = None
    torn: tuple[bytes, int] | None = None


class _Waiting(BaseException):
    """The client reads on, and nothing comes. Not an Exception, so that no client catches it."""


class _Broken(BaseException):
    """The client reads on, and the connection has failed."""


class _Pieces:
    """The pieces of a body, counted as they are handed out."""

    def __init__(self, pieces: Iterable[bytes], ending: Ending) -> None:
        self._pieces = pieces
        self._ending = ending
        self.handed = 0
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.handed += len(piece)
            yield piece
        if self._ending is Ending.NOTHING:
            raise _Waiting
        if self._ending is Ending.BROKEN:
            raise _Broken
        self.ended = True


def run(client: Client, body: Body, ending: Ending) -> Ran:
    """The messages of `client` for `body`, and how it ended. Every exception of a decoder is a result."""
    pieces = _Pieces(body.pieces, ending)
    messages: list[Message] = []
    came: list[int] = []
    how, error, torn = How.ENDED, None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic's, which are for the caller of an SDK
            for message in client.read(replace(body, pieces=pieces)):
                messages.append(message)
                came.append(pieces.handed)
        how = How.ENDED if pieces.ended else How.STOPPED
    except _Waiting:
        how = How.WAITING
    except _Broken:
        how = How.BROKEN
    except ReportedError as told:
        how, error = How.REPORTED, str(told)
    except RefusedError as told:
        how, error = How.REFUSED, str(told)
    except EmulatedError as failed:
        how, error = How.RAISED, str(failed)
    except UnicodeDecodeError as failed:
        # The exception's text would quote the whole body.
        how, error = How.RAISED, f"UnicodeDecodeError: {failed.reason}"
        torn = bytes(failed.object), failed.start
    except Exception as failed:
        how, error = How.RAISED, f"{type(failed).__name__}: {failed}"
        torn = _torn(failed)
    return Ran(how, messages, came, pieces.handed, error, torn)


def _torn(error: Exception) -> tuple[bytes, int] | None:
    if isinstance(error, JSONDecodeError) and error.msg.startswith("Unterminated string"):
        text = error.doc.encode("utf-8", "replace")
        return text, len(text)
    return None
