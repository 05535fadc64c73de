"""What a plan gives each stream: lengths, shared prefixes, nonces; the same in every process and on every machine."""

import hashlib
import itertools
import json
import os
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import Prompt, PromptPlan, source
from streamgauge.loadgen.prompts.lengths import Length
from streamgauge.loadgen.prompts.words import WORDS
from streamgauge.loadgen.traces.request import Blocks, Request

MANY = 400


def words(prompt: Prompt) -> int:
    return len(prompt.text.split())


def test_without_options_every_stream_asks_the_same() -> None:
    asked = source(PromptPlan(text="Tell me about rivers."))
    assert {asked.take(n) for n in range(9)} == {Prompt("Tell me about rivers.", prompt_tokens=4)}


def test_a_written_prompt_has_its_length_and_no_two_are_alike() -> None:
    plan = PromptPlan(prompt_tokens=Length("normal", 480, 240), output_tokens=Length("uniform", 5, 9))
    asked = source(plan)
    prompts = [asked.take(n) for n in range(MANY)]
    assert all(words(prompt) == prompt.prompt_tokens for prompt in prompts)
    assert {prompt.output_tokens for prompt in prompts} == {5, 6, 7, 8, 9}
    assert len({prompt.prompt_tokens for prompt in prompts}) > MANY / 3
    assert len({prompt.text[:40] for prompt in prompts}) == MANY  # nothing shared for a cache of prefixes


def test_the_prompts_are_the_same_on_every_machine() -> None:
    plan = PromptPlan(prompt_tokens=Length("lognormal", 300, 0.7), prefix_tokens=20, prefixes=3, nonce="n", seed=9)
    text = "\n".join(source(plan).take(n).text for n in range(50))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "d02880bc98bffdad"


def test_a_plan_that_travelled_described_gives_the_same() -> None:
    plan = PromptPlan(prompt_tokens=Length("uniform", 10, 90), prefix_tokens=5, prefixes=2, nonce="n", seed=4)
    other = msgspec.json.decode(msgspec.json.encode(plan), type=PromptPlan)
    assert [source(plan).take(n) for n in range(20)] == [source(other).take(n) for n in range(20)]


def test_another_seed_gives_others() -> None:
    one, two = (source(PromptPlan(prompt_tokens=Length("fixed", 50), seed=seed)) for seed in (1, 2))
    assert not {one.take(n).text for n in range(50)} & {two.take(n).text for n in range(50)}


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 16_383, 16_384, 16_385, 70_000])
def test_a_text_may_be_shorter_or_longer_than_its_parts(tokens: int) -> None:
    assert words(source(PromptPlan()).take(3, prompt_tokens=tokens)) == tokens


def test_prefixes_are_shared_and_what_follows_is_not() -> None:
    plan = PromptPlan(prompt_tokens=Length("fixed", 30), prefix_tokens=20, prefixes=4)
    asked = source(plan)
    prompts = [asked.take(n) for n in range(MANY)]
    split = [prompt.text.split() for prompt in prompts]
    shared = Counter(tuple(text[:20]) for text in split)
    assert len(shared) == 4
    assert min(shared.values()) > MANY / 8
    assert len({tuple(text[20:]) for text in split}) == MANY
    assert {prompt.prompt_tokens for prompt in prompts} == {50} == {len(text) for text in split}


def test_a_prefix_leaves_the_lengths_and_texts_as_they_are() -> None:
    plan = PromptPlan(prompt_tokens=Length("uniform", 30, 90), output_tokens=Length("uniform", 5, 90))
    led = msgspec.structs.replace(plan, prefix_tokens=20, prefixes=4)
    for n in range(20):
        bare, prefixed = source(plan).take(n), source(led).take(n)
        assert prefixed.text.endswith(bare.text)
        assert prefixed.output_tokens == bare.output_tokens


def test_a_nonce_makes_prompts_unique_over_streams_and_runs_behind_a_shared_prefix(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("one\ntwo\n")
    for plan in (PromptPlan(text="fixed"), PromptPlan(file=str(path)), PromptPlan(prompt_tokens=Length("fixed", 9))):
        runs = [source(msgspec.structs.replace(plan, nonce=nonce, prefix_tokens=6, prefixes=1)) for nonce in ("a", "b")]
        texts = [run.take(n).text.split() for run in runs for n in range(50)]
        assert len({tuple(text[6:12]) for text in texts}) == 100
        assert len({tuple(text[:6]) for text in texts}) == 1


def test_a_file_is_asked_in_turn_and_again(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    chat = [{"role": "user", "content": "Rivers and lakes?"}]
    path.write_text(f'"one"\n{{"prompt": "two words", "max_tokens": 7}}\n{json.dumps({"messages": chat})}\n')
    prompts = source(PromptPlan(file=str(path)))
    assert [prompts.take(n) for n in range(3)] == [
        Prompt("one", prompt_tokens=1),
        Prompt("two words", output_tokens=7, prompt_tokens=2),
        Prompt("", tuple(chat), prompt_tokens=3),
    ]
    assert prompts.take(4) == prompts.take(1)
    assert (prompts.has_messages, prompts.has_output_tokens) == (True, True)
    capped = source(PromptPlan(file=str(path), output_tokens=Length("fixed", 3)))
    assert {capped.take(n).output_tokens for n in range(3)} == {3}


def test_a_file_that_is_not_there_or_no_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\xff")
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("none.txt", "p.txt", ".", "pipe.txt"):
        with pytest.raises(UsageError, match="--prompt-file"):
            source(PromptPlan(file=str(tmp_path / name)))


CONTENT = st.one_of(st.text(), st.none(), st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})))
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": CONTENT}), min_size=1
)


