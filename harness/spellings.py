"""Finds known values in a text, in every spelling in which an endpoint may repeat them. Pure.

The spellings: as it is; escaped as in JSON, HTML, a URL or a Python literal, in any mix and up to three times over;
base64 at each of its three alignments; hexadecimal. A value that was cut is found too, by LEAST characters of its
beginning or end, or by a longer piece of its middle.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

LEAST: Final = 8
"""A shorter value is not looked for: it would be found in ordinary words."""

_LEAST_INSIDE: Final = 12  # of a piece of the middle: 8 characters may be a word
_STEP: Final = _LEAST_INSIDE - LEAST + 1  # with a gram at every such place, each piece of _LEAST_INSIDE contains one
_MOST_GRAMS: Final = 100  # for each spelling, so that a key of 5,000 characters does not cost 1,000 searches
_LEVELS: Final = 3
_ESCAPE: Final = re.compile(
    r"""%([0-9A-Fa-f]{2})              # a URL
    | \\x([0-9A-Fa-f]{2})              # Python
    | \\u([0-9A-Fa-f]{4})              # JSON, Python
    | \\(.)                            # JSON: \/ and \"
    | &\#[xX]([0-9A-Fa-f]{1,6});       # HTML
    | &\#([0-9]{1,7});
    | &(amp|lt|gt|quot|apos);""",
    re.VERBOSE | re.DOTALL,
)
_AFTER_BACKSLASH: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_LAST_CHARACTER: Final = 0x10FFFF


class Span(NamedTuple):
    """A part of a text, from `start` to before `end`."""

    start: int
    end: int


class _Form(NamedTuple):
    """One spelling of a value, and the pieces of it to search for, each with its place in the spelling."""

    text: str
    grams: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, text: str) -> "_Form":
        last = len(text) - LEAST
        places = {last, *range(0, last, max(_STEP, len(text) // _MOST_GRAMS))}
        grams = {text[place : place + LEAST]: place for place in sorted(places, reverse=True)}
        return cls(text, tuple((place, gram) for gram, place in grams.items()))

    def runs(self, text: str) -> Iterator[Span]:
        """The longest pieces of this spelling in `text`."""
        for place, gram in self.grams:
            found = text.find(gram)
            while found >= 0:
                if found >= place and text.startswith(self.text, found - place):
                    run = Span(found - place, found - place + len(self.text))
                    yield run
                else:
                    run, whole_side = self._piece(text, place, found)
                    if whole_side or run.end - run.start >= _LEAST_INSIDE:
                        yield run
                found = text.find(gram, run.end)

    def _piece(self, text: str, place: int, found: int) -> tuple[Span, bool]:
        """The longest piece around a gram, and whether it is the beginning or the end of this spelling."""
        begin, start = place, found
        while begin and start and self.text[begin - 1] == text[start - 1]:
            begin, start = begin - 1, start - 1
        stop, end = place + LEAST, found + LEAST
        while stop < len(self.text) and end < len(text) and self.text[stop] == text[end]:
            stop, end = stop + 1, end + 1
        return Span(start, end), not begin or stop == len(self.text)


class _Unescaped(NamedTuple):
    """A text with its escapes replaced, and where each escape stood in the text before."""

    text: str
    places: list[int]  # of the character of each escape, in `text`
    escapes: list[Span]

    @classmethod
    def of(cls, text: str) -> "_Unescaped":
        parts: list[str] = []
        places: list[int] = []
        escapes: list[Span] = []
        at = size = 0
        for match in _ESCAPE.finditer(text):
            start, end = match.span()
            parts += text[at:start], _character(match)
            size += start - at + 1
            places.append(size - 1)
            escapes.append(Span(start, end))
            at = end
        return cls("".join((*parts, text[at:])), places, escapes)

    def before(self, span: Span) -> Span:
        """Where a part of this text stood in the text with escapes."""
        return Span(self._place(span.start).start, self._place(span.end - 1).end)

    def _place(self, at: int) -> Span:
        last = bisect_right(self.places, at) - 1
        if last < 0:
            return Span(at, at + 1)
        if self.places[last] == at:
            return self.escapes[last]
        start = self.escapes[last].end + at - self.places[last] - 1
        return Span(start, start + 1)


def _character(match: re.Match[str]) -> str:
    for digits in (match[1], match[2], match[3], match[5]):
        if digits is not None:
            return _of_code(int(digits, 16))
    if match[4] is not None:
        return _AFTER_BACKSLASH.get(match[4], match[4])
    return _ENTITIES[match[7]] if match[6] is None else _of_code(int(match[6]))


def _of_code(code: int) -> str:
    return chr(code) if code <= _LAST_CHARACTER else "\ufffd"


class Finder(Protocol):
    """Gives the parts of a text which repeat a value: in order, without overlaps."""

    def __call__(self, text: str, *, escaped: bool = True) -> list[Span]:
        """`escaped` False: look at the text only as it is. To undo escapes takes 1 µs for each."""


def finder(values: frozenset[str]) -> Finder:
    """A function that finds these values."""
    forms = [_Form.of(text) for text in {form for value in values for form in (*_plain(value), *_encoded(value))}]

    def find(text: str, *, escaped: bool = True) -> list[Span]:
        found = [_with_backslash(text, run) for form in forms for run in form.runs(text)]
        levels: list[_Unescaped] = []
        inner = text
        while escaped and len(levels) < _LEVELS and ("%" in inner or "\\" in inner or "&" in inner):
            levels.append(_Unescaped.of(inner))
            if levels[-1].text == inner:
                break
            inner = levels[-1].text
            for run in (run for form in forms for run in form.runs(inner)):
                for level in reversed(levels):
                    run = level.before(run)
                found.append(run)
        return merged(found)

    return find


def _plain(value: str) -> Iterator[str]:
    """A value as it is found in a text without escapes. A value may itself hold what looks like an escape."""
    if len(value) < LEAST:
        return
    spelled = value
    for _ in range(_LEVELS + 1):
        if len(spelled) >= LEAST:
            yield spelled
        spelled = _Unescaped.of(spelled).text
    yield value.encode("utf-8", "surrogatepass").decode("latin-1")  # as %XX and \xXX spell it
    yield value.replace(" ", "+")


def _encoded(value: str) -> Iterator[str]:
    """A value in hexadecimal, and in base64 wherever it begins there."""
    if len(value) < LEAST:
        return
    data = value.encode("utf-8", "surrogatepass")
    yield from (data.hex(), data.hex().upper())
    for before in range(3):
        # What stands before and after the value shares a character with its first and last byte: these are left out.
        encoded = base64.b64encode(b"\0" * before + data).decode()
        core = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield from (core, core.translate(_URL_SAFE))


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _with_backslash(text: str, span: Span) -> Span:
    """The span with the backslash that escapes its first character: alone, it would escape what takes its place."""
    backslashes = 0
    while backslashes < span.start and text[span.start - backslashes - 1] == "\\":
        backslashes += 1
    return Span(span.start - backslashes % 2, span.end)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap are one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start < found[-1].end:
            found[-1] = Span(found[-1].start, max(span.end, found[-1].end))
        else:
            found.append(span)
    return found
