"""Vendors' definitions: what they refuse and where they say it is, what they allow, and that jsonschema agrees."""

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.schemas.definition import ANY, Breach, Schema
from streamgauge.mock_provider.profiles import PROFILES
from tests.builders import mock_streams
from tests.builders.vendor_streams import ABSENT, STREAMS, Payload, chunk, edited, mutate
from tests.harness.conformance.tapes_payloads import BREAKING, DOCUMENTED


def kind_of(payload: Payload) -> str:
    return str(payload.get("type", ""))


def breaches(dialect: str, payload: Payload) -> list[Breach]:
    return DEFINITIONS[dialect].breaches(payload, kind_of(payload))


@pytest.mark.parametrize("dialect", DEFINITIONS)
def test_a_healthy_stream_has_no_breach(dialect: str) -> None:
    payloads = STREAMS[dialect]
    assert [(one, breaches(dialect, one)) for one in payloads if breaches(dialect, one)] == []
    judged = {kind_of(one) for one in payloads if DEFINITIONS[dialect].covers(kind_of(one))}
    assert judged


@pytest.mark.parametrize(
    ("dialect", "change"), [(name, one) for table in (BREAKING, DOCUMENTED) for name in table for one in table[name]]
)
def test_a_breach_names_the_member_what_came_and_what_was_expected(dialect: str, change: tuple[int, str, Any]) -> None:
    index, pointer, value = change
    found = breaches(dialect, edited(STREAMS[dialect], *change)[index])

    assert [one.pointer for one in found] == [pointer]
    assert (found[0].found == "missing") is (value is ABSENT)
    assert found[0].documented is (change in DOCUMENTED.get(dialect, []))
    assert str(found[0]).startswith(f"{pointer} is ")
    assert "expected" in str(found[0])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"city": "Paris"}, "an object, expected a string or null"),
        (5, "5, expected a string or null"),
        (ABSENT, None),
    ],
)
def test_what_a_breach_says(value: Any, told: str | None) -> None:
    pointer = "/choices/0/delta/tool_calls/0/function/arguments"
    found = breaches("openai-chat", edited(STREAMS["openai-chat"], 6, pointer, value)[6])
    assert [str(one) for one in found] == ([] if told is None else [f"{pointer} is {told}"])


ANSWERS = ("tokens=4", "tokens=4 reasoning=2", "tools=2", "answer=refusal tokens=2", "tokens=4 finish=length")
ALL_PROFILES = [*(f"profile={name}" for name in PROFILES), ""]


def mock_payloads(dialect: str, directive: str) -> list[Payload]:
    """The payloads of one stream of the mock, without [DONE] and comments."""
    body = b"".join(mock_streams.writes(dialect, directive)[1:-1])
    found = re.findall(rb"^(?:data: )?(\{.*\})\r?$", body, re.MULTILINE)
    return [json.loads(payload) for payload in found]


def healthy() -> Iterator[tuple[str, str]]:
    """Each dialect of the mock with each kind of answer that it has, and OpenAI's as each vendor writes it."""
    for dialect in (*DEFINITIONS, "azure-chat"):
        for answer in ANSWERS:
            if {"refusal", "reasoning", "tools"} & set(re.findall(r"\w+", answer)) <= mock_streams.BY_NAME[
                dialect
            ].features:
                yield from (
                    (dialect, f"{answer} {one}") for one in (ALL_PROFILES if dialect == "openai-chat" else [""])
                )


@pytest.mark.parametrize(("dialect", "directive"), list(healthy()))
def test_every_healthy_stream_of_the_mock_fits(dialect: str, directive: str) -> None:
    payloads = mock_payloads(dialect, directive)
    name = "openai-chat" if dialect == "azure-chat" else dialect

    assert payloads
    assert [(one, breaches(name, one)) for one in payloads if breaches(name, one)] == []


