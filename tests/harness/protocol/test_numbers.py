"""Which token counts of an endpoint are believed."""

from typing import Any

import pytest

from streamgauge.protocol.numbers import (
    MOST_TOKENS,
    Answer,
    PromptCounts,
    TokenCount,
    described,
    prompt_counts,
    token_count,
    whole,
)
from streamgauge.units import SECOND

NAMES = ("completion_tokens", "output_tokens")
ANSWER = Answer(wire_bytes=3_000, characters=50, lasted_ns=SECOND // 100)


def counted(value: Any, answer: Answer | None = ANSWER) -> TokenCount:
    return token_count({"completion_tokens": value}, NAMES, answer)


@pytest.mark.parametrize("value", [1, 50, 3_000])
def test_a_count_that_fits_to_the_bytes_is_believed(value: int) -> None:
    assert counted(value) == TokenCount(value)


@pytest.mark.parametrize("value", [None, 0, 0.0])
def test_no_count_and_an_unknown_count_raise_no_doubt(value: Any) -> None:
    assert counted(value) == TokenCount()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-1, "-1"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (50.0, "50.0"),
        ("50", "a text of 2 characters"),
        ([50], "a list"),
        ({}, "an object"),
        (2**63 - 1, "9,223,372,036,854,775,807"),
        (2**63, "9,223,372,036,854,775,808"),
        (-(10**400), "a number of 401 digits"),
        (1e308, "1e+308"),
    ],
)
def test_what_cannot_be_a_count_is_named(value: Any, shown: str) -> None:
    expected = TokenCount(doubt=f"completion_tokens is {shown}, not a whole number from 0 to 10,000,000")
    assert counted(value) == counted(value, None) == expected


def test_more_tokens_than_bytes_are_believed_only_with_the_time_for_them() -> None:
    """Hidden reasoning is counted by the server and not sent."""
    assert counted(3_001).doubt == (
        "completion_tokens is 3,001, but 3,000 bytes in 0.01 s cannot be more than 3,000 tokens"
    )
    assert counted(20_000, ANSWER._replace(lasted_ns=SECOND)) == TokenCount(20_000)
    assert counted(20_001, ANSWER._replace(lasted_ns=SECOND)).tokens is None
    assert counted(200, Answer(wire_bytes=0, characters=50, lasted_ns=-SECOND)) == TokenCount(200)


def test_a_name_that_is_believed_wins_over_one_that_is_not() -> None:
    assert token_count({"completion_tokens": -1, "output_tokens": 7}, NAMES, ANSWER) == TokenCount(7)


def test_the_bounds_of_a_whole_number() -> None:
    assert [whole(value) for value in (0, MOST_TOKENS, MOST_TOKENS + 1, -1, True, 1.0, "1", None)] == [
        0, MOST_TOKENS, None, None, None, None, None, None,
    ]  # fmt: skip


def test_the_content_of_a_text_is_left_out() -> None:
    assert "sk-canary" not in (counted("sk-canary-0123456789").doubt or "")
    assert described(None) == "null"


@pytest.mark.parametrize(
    ("usage", "tokens", "cached"),
    [
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 64}}, 100, 64),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 0}}, 100, 0),
        ({"prompt_tokens": 100, "prompt_tokens_details": None}, 100, None),
        ({"prompt_tokens": 100}, 100, None),
        ({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}}, 100, 64),
        ({"input_tokens": 20, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 10}, 100, 70),
        ({"input_tokens": 20, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}, 20, 0),
        ({"prompt_tokens": 100, "prompt_cache_hit_tokens": 30, "prompt_cache_miss_tokens": 70}, 100, 30),
        ({"input_tokens": 100, "cached_tokens": 5}, 100, 5),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": "64"}}, 100, None),
        ({}, None, None),
    ],
)
def test_cached_prompt_tokens_are_read_under_the_names_of_every_vendor(
    usage: dict[str, Any], tokens: int | None, cached: int | None
) -> None:
    assert prompt_counts(usage) == PromptCounts(tokens, cached)


def test_more_cached_tokens_than_the_prompt_has_are_not_believed() -> None:
    found = prompt_counts({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 101}})
    assert (found.tokens, found.cached) == (100, None)
    assert found.doubt == "101 prompt tokens from a cache are more than the 100 of the prompt"
