"""Numbers from outside: the range of each kind, and which token counts of an endpoint are believed.

A number of JSON can have any size. An integer beyond 64 bits fits into no column of a Parquet file, and one beyond
10^308 into no float. So a number is checked where it enters, and everything behind that place can calculate.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from streamgauge.units import SECOND, plural

LARGEST: Final = 2**61
Ns = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""A time or a duration in ns: as an epoch time it reaches the year 2043. Clocks can be set back, so it may be negative.
"""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things: a float holds it exactly."""

MOST_TOKENS: Final = 10_000_000
"""More than any model reads or writes in one stream: the longest contexts are a tenth of it."""
FASTEST_TOKENS_PER_S: Final = 20_000
"""Faster than any model writes one stream: about 17,000 tokens/s are known of a small model on its own chip (2026)."""
BYTES_A_CHARACTER: Final = 4
"""The most bytes of a character in UTF-8. A tokenizer that falls back to bytes makes a token of each."""


class TokenCount(NamedTuple):
    """A count from an endpoint's usage. `doubt` says why the count that came is not believed; both None: none came."""

    tokens: int | None = None
    doubt: str | None = None


class Answer(NamedTuple):
    """The size of the answer that a count of tokens has to fit to."""

    wire_bytes: int
    characters: int
    lasted_ns: int

    @property
    def most_tokens(self) -> int:
        """The most tokens that this answer can have had.

        A token that came has at least a byte. A token that was hidden (reasoning) needs time.
        """
        hidden = FASTEST_TOKENS_PER_S * max(self.lasted_ns, 0) // SECOND
        return max(self.wire_bytes, self.characters * BYTES_A_CHARACTER, hidden)


def whole(value: object) -> int | None:
    """The value, if it is a whole number from 0 to MOST_TOKENS. JSON's true is not a number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None


def token_count(usage: Mapping[str, Any], names: Sequence[str], answer: Answer | None = None) -> TokenCount:
    """The count that stands under one of these names in a usage object, and fits to the answer if one is given.

    0 stands for an unknown count: gateways fill it in where their upstream reports none.
    """
    doubt = None
    for name in names:
        value = usage.get(name)
        if value is None or (value == 0 and not isinstance(value, bool)):
            continue
        tokens = whole(value)
        if tokens is None:
            doubt = doubt or f"{name} is {described(value)}, not a whole number from 0 to {MOST_TOKENS:,}"
        elif answer is not None and tokens > answer.most_tokens:
            doubt = doubt or (
                f"{name} is {tokens:,}, but {answer.wire_bytes:,} bytes in {answer.lasted_ns / SECOND:,.2f} s cannot "
                f"be more than {answer.most_tokens:,} tokens"
            )
        else:
            return TokenCount(tokens)
    return TokenCount(doubt=doubt)


_CACHED: Final = (
    ("cached_tokens",),
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI Chat Completions, vLLM, SGLang
    ("input_tokens_details", "cached_tokens"),  # OpenAI Responses
    ("cache_read_input_tokens",),  # Anthropic
    ("prompt_cache_hit_tokens",),  # DeepSeek
)
_BESIDES: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Anthropic counts these prompt tokens apart from `input_tokens`."""


class PromptCounts(NamedTuple):
    """The tokens of a prompt, and how many of them came from a cache of the endpoint; None: not known."""

    tokens: int | None = None
    cached: int | None = None
    doubt: str | None = None


def prompt_counts(usage: Mapping[str, Any]) -> PromptCounts:
    """The prompt's counts of a usage object. For cached tokens 0 is a count: nothing came from the cache."""
    prompt = token_count(usage, ("prompt_tokens", "input_tokens"))
    besides = [count for name in _BESIDES if (count := whole(usage.get(name))) is not None]
    tokens = None if prompt.tokens is None and not any(besides) else (prompt.tokens or 0) + sum(besides)
    cached = next((count for place in _CACHED if (count := whole(_under(usage, place))) is not None), None)
    if cached is not None and tokens is not None and cached > tokens:
        return PromptCounts(
            tokens, None, f"{cached:,} prompt tokens from a cache are more than the {tokens:,} of the prompt"
        )
    return PromptCounts(tokens, cached, prompt.doubt)


def _under(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def out_of_range(document: object) -> str | None:
    """The first number of a JSON document that no measurement has (beyond ± LARGEST), with its place; None without."""
    waiting = [("$", document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{place}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{place}[{index}]", inner) for index, inner in enumerate(value)]
        elif isinstance(value, (int, float)) and abs(value) > LARGEST:
            return f"{place} is {described(value)}, and no measurement is above {LARGEST:,}"
    return None


def described(value: object) -> str:
    """A JSON value for a sentence about a number: a number as it is, and of anything else only its kind.

    The content of a text is left out, because it can be a secret that the endpoint repeats.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}" if abs(value) < 10**21 else f"a number of {len(str(abs(value)))} digits"
        case float():
            return str(value)
        case str():
            return f"a text of {plural(len(value), 'character')}"
        case list():
            return "a list"
    return "null" if value is None else "an object"