@given(MESSAGES.map(tuple))
def test_text_is_put_into_messages_without_changing_anything_else(messages: tuple[dict[str, object], ...]) -> None:
    before = json.dumps(messages)
    prompt = Prompt("", messages).led_by("FRONT").ending_in("BACK")
    assert json.dumps(messages) == before
    after = json.dumps(prompt.messages)
    assert after.index("FRONT") < after.index("BACK")
    assert prompt.messages is not None
    assert "FRONT" in json.dumps(prompt.messages[0])
    last_user = [m for m in prompt.messages if m["role"] == "user"][-1:] or [prompt.messages[-1]]
    assert "BACK" in json.dumps(last_user[0])
    assert [m["role"] for m in prompt.messages] == [m["role"] for m in messages]


def test_run_json_says_what_was_asked_and_how_it_was_counted() -> None:
    plan = PromptPlan(prompt_tokens=Length("normal", 480, 240), prefix_tokens=200, prefixes=4)
    assert plan.settings() == {
        "source": "generated",
        "prompt_tokens": "N(480,240)",
        "prefix_tokens": "200*4",
        "counted_in": "words, about a token each (approximate)",
        "seed": 1,
    }


def test_no_word_is_there_twice() -> None:
    assert len(set(WORDS)) == len(WORDS) > 500


def asked_for(*requests: Request, **plan: object) -> list[str]:
    prompts = source(PromptPlan(**plan))  # type: ignore[arg-type]
    return [
        prompts.take(n, prompt_tokens=request.prompt_tokens, recorded=request).text
        for n, request in enumerate(requests)
    ]


def blocks(tokens: int | None, *ids: int | str, scope: str = "") -> Request:
    return Request(prompt_tokens=tokens, blocks=Blocks(16, ids, scope))


def test_equal_blocks_are_equal_text_in_order() -> None:
    one, two, longer = asked_for(blocks(48, 1, 2, 3), blocks(48, 1, 2, 4), blocks(64, 1, 2, 3, 9))
    assert [len(text.split()) for text in (one, two, longer)] == [48, 48, 64]
    assert one.split()[:32] == two.split()[:32]
    assert one.split()[32:] != two.split()[32:]
    assert longer.startswith(one + " ")
    assert one.split()[:16] != one.split()[16:32]


def test_the_last_block_may_be_partial_and_tokens_beyond_the_blocks_are_the_streams_own() -> None:
    whole, partial, beyond, other = asked_for(blocks(32, 1, 2), blocks(20, 1, 2), blocks(40, 1, 2), blocks(40, 1, 2))
    assert whole.startswith(partial + " ")
    assert len(partial.split()) == 20
    assert beyond.startswith(whole + " ")
    assert beyond != other
    assert len(asked_for(blocks(None, 1, 2))[0].split()) == 32
    assert len(asked_for(blocks(5, 1, 2, 3))[0].split()) == 5


def test_blocks_of_two_scopes_differ_and_a_number_is_not_its_text() -> None:
    texts = asked_for(blocks(16, 1), blocks(16, 1, scope="a"), blocks(16, 1, scope="b"), blocks(16, "1"))
    assert len(set(texts)) == 4


def test_a_seed_and_a_nonce_change_the_blocks_but_not_what_they_share() -> None:
    pair = blocks(32, 1, 2), blocks(32, 1, 3)
    plain, seeded, fresh = (asked_for(*pair, **plan) for plan in ({}, {"seed": 2}, {"nonce": "n"}))
    assert len({plain[0], seeded[0], fresh[0]}) == 3
    for one, two in (plain, seeded, fresh):
        assert one.split()[:16] == two.split()[:16]


def test_blocks_are_the_same_on_every_machine() -> None:
    text = asked_for(Request(prompt_tokens=2000, blocks=Blocks(512, tuple(range(4)))))[0]
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "7f84f4830e8f7acd"


def test_a_later_turn_of_a_session_begins_with_the_turn_before_it() -> None:
    turns = [Request(prompt_tokens=tokens, session="a") for tokens in (10, 63, 64, 65, 900)]
    texts = asked_for(*turns, Request(prompt_tokens=900, session="b"))
    assert all(later.startswith(before + " ") for before, later in itertools.pairwise(texts[:5]))
    assert texts[4].split()[:5] != texts[5].split()[:5]


def test_recorded_messages_and_texts_are_sent_as_they_are() -> None:
    prompts = source(PromptPlan(text="not this", output_tokens=Length("fixed", 7)))
    messages = ({"role": "user", "content": "Hello"},)
    assert prompts.take(0, recorded=Request(messages=messages)).messages == messages
    taken = prompts.take(1, output_tokens=3, recorded=Request(text="Rivers?", prompt_tokens=2))
    assert taken == Prompt("Rivers?", output_tokens=3, prompt_tokens=2)
    assert prompts.take(0, recorded=Request(text="Rivers?")).output_tokens == 7
    assert prompts.take(0, recorded=Request()).text == "not this"


@pytest.mark.parametrize(
    "plan",
    [
        PromptPlan(text="Tell me about rivers."),
        PromptPlan(text="Tell me about rivers.", nonce="n"),
        PromptPlan(prompt_tokens=Length("uniform", 10, 90), output_tokens=Length("uniform", 5, 9)),
        PromptPlan(prompt_tokens=Length("uniform", 10, 90), prefix_tokens=5, prefixes=2, nonce="n", seed=4),
    ],
)
def test_lengths_are_known_without_writing_a_text(plan: PromptPlan) -> None:
    asked = source(plan)
    taken = [asked.take(number) for number in range(30)]
    assert [asked.lengths(number) for number in range(30)] == [(p.prompt_tokens, p.output_tokens) for p in taken]
