"""Token texts. (kind, seed) determines them on every machine, so a test can predict a stream byte for byte."""

from collections.abc import Iterator
from itertools import repeat

_ASCII = (
    " the stream carries each token as soon as it exists and a reader sees the words arrive one after another with"
    " a small gap between them because nothing on the path holds bytes back until a buffer fills or a timer fires"
)
_UNICODE = (
    " caf\u00e9 na\u00efve stra\u00dfe \u65e5\u672c\u8a9e \u0434\u0430 \u20ac \U0001f30d \U0001f469\u200d\U0001f4bb"
)


def _words(sentence: str) -> tuple[str, ...]:
    return tuple(f" {word}" for word in sentence.split())


# The values of `text=`. Each kind is a list of tokens, none of them empty.
_ALPHABETS: dict[str, tuple[str, ...]] = {
    "ascii": _words(_ASCII),
    "unicode": _words(_UNICODE),
    # LF only: in a raw-text event stream CR and LF mean the same, so a correct encoder cannot preserve a CR.
    "newlines": (" one\n", "\n", "\n\n", " two\nthree", "\nfour", " five\n\nsix\n", " seven"),
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
_HARD = ("whitespace", "unicode", "newlines", "separators", "big", "injection")
_ALPHABETS[EVERYTHING] = (*(token for kind in _HARD for token in (f"--{kind}--", *_ALPHABETS[kind])), "--end--")
OWN_ID = "id"  # every token is the stream's own id, so that text in the wrong stream is visible
KINDS = (*_ALPHABETS, OWN_ID)
LONGEST_ID = 64


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
