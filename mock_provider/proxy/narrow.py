"""Readers of event streams that know only one of the forms that the standard allows (WHATWG HTML 9.2.5)."""


class WholeEvents:
    """Passes on whole events only, and finds their ends by two LFs: a stream with CRLF comes at its end."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The bytes that are forwarded now."""
        self._held += data
        end = self._held.rfind(b"\n\n") + 2
        if end < 2:
            return b""
        whole = bytes(self._held[:end])
        del self._held[:end]
        return whole

    def finish(self) -> bytes:
        """What is left at the end of the body."""
        return bytes(self._held)


class SpacedData:
    """Drops `data:` lines without a space after the colon."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The bytes of whole lines that are forwarded."""
        self._line += data
        lines = self._line.split(b"\n")
        self._line = lines.pop()
        return b"".join(bytes(line) + b"\n" for line in lines if _is_known(line))

    def finish(self) -> bytes:
        """The last line, where it lacks its end."""
        return bytes(self._line) if _is_known(self._line) else b""


def _is_known(line: bytes | bytearray) -> bool:
    return not line.startswith(b"data:") or line.startswith(b"data: ")
