"""Texts that get lost or misread on the way, which the mock is asked to stream."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.base import Keys, ScenarioRunner, play

# What the mock streams for `text=everything` from seed 0: stated here again, because the two sides share no code.
# A test compares them. What may end a stream early comes last.
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
"""The tokens that part them: each text stands between two."""


@play("texts")
def texts(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    """One stream of all of them, observed once for each. It ends at a length limit, which texts do not mind."""
    keys: Keys = {"text": "everything", "tokens": len(MARKS) + sum(map(len, TEXTS.values())), "seed": 0}
    whole = run.ask(scenario, {**keys, "ttft": "1ms", "itl": "1ms", "finish": "length"})
    yield replace(whole, scenario="length")
    for (kind, pieces), marks in zip(TEXTS.items(), pairwise(MARKS), strict=True):
        yield replace(whole, scenario=kind, expected_text="".join(pieces), marks=marks)
