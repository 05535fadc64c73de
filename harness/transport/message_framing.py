"""What is wrong with a response head where it says how the body ends (RFC 9112 sections 5, 6.1 and 6.3), in words.

Readers differ on such a head: one reads the stream, one refuses it, one waits for ever. So the fault itself is named,
in place of what it does to this client.
"""

import re
from typing import Final

from streamgauge.wire import FramingFault, Head

_SHOWN: Final = 60
_BEGIN: Final = b"HTTP/1."
_LINE_END: Final = b"\r\n"
_LF: Final = b"\n"
_END: Final = b"\r\n\r\n"
_INFORMATIONAL: Final = re.compile(rb"HTTP/1\.[01] 1\d\d\b")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")


def framing_fault(head: Head) -> FramingFault | None:
    """The fault of a head that a parser has accepted; None where the end of the body is certain."""
    codings, lengths = head.all("transfer-encoding"), head.all("content-length")
    names = [name for value in codings for name in (part.strip(" \t").lower() for part in value.split(",")) if name]
    if codings and lengths:
        return FramingFault("Content-Length comes beside Transfer-Encoding", readable=False)
    return (_coding_fault(head, codings, names) if codings else None) or (_length_fault(lengths) if lengths else None)


def _coding_fault(head: Head, codings: list[str], names: list[str]) -> FramingFault | None:
    written = _quoted("; ".join(codings))
    is_last = names[-1:] == ["chunked"]
    if not names:
        return FramingFault("Transfer-Encoding is empty", readable=False)
    if names.count("chunked") > 1:
        where = "in two header lines" if len(codings) > 1 else "in one header line"
        return FramingFault(f"Transfer-Encoding says chunked twice, {where}", is_last)
    if "identity" in names and "chunked" in names:
        return FramingFault(f"Transfer-Encoding says identity beside chunked: {written}", is_last)
    if names == ["identity"]:
        return FramingFault("Transfer-Encoding is identity, which HTTP/1.1 no longer has", readable=True)
    if "chunked" in names and not is_last:
        return FramingFault(f"chunked is not the last transfer coding: {written}", readable=False)
    if names != ["chunked"]:
        return FramingFault(f"the transfer coding is one that the client did not offer: {written}", readable=False)
    if head.http_version == "1.0":
        return FramingFault("an HTTP/1.0 response has Transfer-Encoding", readable=True)
    return None


def _length_fault(lengths: list[str]) -> FramingFault | None:
    if len(lengths) > 1:
        differ = "with different values" if len(set(lengths)) > 1 else "with the same value"
        return FramingFault(
            f"Content-Length comes {len(lengths)} times, {differ}: {_quoted('; '.join(lengths))}", False
        )
    if not _LENGTH.fullmatch(lengths[0]):
        return FramingFault(f"Content-Length is not a number: {_quoted(lengths[0])}", readable=False)
    return None


def is_whole(received: bytes) -> bool:
    """Whether the bytes hold a whole head; also when they are not HTTP/1 at all, and no end of a head will come."""
    head = _final_head(received)
    return _END in head or head[: len(_BEGIN)] != _BEGIN[: len(head)]


def fault_of_refused(received: bytes) -> FramingFault | None:
    """The fault of a head that a strict parser refused, from all bytes received so far; None where it is another."""
    head = _final_head(received)
    if not head.startswith(_BEGIN):
        return None
    status, *lines = head.partition(_END)[0].split(_LINE_END)
    fields: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if (wrong := _line_fault(line, is_first=number == 0)) is not None:
            return FramingFault(wrong, readable=False, of_line=True)
        name, _, value = line.decode("latin-1").partition(":")
        fields.append((name, value.strip(" \t")))
    version = "1.0" if status.startswith(b"HTTP/1.0") else "1.1"
    fault = framing_fault(Head(200, "", version, tuple(fields)))
    return None if fault is None else fault._replace(readable=False)


def _final_head(received: bytes) -> bytes:
    """What follows the heads of informational responses (RFC 9110 section 15.2)."""
    while _INFORMATIONAL.match(received) and _END in received:
        received = received.partition(_END)[2]
    return received


def _line_fault(line: bytes, *, is_first: bool) -> str | None:
    """What is wrong with one line of a head, its line end removed."""
    name, colon, value = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        where = "the first header line begins with white space" if is_first else "a header is folded over two lines"
        return f"{where} (RFC 9112 section 5.2): {_shown(line)}"
    if _LF in line:
        return f"a line of the head ends with LF without CR: {_shown(line.split(_LF)[0])}"
    if not colon:
        return f"a line of the head has no colon: {_shown(line)}"
    if name != name.rstrip(b" \t"):
        return f"white space stands before the colon of a header (RFC 9112 section 5.1): {_shown(line)}"
    if not _TOKEN.fullmatch(name):
        return f"the name of a header is not a token: {_shown(name)}"
    if _CONTROL.search(value):
        return f"the value of {name.decode('ascii')} contains a control character: {_shown(value)}"
    return None


def _shown(data: bytes) -> str:
    return _quoted(data.decode("latin-1"))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
