"""Files of prompts: what a line may be, and what is said of one that is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts.files import MOST_LINE, Entry, parse_prompts

CHAT = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Rivers?"})


def test_each_form_of_a_line_is_read() -> None:
    lines = [
        '"a text"\n', "\n", '{"prompt": "another", "max_tokens": 7}\n',
        json.dumps({"messages": CHAT, "output_tokens": 9, "max_tokens": 1}),
        '{"prompt": "x", "messages": null, "id": 3}',
    ]  # fmt: skip
    assert parse_prompts(lines, "p.jsonl") == [
        Entry("a text"),
        Entry("another", output_tokens=7),
        Entry(messages=CHAT, output_tokens=9),
        Entry("x"),
    ]


def test_a_plain_file_has_one_prompt_a_line_and_no_json() -> None:
    assert parse_prompts(["\ufeffone\n", "  \r\n", '{"prompt": 1}\r\n'], "p.txt") == [
        Entry("one"),
        Entry('{"prompt": 1}'),
    ]


@pytest.mark.parametrize("first", ['{"prompt": "one"}', json.dumps({"messages": CHAT})])
def test_the_first_line_says_that_a_file_of_any_name_is_jsonl(first: str) -> None:
    entries = parse_prompts([first, '{"prompt": "two", "max_tokens": 3}'], "prompts.txt")
    assert entries[1] == Entry("two", output_tokens=3)
    with pytest.raises(UsageError, match=r"prompts\.txt, line 2 is not JSON"):
        parse_prompts([first, "plain"], "prompts.txt")


@pytest.mark.parametrize("first", ["{not json}", '{"other": 1}', '"quoted"', "[1]"])
def test_a_first_line_that_is_not_a_described_prompt_is_a_prompt(first: str) -> None:
    assert parse_prompts([first], "prompts.txt") == [Entry(first)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"), ("plain", "is not JSON"), ("[1]", "is a list"), ("null", "is null"), ("7", "is a int"),
        ('{"conversations": []}', "a conversation of ShareGPT"),
        ("{}", "has nothing"), ('{"text": "a"}', "has text"), ('{"prompt": "a", "messages": []}', "prompt, messages"),
        ('{"prompt": ""}', "is empty"), ('{"prompt": 3}', "prompt is not a text"), ('{"messages": []}', "list"),
        ('{"messages": [{"role": "user"}]}', "role and content"), ('{"messages": ["a"]}', "role and content"),
        ('{"prompt": "a", "output_tokens": 0}', "output_tokens"), ('{"prompt": "a", "max_tokens": true}', "max_tokens"),
        ('{"prompt": "a", "max_tokens": "5"}', "max_tokens"), ("[" * 100_000, "is not JSON"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named_with_its_number(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_prompts(['"fine"', line], "p.jsonl")
    assert caught.value.message.startswith("p.jsonl, line 2")
    assert said in caught.value.message
    assert len(caught.value.message) < 300


def test_a_line_longer_than_any_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="line 1 is longer than"):
        parse_prompts(["x" * (MOST_LINE + 1)], "p.txt")


@pytest.mark.parametrize("name", ["p.jsonl", "p.txt"])
def test_a_file_without_a_prompt_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="holds no prompt"):
        parse_prompts(["\n", "  "], name)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["prompt", "messages", "max_tokens", "role", "content"]), x), max_leaves=8))  # fmt: skip
def test_any_json_is_a_prompt_or_a_usage_error(value: Any) -> None:
    try:
        entries = parse_prompts([json.dumps(value)], "p.jsonl")
    except UsageError:
        return
    assert all(entry.messages or entry.text for entry in entries)


@given(st.lists(st.text(), max_size=5))
def test_any_text_is_prompts_or_a_usage_error(lines: list[str]) -> None:
    for name in ("p.jsonl", "p.txt"):
        try:
            assert parse_prompts(lines, name)
        except UsageError:
            continue