# What widely used servers send that OpenAI does not; all SDKs read it.
VARIANTS: dict[str, Payload] = {
    "Azure, the prompt's filter": {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    },
    "Azure, the filter after the text": chunk(
        choices=[{"index": 0, "finish_reason": None, "content_filter_offsets": {}, "content_filter_results": {}}]
    ),
    "vLLM, with nulls": chunk(
        {"role": "assistant", "content": "Hi", "reasoning": None, "tool_calls": None, "function_call": None},
        usage=None,
        system_fingerprint=None,
        service_tier=None,
        prompt_token_ids=None,
    ),
    "vLLM, usage on every chunk": chunk(
        {"content": "Hi"},
        usage={"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "prompt_tokens_details": None},
    ),
    "llama.cpp": chunk({"content": None, "role": "assistant"}, timings={"predicted_n": 1}, system_fingerprint="b1"),
    "OpenRouter": chunk(
        {"role": "assistant", "content": "", "reasoning": None, "reasoning_details": []},
        provider="P",
        choices=[
            {
                "index": 0,
                "delta": {"content": ""},
                "finish_reason": "stop",
                "native_finish_reason": "x",
                "logprobs": None,
            }
        ],
    ),
    "a native finish reason": chunk(finish="eos"),
    "an empty finish reason": chunk({"content": "Hi"}, finish=""),
    "DeepSeek, reasoning": chunk({"content": None, "reasoning_content": "hm"}, system_fingerprint="fp"),
    "Mistral, parts": chunk(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}]}
    ),
    "Groq": chunk({"content": "Hi"}, x_groq={"id": "req_1"}),
    "LiteLLM, usage beside a choice": chunk(choices=[{"index": 0, "delta": {}}], usage={"total_tokens": 7}),
    "Perplexity": chunk(
        choices=[{"index": 0, "delta": {"role": "assistant", "content": "x"}, "message": {}, "finish_reason": None}],
        citations=[],
        search_results=[],
    ),
    "log probabilities": chunk(
        choices=[
            {
                "index": 0,
                "delta": {"content": "Hi"},
                "logprobs": {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]},
                "finish_reason": None,
            }
        ]
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_compatible_servers_send_is_no_breach(name: str) -> None:
    assert breaches("openai-chat", VARIANTS[name]) == []


def test_types_that_the_vendor_adds_later_are_not_judged() -> None:
    for dialect in ("anthropic", "openai-responses", "cohere"):
        assert not DEFINITIONS[dialect].covers("response.new_thing")
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "new_block"}}
    assert breaches("anthropic", block) == []


@pytest.mark.parametrize("dialect", DEFINITIONS)
def test_jsonschema_finds_the_same_breaches(dialect: str) -> None:
    """On payloads of the dialect with up to three members changed or left out."""
    chance = random.Random(dialect)
    validators = {kind: Draft202012Validator(schema) for kind, schema in DEFINITIONS[dialect].schemas.items()}
    for schema in DEFINITIONS[dialect].schemas.values():
        Draft202012Validator.check_schema(schema)
    compared = 0
    for _ in range(1_500):
        payload = copy.deepcopy(chance.choice(STREAMS[dialect]))
        kind = kind_of(payload)
        for _ in range(chance.randint(1, 3)):
            mutate(payload, chance)
        validator = validators.get(kind) or validators.get(ANY)
        if validator is None:
            continue
        ours = {one.pointer for one in DEFINITIONS[dialect].breaches(payload, kind) if not one.documented}
        theirs = set(pointers(validator, payload))
        assert ours == theirs, json.dumps(payload)
        compared += bool(ours)
    assert compared > 300


def pointers(validator: Any, payload: Payload) -> Iterator[str]:
    """Where jsonschema finds a breach; for a missing member, where that would be."""
    for error in validator.iter_errors(payload):
        place = "".join(f"/{part}" for part in error.absolute_path)
        if error.validator == "required":
            missing: Schema = error.instance
            yield from (f"{place}/{key}" for key in error.validator_value if key not in missing)
        else:
            yield place
