"""What a run of checks costs: requests, tokens that a real model reads and writes, and how long it may wait.

Each scenario declares its own cost beside its requests; everything else is a sum of these declarations.
"""

import threading
from collections.abc import Callable, Iterable
from math import ceil
from typing import Final, NamedTuple

from streamgauge.conformance.permissions import Allowed
from streamgauge.units import plural

CHARS_PER_TOKEN: Final = 4
"""English text in the tokenizers of current models; a token of other languages has fewer characters."""


class Cost(NamedTuple):
    """The most that the requests of a scenario cost.

    `answers` counts the requests that can make a model answer. `prompt_chars` are the characters of all prompts
    together beside the ordinary prompt of each. `output_tokens` is the length of each answer where the scenario limits
    it; None is an answer of ordinary length. `longest_s` is the longest wait for one request; None is the client's own
    limit.
    """

    requests: int = 1
    answers: int = 1
    prompt_chars: int = 0
    output_tokens: int | None = None
    longest_s: float | None = None


CostOf = Callable[[Allowed], Cost]
"""The cost of a scenario that sends as many requests as the caller allows."""


ONE_REQUEST: Final = Cost()


class Prices(NamedTuple):
    """What an ordinary request costs at an endpoint: tokens of its prompt, and of its answer where they are known.

    `free`: the mock provider answers, so that no token costs anything.
    """

    prompt_tokens: int
    output_tokens: int | None
    free: bool = False


class Line(NamedTuple):
    """A line of the bill: what is tried, and what it costs. `output_tokens` None is unknown."""

    name: str
    summary: str
    requests: int
    prompt_tokens: int
    output_tokens: int | None
    longest_s: float

    @property
    def tokens(self) -> int | None:
        return None if self.output_tokens is None else self.prompt_tokens + self.output_tokens


def priced(name: str, summary: str, cost: Cost, prices: Prices, patience_s: float) -> Line:
    """The line of one scenario. `patience_s` is how long the client waits for one answer at most."""
    longest_s = patience_s if cost.longest_s is None else cost.longest_s
    if prices.free:
        return Line(name, summary, cost.requests, 0, 0, longest_s)
    each = cost.output_tokens if cost.output_tokens is not None else prices.output_tokens
    output = 0 if not cost.answers else None if each is None else cost.answers * each
    prompt = cost.answers * prices.prompt_tokens + tokens_of(cost.prompt_chars)
    return Line(name, summary, cost.requests, prompt, output, longest_s)


def total(lines: Iterable[Line]) -> Line:
    """The sum of the lines; its output is unknown where that of one line is."""
    bill = list(lines)
    outputs = [line.output_tokens for line in bill]
    known = [tokens for tokens in outputs if tokens is not None]
    return Line(
        "in all",
        "",
        sum(line.requests for line in bill),
        sum(line.prompt_tokens for line in bill),
        sum(known) if len(known) == len(outputs) else None,
        max((line.longest_s for line in bill), default=0.0),
    )


def in_words(bill: Line, answers: int) -> str:
    """The total as a sentence, for before the first request. `answers` counts those of unknown length."""
    output = (
        f"{plural(answers, 'answer')} of a length that the request does not limit"
        if bill.output_tokens is None
        else f"at most {bill.output_tokens:,} output tokens"
    )
    costs = answers or bill.prompt_tokens or bill.output_tokens
    tokens = f"about {bill.prompt_tokens:,} prompt tokens and {output}" if costs else "no tokens of a real model"
    requests = f"at most {plural(bill.requests, 'request')}"
    return f"{requests}, {tokens}; the longest wait for one answer is {bill.longest_s:,.0f} s"


def tokens_of(characters: int) -> int:
    """About how many tokens a text of so many characters is, rounded up."""
    return ceil(characters / CHARS_PER_TOKEN)


class Budget:
    """The tokens that a run may spend: `reserve` before a request, `settle` after it. Threads share it."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.spent = 0
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self, tokens: int) -> bool:
        """Whether so many tokens are left; if so, they are kept for this request."""
        with self._lock:
            if self.limit is not None and self.spent + self._reserved + tokens > self.limit:
                return False
            self._reserved += tokens
            return True

    def settle(self, reserved: int, spent: int) -> None:
        """Give the reservation back, and count what was spent."""
        with self._lock:
            self._reserved -= reserved
            self.spent += spent
