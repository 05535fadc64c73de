"""Token texts. (kind, seed) determines them on every machine, so a test can predict a stream byte for byte."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat

_ASCII = (
    " the stream carries each token as soon as it exists and a reader sees the words arrive one after another with"
    " a small gap between them because nothing on the path holds bytes back until a buffer fills or a timer fires"
)
_UNICODE = (
    " caf\u00e9 na\u00efve stra\u00dfe \u65e5\u672c\u8a9e \u0434\u0430 \u20ac \U0001f30d \U0001f469\u200d\U0001f4bb"
)

_CHARACTERS = (
    " caf\u00e9", " stra\u00dfe", " \u0434\u0430", " \u05e9\u05dc\u05d5\u05dd", " \u20ac", " \u65e5\u672c\u8a9e",
    " \u0928\u092e\u0938\u094d\u0924\u0947", " e\u0301", " \U0001f30d", " \U0001f469\u200d\U0001f4bb",
    " \U0001f1e9\U0001f1ea", " \u2708\ufe0f", " \U0001d11e",
)  # fmt: skip
_RUNS = (
    " " + "\u00e9\u00fc\u00df\u00f1" * 375,
    " " + "\u65e5\u672c\u8a9e\u5b57" * 250,
    " " + "\U0001f30d\U0001f680\U0001f389" * 250,
)


def _words(sentence: str) -> tuple[str, ...]:
    return tuple(f" {word}" for word in sentence.split())


# The values of `text=`. Each kind is a list of tokens, none of them empty.
_ALPHABETS: dict[str, tuple[str, ...]] = {
    "ascii": _words(_ASCII),
    "unicode": _words(_UNICODE),
    # LF only: in a raw-text event stream CR and LF mean the same, so a correct encoder cannot preserve a CR.
    "newlines": (" one\n", "\n", "\n\n", " two\nthree", "\nfour", " five\n\nsix\n", " seven"),
    # In JSON a CR survives; in a raw-text event stream it means the same as LF.
    "returns": (" one\r\n", "\r\n\r\n", " two\rthree", "\r", " four\n\rfive", " six"),
    # Meant for raw UTF-8: characters of 2, 3 and 4 bytes, alone and combined; then runs so long that a reader of blocks
    # of any size up to 64 KiB finds the edge of a block within a character.
    "characters": (*_CHARACTERS, *_RUNS * 16),
    "whitespace": (" ", "  ", "\t", " left", "right ", "  both  ", "\ttab\t", "none"),
    "separators": (" a\u2028b", "\u2029", " c\u0085d", "\x0b", " e\x0cf", "g"),
    "injection": (
        " x\n\ndata: [DONE]\n\n",
        " y\nevent: done\ndata: {}\n\n",
        "\nid: 7\nretry: 1\n",
        "data: forged",
        ": comment",
        "[DONE]",
        '","done":true,"x":"',
    ),
    "big": (" " + "0123456789abcdef" * 6_400, " small"),  # 100 KiB: above the 64 KiB that line readers allow
}
# All kinds that are hard to transmit, each after a token with its name, so that one stream tests them all. Kinds that
# may end a stream early come last.
EVERYTHING = "everything"
_HARD = ("whitespace", "unicode", "newlines", "returns", "separators", "big", "injection")
_ALPHABETS[EVERYTHING] = (*(token for kind in _HARD for token in (f"--{kind}--", *_ALPHABETS[kind])), "--end--")
OWN_ID = "id"  # every token is the stream's own id, so that text in the wrong stream is visible
KINDS = (*_ALPHABETS, OWN_ID)
LONGEST_ID = 64
# A token of a given text: a word with the white space before it, at most 12 characters of it, as models cut long words.
_TOKEN = re.compile(r"\s*\S{1,12}|\s+")


@lru_cache(maxsize=8)  # the server's text is the same for every stream
def split(say: str) -> tuple[str, ...]:
    """The tokens of a given text; joined they are the text."""
    return tuple(_TOKEN.findall(say))


def count_tokens(prompt: str) -> int:
    """Tokens of a prompt. The mock has no tokenizer: a token is a word."""
    return len(prompt.split())


def longest(kind: str) -> int:
    """Characters of the longest token of a kind."""
    return LONGEST_ID + 1 if kind == OWN_ID else max(map(len, _ALPHABETS[kind]))


def token_texts(kind: str, seed: int, stream_id: str = "") -> Iterator[str]:
    """Endless token texts: ascii in random order, the other kinds in their order, so short streams show each case."""
    if kind == OWN_ID:
        yield from repeat(f" {stream_id}")
    alphabet = _ALPHABETS[kind]
    size = len(alphabet)
    if kind != "ascii":
        index = seed
        while True:
            yield alphabet[index % size]
            index += 1
    # Knuth's MMIX generator is the same everywhere; methods of the standard library's generator may change.
    state = (seed * 2 + 1) & 0xFFFF_FFFF_FFFF_FFFF
    first = True
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFF_FFFF_FFFF_FFFF
        word = alphabet[(state >> 33) % size]
        yield word.lstrip().capitalize() if first else word
        first = False
