"""What a client decoder is: pieces of a body in, the messages of its caller out. No socket, no clock.

A client is one module of this package: a `Client` value whose `read` takes a `Body` and yields `Message`s. It ends by
returning (at the end of the body, or earlier where it knows an end marker), by raising what the real one raises
(`EmulatedError` in an emulation), or by raising `ReportedError` where it tells its caller of an error the server sent.
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


class Message(NamedTuple):
    """A message for the client's caller: an event's type and data, or only data if the client has no event types."""

    data: str
    type: str = MESSAGE


@dataclass(frozen=True, slots=True)
class Body:
    """A body as a client gets it; iterating gives its pieces. `json`: the client parses payloads as JSON."""

    pieces: Iterable[bytes]
    media_type: str | None = EVENT_STREAM
    json: bool = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


class ReportedError(Exception):
    """The client reports an error of the server to its caller; the text is what the caller sees."""


class EmulatedError(Exception):
    """An exception of an emulated client in its own language; the text names it."""


class RefusedError(Exception):
    """The client refuses this answer; the text says what it expects."""


Applies = Callable[[Dialect | None, str], str | None]
"""Why a client is not meant for this dialect and HTTP method, or None."""


class Client(NamedTuple):
    """A client decoder. `source` says where its rules were read: project, version and file.

    `package` is the Python package that is run, from version `least` on; None for an emulation. `events` is False where
    the client gives payloads without event types. `naive` marks code that people copy, not a published client.
    `reconnects` is True where the end of the body makes it send the request again.
    """

    name: str
    source: str
    read: Callable[[Body], Iterator[Message]]
    applies: Applies
    package: str | None = None
    least: str = "0"
    events: bool = True
    naive: bool = False
    reconnects: bool = False

    @property
    def version(self) -> str | None:
        """The installed version of `package`; None for an emulation, or where it is not installed."""
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


def any_event_stream(dialect: Dialect | None, method: str) -> str | None:  # noqa: ARG001 - every method will do
    """For clients that read every event stream."""
    return None if dialect is None or dialect.media is Media.SSE else "reads event streams"


def json_events(dialect: Dialect | None, method: str) -> str | None:
    """For clients that parse every payload as JSON."""
    if dialect is not None and not dialect.json_payload:
        return "parses every payload as JSON"
    return any_event_stream(dialect, method)


def speaks(*dialects: str) -> Applies:
    """For clients of one provider's protocol."""

    def applies(dialect: Dialect | None, method: str) -> str | None:  # noqa: ARG001 - every method will do
        return None if dialect is not None and dialect.name in dialects else f"speaks {' and '.join(dialects)}"

    return applies


def js_text(data: bytes) -> str:
    """`new TextDecoder().decode(data)`: invalid bytes become U+FFFD, and one byte order mark in front goes."""
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def strict_json(text: str, error_name: str) -> Any:
    """`JSON.parse` and its like in other languages: NaN is refused. Raises EmulatedError with that name."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        raise EmulatedError(f"{error_name}: {shown!r} is not JSON") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
