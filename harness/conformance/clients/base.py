"""A client decoder turns pieces of a body into the messages that the client's caller gets. No socket, no clock.

Each client is one module of this package, with a `Client` value. Its `read` takes a `Body` and yields `Message`s. It
returns at the end of the body, or at an end marker that the client knows. It raises the exception of the real client
(`EmulatedError` in an emulation), or `ReportedError` if the client reports an error from the server to its caller.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final, NamedTuple

from streamgauge.protocol.dialects.base import Dialect, Media

EVENT_STREAM: Final = Media.SSE.value
MESSAGE: Final = "message"
TEXT: Final = "text"
ARGUMENTS: Final = "tool arguments"


class Message(NamedTuple):
    """A message for the client's caller: an event's type and data. The type stays `message` without event types.

    A client that gathers has one message of type TEXT with the whole text, and one of type ARGUMENTS a tool call.
    """

    data: str
    type: str = MESSAGE


@dataclass(frozen=True, slots=True)
class Body:
    """A body in pieces, as a client reads it. `json` is True if the client parses payloads as JSON.

    `dialect` is the name of the stream's dialect: an SDK has another method for each of its vendor's protocols.
    """

    pieces: Iterable[bytes]
    media_type: str | None = EVENT_STREAM
    json: bool = True
    dialect: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


class ReportedError(Exception):
    """The client reports an error from the server to its caller. The text is the one that the caller gets."""


class EmulatedError(Exception):
    """An exception that the emulated client raises in its own language. The text names that exception."""


class RefusedError(Exception):
    """The client refuses this answer. The text says what the client expects."""


Applies = Callable[[Dialect | None, str], str | None]
"""Returns why a client does not fit a dialect and an HTTP method, or None if it fits."""


class Client(NamedTuple):
    """A client decoder. `source` names the project, version and file that its rules come from.

    `package` is the Python package that runs, in version `least` or newer; None for an emulation, which follows the
    version `follows`. `events` is False if the client gives payloads without event types. `gathers` is True for an
    SDK's helper that adds the events up to one message, which often needs fields that the SDK's raw stream does not.
    `naive` marks code that people copy, not a published client. `reconnects` is True if the client sends the request
    again at the end of the body.
    """

    name: str
    source: str
    read: Callable[[Body], Iterator[Message]]
    applies: Applies
    package: str | None = None
    least: str = "0"
    follows: str | None = None
    events: bool = True
    gathers: bool = False
    naive: bool = False
    reconnects: bool = False

    @property
    def version(self) -> str | None:
        """The installed version of `package`; None for an emulation, or if the package is not installed."""
        if self.package is None:
            return None
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    @property
    def missing(self) -> str | None:
        """The package to install before the client can run, or None."""
        if self.package is None or (self.version is not None and _release(self.version) >= _release(self.least)):
            return None
        return f"{self.package} {self.least} or newer"


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def any_event_stream(dialect: Dialect | None, method: str) -> str | None:  # noqa: ARG001 - any method fits
    """For clients that read every event stream."""
    return None if dialect is None or dialect.media is Media.SSE else "reads event streams"


def json_events(dialect: Dialect | None, method: str) -> str | None:
    """For clients that parse every payload as JSON."""
    if dialect is not None and not dialect.json_payload:
        return "parses every payload as JSON"
    return any_event_stream(dialect, method)


def speaks(*dialects: str) -> Applies:
    """For clients of one provider's protocol."""

    def applies(dialect: Dialect | None, method: str) -> str | None:  # noqa: ARG001 - any method fits
        return None if dialect is not None and dialect.name in dialects else f"speaks {' and '.join(dialects)}"

    return applies


def js_text(data: bytes) -> str:
    """Like `new TextDecoder().decode(data)`: invalid bytes become U+FFFD, one leading byte order mark is removed."""
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def strict_json(text: str, error_name: str) -> Any:
    """Parse like `JSON.parse`, which refuses NaN. Raises EmulatedError, whose text begins with `error_name`."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        raise EmulatedError(f"{error_name}: {shown!r} is not JSON") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
