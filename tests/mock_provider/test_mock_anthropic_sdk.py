"""Anthropic's own client against the mock: its objects, its exceptions. Its base URL is the only host it may reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.lazily import Lazily

anthropic = Lazily("anthropic")

pytestmark = pytest.mark.usefixtures("loopback_only")

WEATHER = {
    "name": "look_up",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}


@pytest.fixture
def client(mock: MockServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=mock.url, api_key="none", max_retries=0) as client:
        yield client


def asked(prompt: str, **fields: object) -> dict:
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": prompt}]} | fields


def test_text_and_usage(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**asked("hi [[mock tokens=20 text=unicode]]")) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()
    assert (len(texts), texts[0]) == (20, " caf\u00e9")
    assert message.content[0].text == "".join(texts)
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 4, 20)


def test_thinking_is_signed(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**asked("hi [[mock reasoning=4 tokens=3]]")) as stream:
        thought = [event.thinking for event in stream if event.type == "thinking"]
        thinking, text = stream.get_final_message().content
    assert (thinking.type, thinking.thinking, len(thought)) == ("thinking", "".join(thought), 4)
    assert thinking.signature
    assert len(text.text.split()) == 3


def test_tool_calls_are_put_together(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**asked("hi [[mock tools=2 tokens=9]]", tools=[WEATHER])) as stream:
        message = stream.get_final_message()
    first, second = message.content
    assert message.stop_reason == "tool_use"
    assert (first.type, first.name, list(first.input)) == ("tool_use", "look_up", ["place"])
    assert first.id != second.id
    assert first.input["place"].strip()


def test_an_agents_loop_ends(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**asked("hi", tools=[WEATHER]))
    assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": message.content[0].id, "content": "sunny"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    assert client.messages.create(**asked("hi", tools=[WEATHER], messages=turns)).stop_reason == "end_turn"
    none = client.messages.create(**asked("hi", tools=[WEATHER], tool_choice={"type": "none"}))
    assert none.stop_reason == "end_turn"


def test_max_tokens_cuts_and_says_so(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**asked("hi [[mock tokens=50]]", max_tokens=2))
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 2)


def test_pings_break_a_silence(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**asked("hi [[mock tokens=2 ttft=150ms heartbeat=40ms]]")) as stream:
        assert len(list(stream.text_stream)) == 2


def test_overload_in_mid_stream(client: anthropic.Anthropic) -> None:
    texts = []
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        client.messages.stream(**asked("hi [[mock fault=error-event:2]]")) as stream,
    ):
        texts += stream.text_stream
    assert len(texts) <= 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, "RateLimitError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (529, "InternalServerError"),
    ],
)
def test_statuses(client: anthropic.Anthropic, status: int, error: str) -> None:
    with (
        pytest.raises(getattr(anthropic, error)) as caught,
        client.messages.stream(**asked(f"hi [[mock fault=status:{status}]]")) as stream,
    ):
        list(stream)
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error"
    assert caught.value.response.headers.get("retry-after") == ("1" if status == 429 else None)


def test_refusal_of_a_request(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="not understood"):
        client.messages.create(**asked("hi [[mock speed=9]]"))


def test_api_key() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1")) as server:
        for key in ("k-1", "k-2"):
            with anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0) as client:
                if key == "k-1":
                    assert client.messages.create(**asked("hi")).stop_reason == "end_turn"
                else:
                    with pytest.raises(anthropic.AuthenticationError, match="API key"):
                        client.messages.create(**asked("hi"))
