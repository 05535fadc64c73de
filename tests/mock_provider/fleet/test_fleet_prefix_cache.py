"""The prefix cache: what it finds, what goes first, and its closed forms."""

from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.fleet import forms
from streamgauge.mock_provider.fleet.prefix_cache import PrefixCache


def prompt(name: str, words: int) -> str:
    return " ".join(f"{name}{index}" for index in range(words))


def send(cache: PrefixCache, *texts: str) -> int:
    prefix = cache.find(texts)
    cache.add(prefix)
    return prefix.cached


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_a_prompt_finds_the_whole_blocks_of_its_common_prefix(common: int, more: int, block: int) -> None:
    cache = PrefixCache(1_000, block)
    shared = prompt("a", common)
    send(cache, shared, "x " * 40)
    assert send(cache, shared, prompt("b", more + 1)) == forms.cached_tokens(common, common + more + 1, block)


@given(st.integers(1, 60), st.integers(1, 20))
def test_the_last_token_of_a_repeated_prompt_is_read_again(words: int, block: int) -> None:
    cache = PrefixCache(1_000, block)
    send(cache, prompt("a", words))
    assert send(cache, prompt("a", words)) == forms.cached_tokens(words, words, block) < words


@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 40))
def test_prompts_in_turn_find_what_the_capacity_leaves_of_them(prompts: int, blocks: int, capacity: int) -> None:
    cache = PrefixCache(capacity, 4)
    texts = [prompt(f"p{number}-", blocks * 4 + 1) for number in range(prompts)]
    for text in texts * 3:
        send(cache, text)
        assert len(cache) <= capacity
    assert {send(cache, text) for text in texts} == {4 * forms.cycle_found(prompts, blocks, capacity)}


def test_a_conversation_finds_its_turn_before() -> None:
    cache = PrefixCache(100, 4)
    turns = [prompt(f"turn{number}-", 10) for number in range(4)]
    found = [send(cache, *turns[: number + 1]) for number in range(4)]
    assert found == [0, 8, 20, 28]
    assert found[1:] == [forms.cached_tokens(10 * number, 10 * number + 10, 4) for number in (1, 2, 3)]


def test_a_word_in_front_changes_every_block() -> None:
    cache = PrefixCache(100, 4)
    send(cache, prompt("a", 40))
    assert send(cache, "nonce", prompt("a", 40)) == 0


def test_a_cache_that_was_cleared_finds_nothing() -> None:
    cache = PrefixCache(100, 4)
    send(cache, prompt("a", 40))
    cache.clear()
    assert send(cache, prompt("a", 40)) == 0
    assert PrefixCache(10, 4).find(()) == ((), 0, 0)
