"""The vendor's own client against the mock, direct and with a real nginx between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.builders.lazily import Lazily
from tests.e2e.conftest import RECOMMENDED, USUAL

openai = Lazily("openai")

PROMPT = "Hello [[mock tokens=12 itl=1ms ttft=1ms]]"


def stream_text(base_url: str) -> tuple[list[str], str | None, int | None]:
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="sk-test", max_retries=0)
    tokens, finish, usage = [], None, None
    stream = client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": PROMPT}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.usage:
            usage = chunk.usage.completion_tokens
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            if choice.delta.content:
                tokens.append(choice.delta.content)
    return tokens, finish, usage


def whole_text(base_url: str) -> str | None:
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="sk-test", max_retries=0)
    answer = client.chat.completions.create(model="any", messages=[{"role": "user", "content": PROMPT}])
    return answer.choices[0].message.content


def completed(base_url: str) -> tuple[list[str], str | None, int | None]:
    """The same of the older Completions."""
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="sk-test", max_retries=0)
    tokens, finish, usage = [], None, None
    for chunk in client.completions.create(
        model="any", prompt=PROMPT, stream=True, stream_options={"include_usage": True}
    ):
        if chunk.usage:
            usage = chunk.usage.completion_tokens
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            if choice.text:
                tokens.append(choice.text)
    return tokens, finish, usage


def test_the_sdk_gets_every_token_from_the_mock(mock: str) -> None:
    tokens, finish, usage = stream_text(mock)

    assert (len(tokens), finish, usage) == (12, "stop", 12)
    assert "".join(tokens) == whole_text(mock)


def test_the_sdk_gets_the_same_tokens_of_the_older_completions(mock: str) -> None:
    assert completed(mock) == stream_text(mock)
    client = openai.OpenAI(base_url=f"{mock}/v1", api_key="sk-test", max_retries=0)
    assert client.completions.create(model="any", prompt=PROMPT).choices[0].text == whole_text(mock)


@pytest.mark.parametrize("extra", [USUAL, RECOMMENDED])
@pytest.mark.parametrize("read", [stream_text, completed])
def test_the_sdk_gets_every_token_through_a_real_nginx(
    mock: str, nginx: Callable[[str], str], extra: str, read: Callable[[str], object]
) -> None:
    assert read(nginx(extra)) == read(mock)


def test_an_error_in_mid_stream_is_the_sdks_own_exception(mock: str) -> None:
    client = openai.OpenAI(base_url=f"{mock}/v1", api_key="sk-test", max_retries=0)
    stream = client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "[[mock tokens=8 itl=1ms fault=error-event:3]]"}],
        stream=True,
    )

    with pytest.raises(openai.APIError):
        list(stream)
