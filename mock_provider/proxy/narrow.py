"""Readers of event streams that know only one of the forms that the standard allows (WHATWG HTML 9.2.5)."""

from streamgauge.mock_provider.proxy.holding import MOST_HELD


class WholeEvents:
    """Passes on whole events only, and finds their ends by two LFs: a stream with CRLF comes at its end."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The bytes that are forwarded now."""
        before = max(len(self._held) - 1, 0)  # what was held has no end, but its last byte may begin one
        self._held += data
        end = self._held.rfind(b"\n\n", before) + 2
        if len(self._held) > MOST_HELD:
            end = len(self._held)
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
        """The bytes of whole lines that are forwarded. A line above MOST_HELD is dropped."""
        first, *others = data.split(b"\n")
        if len(self._line) <= MOST_HELD:
            self._line += first
        if not others:
            return b""
        lines = [bytes(self._line), *others]
        self._line = bytearray(lines.pop())
        return b"".join(line + b"\n" for line in lines if _is_known(line))

    def finish(self) -> bytes:
        """The last line, where it lacks its end."""
        return bytes(self._line) if _is_known(self._line) else b""


def _is_known(line: bytes | bytearray) -> bool:
    return (len(line) <= MOST_HELD and not line.startswith(b"data:")) or line.startswith(b"data: ")
