"""Removes the comments of event streams, as a proxy does that drops heartbeats."""


class CommentFilter:
    """Drops lines that begin with a colon, and the blank line after a comment that stood alone."""

    def __init__(self) -> None:
        self._fresh = True  # at the start of a line
        self._dropping = False  # inside a comment
        self._spare = False  # after a comment that stood alone: the next blank line belongs to it
        self._event = False  # inside an event
        # An LF at the start of a piece may belong to the CR at the end of the last piece: both are kept or dropped.
        self._cr = self._cr_kept = False

    def feed(self, data: bytes) -> bytes:
        """The bytes of `data` that are forwarded."""
        kept = bytearray()
        if self._cr and data[:1] == b"\n":
            kept += data[:1] if self._cr_kept else b""
            data = data[1:]
        self._cr = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            blank = self._fresh and line in (b"\n", b"\r\n", b"\r")
            if self._fresh and not blank:
                self._dropping = line.startswith(b":")
            if blank:
                keep = self._event or not self._spare
                self._spare = self._event = False
            else:
                keep = not self._dropping
                self._spare, self._event = self._spare or self._dropping, self._event or keep
            if keep:
                kept += line
            self._cr_kept = keep
            self._fresh = line.endswith((b"\n", b"\r"))
        return bytes(kept)

    def finish(self) -> bytes:
        """Nothing is held back."""
        return b""
