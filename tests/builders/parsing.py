"""A body taken in pieces, and the same under every way of cutting it."""

from streamgauge.protocol.eventstream import Event, Interpreter, Lexer, Line
from tests.builders.tapes import chunkings

BOM = b"\xef\xbb\xbf"


class Parsed:
    """A body taken in pieces: its lines (terminators as they ended up), its events, and what was left."""

    def __init__(self, pieces: list[bytes]) -> None:
        lexer, interpreter = Lexer(), Interpreter()
        self.lines: list[Line] = []
        self.events: list[Event] = []
        for read, piece in enumerate(pieces):
            for line in lexer.feed(piece, read):
                self.lines.append(line)
                if event := interpreter.feed(line):
                    self.events.append(event)
        self.rest = lexer.finish(len(pieces))
        self.had_bom = lexer.had_bom
        self.retry_ms = interpreter.retry_ms
        self.pending = interpreter.pending

    @property
    def cut_lines(self) -> list[tuple[int, bytes, bytes]]:
        return [(line.offset, line.raw, line.terminator) for line in self.lines]

    @property
    def placed_events(self) -> list[tuple[str, str, str, int, int]]:
        """The events without the read that completed each: that is what cutting changes."""
        return [event[:5] for event in self.events]

    def joined(self) -> bytes:
        parts = [line.raw + line.terminator for line in self.lines] + ([self.rest.raw] if self.rest else [])
        return (BOM if self.had_bom else b"") + b"".join(parts)

    def same_as(self, other: "Parsed") -> bool:
        return (self.cut_lines, self.placed_events, self.retry_ms, self.pending, self.had_bom) == (
            other.cut_lines, other.placed_events, other.retry_ms, other.pending, other.had_bom,
        )  # fmt: skip


def everywhere(body: bytes) -> Parsed:
    """Parse under the chunking matrix, insist on one result, and return it."""
    whole = Parsed([body])
    for name, pieces in chunkings(body):
        parsed = Parsed(pieces)
        assert parsed.same_as(whole), name
        assert parsed.joined() == body, name
    return whole
