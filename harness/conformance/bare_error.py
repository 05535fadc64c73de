"""An error that stands in an event stream as JSON without SSE framing: every parser drops such lines."""

from typing import Final, NamedTuple

from streamgauge.conformance.cases import FIELDS, Block, blocks
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.outcome import message_of
from streamgauge.protocol.transcript import Transcript

_MOST_BYTES: Final = 64 * 1024
_ERROR_KEYS: Final = ("error", "errors", "detail", "message", "title")


class BareError(NamedTuple):
    """The error's offset in the decoded body, and the text of the error."""

    offset: int
    message: str


def bare_error(transcript: Transcript) -> BareError | None:
    """The first error that comes as JSON lines outside of any event; None without one.

    Lines that a vendor documents as its own form of an error (`transcript.bare`) do not count.
    """
    documented = transcript.bare or ()
    for block in blocks(transcript):
        if block.offset not in documented and (message := _error_in(block)) is not None:
            return BareError(block.offset, message)
    return None


def _error_in(block: Block) -> str | None:
    lines = block.lines
    if not lines[0].raw.lstrip().startswith(b"{") or any(line.field in FIELDS for line in lines):
        return None
    value = decode(b"\n".join(line.raw for line in lines)[:_MOST_BYTES])
    if isinstance(value, NotJson) or not isinstance(value, dict):
        return None
    error = next((value[key] for key in _ERROR_KEYS if value.get(key)), None)
    return None if error is None else message_of(value if isinstance(error, str) else error)
