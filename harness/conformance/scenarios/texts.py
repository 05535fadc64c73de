"""Texts that get lost or misread on the way. The mock streams them on request."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.declaration import Part, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner

# What the mock streams for `text=everything` from seed 0. The harness and the mock share no code, so the texts stand on
# both sides, and a test compares them. Texts that may end a stream early come last.
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "whitespace": (" ", "  ", "\t", " left", "right ", "  both  ", "\ttab\t", "none"),
    "unicode": (" café", " naïve", " straße", " 日本語", " да", " €", " 🌍", " 👩‍💻"),
    "newlines": (" one\n", "\n", "\n\n", " two\nthree", "\nfour", " five\n\nsix\n", " seven"),
    "separators": (" a\u2028b", "\u2029", " c\u0085d", "\x0b", " e\x0cf", "g"),
    "big": (" " + "0123456789abcdef" * 6_400, " small"),
    "injection": (
        " x\n\ndata: [DONE]\n\n",
        " y\nevent: done\ndata: {}\n\n",
        "\nid: 7\nretry: 1\n",
        "data: forged",
        ": comment",
        "[DONE]",
        '","done":true,"x":"',
    ),
}
MARKS: Final = tuple(f"--{kind}--" for kind in (*TEXTS, "end"))
"""The tokens between the texts: each text stands between two of them."""

PARTS: Final = (
    Part("unicode", "tokens of several bytes a character"),
    Part("newlines", "tokens with line breaks"),
    Part("whitespace", "tokens that begin, end or consist of white space"),
    Part("separators", "tokens with U+2028, U+2029, U+0085, VT and FF"),
    Part("injection", "tokens that look like event-stream fields"),
    Part("big", "a token of 100 KiB"),
    Part("length", "an answer that ends at its length limit"),
)


@scenario("texts", "tokens that get lost or misread on the way", mock=True, parts=PARTS)
def texts(run: ScenarioRunner) -> Iterator[Observed]:
    """One stream of all texts, observed once for each of them. It also ends at a length limit, for `length`."""
    keys: Keys = {"text": "everything", "tokens": len(MARKS) + sum(map(len, TEXTS.values())), "seed": 0}
    whole = run.ask({**keys, "ttft": "1ms", "itl": "1ms", "finish": "length"})
    yield replace(whole, scenario="length")
    for (kind, pieces), marks in zip(TEXTS.items(), pairwise(MARKS), strict=True):
        yield replace(whole, scenario=kind, expected_text="".join(pieces), marks=marks)
