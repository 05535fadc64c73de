"""Secrets that an endpoint scatters over a stream: a few characters in each event, field, line or chunk.

No piece is long enough to be found by itself. So texts are joined, as a reader of the stream would join them: the
values of one JSON member over all events (also for each `index`, such as that of a choice), all JSON strings, the
values of one field of Server-Sent Events, and the lines. A secret in a joined text is mapped back to the bytes.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from streamgauge.protocol.dialects.base import TOKEN_KINDS
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.transcript import Found, Transcript
from streamgauge.protocol.typed import from_json
from streamgauge.secrets import Secrets, hidden_piece, known
from streamgauge.spellings import Span, merged

_BLOCK: Final = 16 * 1024
"""Around what is shown, so much of the body is searched at least. A part of a secret of 12 characters is found, and 50
events of one character each have some 15,000 bytes.
"""
_DEEPEST: Final = 64
_LONGEST_FIELD: Final = 64
_INDEX: Final = b"index"
_ITEM: Final = b"[]"
_LINE: Final = re.compile(rb"[^\r\n]+|(?:\r\n|\r|\n){2,}")
_JSON_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|-?[0-9]+')
_CHARACTER: Final = re.compile(rb"[\x00-\x7f]|[\x80-\xff][\x80-\xbf]*")
_SPELLED: Final = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|" + _CHARACTER.pattern)
_WHITE: Final = b" \t"


def scattered(transcript: Transcript, shown: Iterable[Span] | None = None) -> list[Span]:
    """The parts of the body that hold the pieces of a secret, which is whole only where the texts are joined.

    `shown` are the parts of the body that are going to be shown: only their surroundings are searched, so that a body
    of megabytes costs no more than what it shows. None is the whole body.
    """
    secrets = known()
    if not secrets.values:
        return []
    shown = [Span(0, len(transcript.body))] if shown is None else shown
    return merged([*scattered_bytes(transcript.body, shown), *_over_deltas(transcript, secrets)])


def scattered_bytes(body: bytes, shown: Iterable[Span]) -> list[Span]:
    """Like `scattered`, where only the bytes of a body are known and not its events."""
    secrets = known()
    if not secrets.values:
        return []
    found: list[Span] = []
    for window in _windows(len(body), shown):
        spans = _in_window(body[window.start : window.end], secrets)
        found += (Span(window.start + span.start, window.start + span.end) for span in spans)
    return merged(found)


def hidden_part(body: bytes, start: int, end: int, also: Iterable[Span] = ()) -> bytes:
    """A part of a body with every secret masked: in one piece, or scattered. `also` are further parts to mask."""
    return hidden_piece(body, start, end, [*also, *scattered_bytes(body, [Span(start, end)])])


def hidden_texts(texts: Sequence[str]) -> list[str]:
    """Texts that follow each other in a stream, such as those of its tokens, with every part of a secret masked.

    A secret may begin in one text and end in another.
    """
    secrets = known()
    shown = list(texts)
    if secrets.values:
        ends = _ends(map(len, texts))
        for span in reversed(secrets.spans("".join(texts))):
            for index, piece in reversed(list(divided(ends, span))):
                shown[index] = f"{shown[index][: piece.start]}***{shown[index][piece.end :]}"
    return shown


def _windows(size: int, shown: Iterable[Span]) -> list[Span]:
    """The parts of the body to search: the blocks that are shown, and one more on each side. Adjacent ones join."""
    windows: list[Span] = []
    for part in sorted(shown):
        start = max(0, part.start // _BLOCK - 1) * _BLOCK
        end = min(size, (part.end // _BLOCK + 2) * _BLOCK)
        if windows and start <= windows[-1].end:
            windows[-1] = Span(windows[-1].start, max(end, windows[-1].end))
        else:
            windows.append(Span(start, end))
    return windows


class _Text(NamedTuple):
    """A text of the body: its bytes begin at `start`. `in_json`: it may have escapes."""

    text: str
    start: int
    raw: bytes
    in_json: bool = False

    def place(self, piece: Span) -> Span:
        """Where a piece of the text stands in the body."""
        if len(self.text) == len(self.raw):
            return Span(self.start + piece.start, self.start + piece.end)
        characters = _SPELLED.findall(self.raw) if self.in_json else _CHARACTER.findall(self.raw)
        if len(characters) != len(self.text):  # broken UTF-8, such as half of a character
            return Span(self.start, self.start + len(self.raw))
        ends = [0, *_ends(map(len, characters))]
        return Span(self.start + ends[piece.start], self.start + ends[piece.end])


class _Open:
    """An open object or array of JSON. `path` is a number for the names that lead to it.

    `member` is the name whose value comes next, `index` the value of its member `index`.
    """

    __slots__ = ("depth", "index", "is_array", "member", "path", "up")

    def __init__(self, up: "_Open | None", path: int, *, is_array: bool) -> None:
        self.up = up
        self.path = path
        self.is_array = is_array
        self.depth: int = 0 if up is None else up.depth + 1
        self.member = _ITEM if is_array else b""
        self.index = b""

    def indexes(self) -> Iterator[bytes]:
        """The indexes of this object and of those around it."""
        at: _Open | None = self
        while at is not None:
            if at.index:
                yield at.index
            at = at.up


@lru_cache(maxsize=16)
def _in_window(window: bytes, secrets: Secrets) -> list[Span]:
    """The pieces of secrets in a part of a body."""
    found: list[Span] = []
    threads = _Threads()
    threads.take(window)
    for thread in threads.texts.values():
        if len(thread) > 1:
            ends = _ends(len(text.text) for text in thread)
            for span in secrets.spans("".join([text.text for text in thread])):
                found += (thread[index].place(piece) for index, piece in divided(ends, span))
    return merged(found)


class _Threads:
    """The texts that belong together, by what they have in common."""

    def __init__(self) -> None:
        self.texts: defaultdict[object, list[_Text]] = defaultdict(list)
        self._paths: dict[tuple[int, bytes], int] = {}
        self._strings: list[tuple[_Open, bytes, _Text]] = []
        self._open = _Open(None, 0, is_array=True)
        self._indexed = False

    def take(self, window: bytes) -> None:
        """Add the texts of a part of a body."""
        for line in _LINE.finditer(window):
            raw, start = line[0], line.start()
            if raw[0] in b"\r\n":  # a blank line ends an event
                self._settle()
                continue
            name, colon, value = raw.partition(b":")
            if colon and len(name) <= _LONGEST_FIELD:
                self.texts["field", name.lower()].append(_plain(value, start + len(name) + 1))
            self.texts["lines"].append(_plain(raw, start))
            self._take_json(raw, start)
        self._settle()

    def _take_json(self, line: bytes, start: int) -> None:
        at = self._open
        last: bytes | None = None
        for match in _JSON_TOKEN.finditer(line):
            token = match[0]
            mark = token[:1]
            if mark == b'"':
                last = token[1:-1]
                if at.member:
                    self._strings.append((at, at.member, _string(last, start + match.start() + 1)))
            elif mark in (b"{", b"["):
                if at.depth < _DEEPEST:
                    path = self._paths.setdefault((at.path, at.member), len(self._paths) + 1)
                    at = _Open(at, path, is_array=mark == b"[")
            elif mark in (b"}", b"]"):
                at = at.up or at
            elif mark == b":":  # the string was a name
                if last is not None and not at.is_array:
                    at.member = last
            elif mark == b",":
                if not at.is_array:
                    at.member = b""
            elif at.member == _INDEX:
                at.index, self._indexed = token, True
            if mark != b'"':
                last = None
        self._open = at

    def _settle(self) -> None:
        """Add the strings of an event. Only at its end are the indexes of its objects known."""
        for parent, member, text in self._strings:
            self.texts["strings"].append(text)
            self.texts["member", parent.path, member].append(text)
            if self._indexed:
                self.texts["member", parent.path, member, tuple(parent.indexes())].append(text)
        self._strings.clear()
        self._open, self._indexed = _Open(None, 0, is_array=True), False


def _string(raw: bytes, start: int) -> _Text:
    """The text of a JSON string, given without its quotation marks."""
    if b"\\" in raw:
        try:
            return _Text(from_json(b'"' + raw + b'"', str), start, raw, in_json=True)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return _Text(raw.decode("utf-8", "surrogateescape"), start, raw)


def _plain(raw: bytes, offset: int) -> _Text:
    """A text without the white space around it."""
    text = raw.strip(_WHITE)
    start = offset + len(raw) - len(raw.lstrip(_WHITE))
    return _Text(text.decode("utf-8", "surrogateescape"), start, text)


def _ends(sizes: Iterable[int]) -> list[int]:
    ends: list[int] = []
    at = 0
    for size in sizes:
        at += size
        ends.append(at)
    return ends


def divided(ends: Sequence[int], span: Span) -> Iterator[tuple[int, Span]]:
    """A span of joined texts as the spans of each text; `ends` is where each text ends."""
    index = bisect_right(ends, span.start)
    at = span.start
    while at < span.end:
        start = ends[index - 1] if index else 0
        stop = min(span.end, ends[index])
        if stop > at:
            yield index, Span(at - start, stop - start)
        at, index = stop, index + 1


def _over_deltas(transcript: Transcript, secrets: Secrets) -> list[Span]:
    """The pieces in the texts of the deltas: what the dialect makes of the events may differ from their bytes."""
    found: list[Span] = []
    for kind in TOKEN_KINDS:
        texts = [one for one in transcript.deltas if one.delta.kind is kind and one.delta.text]
        ends = _ends(len(one.delta.text) for one in texts)
        for span in secrets.spans("".join([one.delta.text for one in texts]), escaped=False):
            for index, piece in divided(ends, span):
                found += _place(transcript, texts[index], piece)
    return found


def _place(transcript: Transcript, found: Found, piece: Span) -> Iterator[Span]:
    """Where a piece of an event's text stands in the body: the whole event if the text is spelled in an unusual way."""
    event: Event = transcript.events[found.event]
    text = found.delta.text
    for spell, quote in ((_json_inside, b'"'), (_utf8, b"")):
        at = transcript.body.find(quote + spell(text) + quote, event.offset, event.end)
        if at >= 0:
            start = at + len(quote) + len(spell(text[: piece.start]))
            yield Span(start, start + len(spell(text[piece.start : piece.end])))
            return
    yield Span(event.offset, event.end)


def _json_inside(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
