"""Texts that get lost or misread on the way, which the mock is asked to stream."""

from collections.abc import Iterator, Mapping
from typing import Final

from harness.conformance.cases import Observed
from harness.plays.base import Runner, play

# What the mock streams for `text=KIND` from seed 0: stated here again, because the two sides share no code. A test
# compares them.
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "unicode": (" café", " naïve", " straße", " 日本語", " да", " €", " 🌍", " 👩‍💻"),
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
    "big": (" " + "0123456789abcdef" * 6_400, " small"),
}


@play(*TEXTS)
def said(run: Runner, scenario: str) -> Iterator[Observed]:
    pieces = TEXTS[scenario]
    seen = run.ask(scenario, {"text": scenario, "tokens": len(pieces), "seed": 0, "itl": "1ms"})
    seen.said = "".join(pieces)
    yield seen
