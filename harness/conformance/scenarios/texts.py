"""Texts that get lost or misread on the way. The mock streams them on request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final
from urllib.parse import quote

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Part, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.units import SECOND
from streamgauge.wire import End

# What the mock streams for `text=everything` from seed 0. The harness and the mock share no code, so the texts stand on
# both sides, and a test compares them. Texts that may end a stream early come last.
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "whitespace": (" ", "  ", "\t", " left", "right ", "  both  ", "\ttab\t", "none"),
    "unicode": (" café", " naïve", " straße", " 日本語", " да", " €", " 🌍", " 👩‍💻"),
    "newlines": (" one\n", "\n", "\n\n", " two\nthree", "\nfour", " five\n\nsix\n", " seven"),
    "returns": (" one\r\n", "\r\n\r\n", " two\rthree", "\r", " four\n\rfive", " six"),
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
# What it streams for `text=characters`: characters of 2, 3 and 4 bytes, alone and combined, then long runs of them.
CHARACTERS: Final = (
    " café", " straße", " да", " שלום", " €", " 日本語", " नमस्ते", " e\u0301", " 🌍", " 👩‍💻", " 🇩🇪", " ✈️", " 𝄞",
    *(" " + "éüßñ" * 375, " " + "日本語字" * 250, " " + "🌍🚀🎉" * 250) * 16,
)  # fmt: skip
# Upstreams whose text stands on the data lines itself, where CR means the same as LF.
RAW_TEXT: Final = ("raw-text", "event-text")
MARKUP: Final = r"""Is 1 < 2 && 3 > 2? <b title="x">'yes'</b> &amp; <script>f("\n")</script> {"a": [1]} `x` $y$ end."""
MARKS: Final = tuple(f"--{kind}--" for kind in (*TEXTS, "end"))
"""The tokens between the texts: each text stands between two of them."""

PARTS: Final = (
    Part("unicode", "tokens of several bytes a character"),
    Part("characters", "raw UTF-8, each byte of a character in a chunk of its own"),
    Part("newlines", "tokens with line breaks"),
    Part("returns", "tokens with CR and CRLF"),
    Part("whitespace", "tokens that begin, end or consist of white space"),
    Part("separators", "tokens with U+2028, U+2029, U+0085, VT and FF"),
    Part("injection", "tokens that look like event-stream fields"),
    Part("big", "a token of 100 KiB"),
    Part("length", "an answer that ends at its length limit"),
)


@scenario("texts", "tokens that get lost or misread on the way", mock=True, cost=Cost(2, 2), parts=PARTS)
def texts(run: ScenarioRunner) -> Iterator[Observed]:
    """One stream of all texts, observed once for each of them, and one of raw UTF-8.

    The first also ends at a length limit, for `length`.
    """
    keys: Keys = {"text": "everything", "tokens": len(MARKS) + sum(map(len, TEXTS.values())), "seed": 0}
    whole = run.ask({**keys, "tokens_per_event": 1, "ttft": "1ms", "itl": "1ms", "finish": "length"})
    yield replace(whole, scenario="length")
    first = 1  # the index of a kind's first token: a mark stands before each kind
    for (kind, pieces), marks in zip(TEXTS.items(), pairwise(MARKS), strict=True):
        yield replace(whole, scenario=kind, expected_text=sent_so_far(whole, pieces, first), marks=marks)
        first += len(pieces) + 1
    yield _characters(run)


@scenario("markup", "an answer with the characters of markup and code", mock=True)
def markup(run: ScenarioRunner) -> Iterator[Observed]:
    """Percent-encoded in the prompt, so that nothing on the way there can change it."""
    seen = run.ask({"tokens": None, "say": quote(MARKUP, safe=""), "ttft": "1ms", "itl": "1ms"})
    yield replace(seen, expected_text=MARKUP)


def _characters(run: ScenarioRunner) -> Observed:
    """The mock otherwise escapes every character beyond ASCII, so that a relay could not tear one apart."""
    keys: Keys = {"text": "characters", "tokens": len(CHARACTERS), "seed": 0, "fault": "split-utf8-writes"}
    seen = run.ask({**keys, "tokens_per_event": 1, "ttft": "1ms", "itl": "1ms"})
    sent = sent_so_far(seen, CHARACTERS)
    if sent is not None and _still_coming(seen) and sent.startswith(seen.transcript.text):
        sent = seen.transcript.text or None  # what was left unread is not lost
    return replace(seen, scenario="characters", expected_text=sent)


def _still_coming(seen: Observed) -> bool:
    """Whether text came until the harness stopped reading: a path can be too slow for so many writes."""
    capture = seen.transcript.capture
    if capture.end is not End.TIMEOUT or capture.end_ns is None or not capture.reads:
        return False
    return capture.end_ns - capture.reads[-1].t_ns < SECOND


def sent_so_far(seen: Observed, pieces: Sequence[str], first: int = 0) -> str | None:
    """The text of `pieces`, which begin with token `first`, as far as the mock wrote it; None where it wrote nothing.

    A limit on the length of the answer, which the endpoint may set, ends the stream early.
    """
    if seen.upstream is None:
        return "".join(pieces)
    written = pieces[: max(0, seen.upstream.tokens - first)]
    text = "".join(written)
    if seen.upstream.dialect in RAW_TEXT:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if written else None
