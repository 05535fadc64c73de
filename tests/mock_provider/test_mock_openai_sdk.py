"""The vendor's own client: what the mock says arrives as its objects and exceptions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.lazily import Lazily

openai, types, chat_types = Lazily("openai"), Lazily("openai.types"), Lazily("openai.types.chat")

WEATHER = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}


@pytest.fixture(scope="module")
def client(mock: MockServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def user(directive: str) -> dict[str, str]:
    return {"role": "user", "content": f"hi [[mock {directive}]]"}


def chunks(client: openai.OpenAI, directive: str, **fields: object) -> list[chat_types.ChatCompletionChunk]:
    return list(client.chat.completions.create(model="m", messages=[user(directive)], stream=True, **fields))


def joined(stream: list[chat_types.ChatCompletionChunk], key: str) -> str:
    return "".join(getattr(chunk.choices[0].delta, key, None) or "" for chunk in stream if chunk.choices)


def test_chat_text_and_usage(client: openai.OpenAI) -> None:
    stream = chunks(client, "tokens=4", stream_options={"include_usage": True})
    assert joined(stream, "content") == "It words buffer path"
    assert stream[-2].choices[0].finish_reason == "stop"
    usage = stream[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 4, 7)


@pytest.mark.parametrize("profile", ["openai", "azure", "mistral", "deepseek", "openrouter"])
def test_chat_reasoning_in_every_profile(client: openai.OpenAI, profile: str) -> None:
    fields = {} if profile == "mistral" else {"stream_options": {"include_usage": True}}
    stream = chunks(client, f"profile={profile} reasoning=2 tokens=2", **fields)
    key = "reasoning" if profile == "openrouter" else "reasoning_content"
    assert (joined(stream, key), joined(stream, "content")) == ("It words", " buffer path")
    usage = stream[-1].usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (4, 2)


@pytest.mark.parametrize("profile", ["openai", "azure", "mistral", "deepseek", "openrouter"])
def test_chat_tool_calls_accumulate(client: openai.OpenAI, profile: str) -> None:
    with client.chat.completions.stream(
        model="m", messages=[user(f"tools=2 tokens=7 profile={profile}")], tools=[CHAT_TOOL]
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert [event.name for event in done] == ["weather", "weather"]
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert len({call.id for call in calls}) == 2
    texts = [json.loads(call.function.arguments)["town"] for call in calls]
    assert texts == ["It words buffer", "path reader the or"]
    assert final.choices[0].finish_reason == "tool_calls"


def test_chat_whole(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="m", messages=[user("tokens=3 reasoning=1")])
    assert said.choices[0].message.content == " words buffer path"
    assert said.choices[0].message.reasoning_content == "It"  # the client keeps fields that it does not know
    assert said.usage is not None
    assert said.usage.completion_tokens == 4
    called = client.chat.completions.create(model="m", messages=[user("tokens=3")], tools=[CHAT_TOOL])
    message = called.choices[0].message
    assert (called.choices[0].finish_reason, message.content) == ("tool_calls", None)
    assert message.tool_calls is not None
    assert json.loads(message.tool_calls[0].function.arguments) == {"town": "It words buffer"}
    refused = client.chat.completions.create(model="m", messages=[user("tokens=2 answer=refusal")])
    assert (refused.choices[0].message.refusal, refused.choices[0].message.content) == ("It words", None)


def test_chat_refusal_streams(client: openai.OpenAI) -> None:
    assert joined(chunks(client, "tokens=2 answer=refusal"), "refusal") == "It words"


def test_an_agents_loop_ends(client: openai.OpenAI) -> None:
    turns: list = [user("tools=1 tokens=2")]
    for _ in range(3):
        answer = client.chat.completions.create(model="m", messages=turns, tools=[CHAT_TOOL]).choices[0].message
        turns.append(answer.model_dump(exclude_none=True))
        turns += [{"role": "tool", "tool_call_id": call.id, "content": "7"} for call in answer.tool_calls or ()]
        if not answer.tool_calls:
            break
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("choice", "called"), [("none", None), ("auto", "weather"), ("required", "weather"), ("other", "other")]
)
def test_tool_choice(client: openai.OpenAI, choice: str, called: str | None) -> None:
    other = {"type": "function", "function": {"name": "other", "parameters": WEATHER}}
    named = {"type": "function", "function": {"name": "other"}} if choice == "other" else choice
    answer = client.chat.completions.create(
        model="m", messages=[user("tokens=1")], tools=[CHAT_TOOL, other], tool_choice=named
    )
    calls = answer.choices[0].message.tool_calls
    assert (calls[0].function.name if calls else None) == called


def test_stop_and_length(client: openai.OpenAI) -> None:
    # The text is "It words buffer path ..."; the stop text begins in one token and ends in the next.
    stream = chunks(client, "tokens=9", stop=["zebra", "rds bu"])
    assert (joined(stream, "content"), stream[-1].choices[0].finish_reason) == ("It wo", "stop")
    endless = chunks(client, "script=endless", stop="path")
    assert joined(endless, "content") == "It words buffer "
    at_once = client.chat.completions.create(model="m", messages=[user("tokens=9")], stop="It")
    assert (at_once.choices[0].message.content, at_once.usage.completion_tokens) == ("", 0)
    cut = chunks(client, "tokens=9", max_completion_tokens=2)
    assert (joined(cut, "content"), cut[-1].choices[0].finish_reason) == ("It words", "length")


@pytest.mark.parametrize("profile", ["openai", "azure", "mistral", "deepseek", "openrouter"])
def test_chat_error_mid_stream(client: openai.OpenAI, profile: str) -> None:
    seen: list[chat_types.ChatCompletionChunk] = []
    asked = user(f"profile={profile} tokens=4 fault=error-event:2")
    stream = client.chat.completions.create(model="m", messages=[asked], stream=True)
    with pytest.raises(openai.APIError, match="failed while"):
        seen.extend(stream)
    assert joined(seen, "content") == "It words"


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("fault=status:400", "BadRequestError"),
        ("fault=status:401", "AuthenticationError"),
        ("fault=status:404", "NotFoundError"),
        ("fault=status:429", "RateLimitError"),
        ("fault=status:503", "InternalServerError"),
        ("fault=rst:0", "APIConnectionError"),
        ("speed=9", "BadRequestError"),
    ],
)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_errors_are_the_clients_own(client: openai.OpenAI, api: str, directive: str, error: str) -> None:
    def ask() -> object:
        if api == "chat":
            return chunks(client, directive)
        return list(client.responses.create(model="m", input=f"[[mock {directive}]]", stream=True))

    with pytest.raises(getattr(openai, error)):
        ask()


def test_keys_and_models_are_refused_as_such() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k", models=("m",))) as server:
        for key, model, error in (("x", "m", openai.AuthenticationError), ("k", "n", openai.NotFoundError)):
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
                with pytest.raises(error) as chat:
                    client.chat.completions.create(model=model, messages=[user("")])
                with pytest.raises(error):
                    client.responses.create(model=model, input="hi")
        assert (chat.value.code, chat.value.param) == ("model_not_found", "model")


def test_azure_client() -> None:
    with (
        MockServer(MockConfig(tokens=2, ttft="0", itl="0", api_key="k")) as server,
        openai.AzureOpenAI(azure_endpoint=server.url, api_key="k", api_version="2024-10-21", max_retries=0) as client,
    ):
        stream = chunks(client, "tokens=2")
        assert stream[0].choices == []
        assert stream[0].prompt_filter_results[0]["prompt_index"] == 0
        assert joined(stream, "content") == "It words"
        assert stream[-1].choices[0].content_filter_results["hate"]["severity"] == "safe"
        whole = client.chat.completions.create(model="m", messages=[user("tokens=2")])
        assert whole.prompt_filter_results[0]["content_filter_results"]["violence"]["filtered"] is False
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").chat.completions.create(model="m", messages=[user("")])


def test_responses_events_are_typed_and_numbered(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="m", input="hi [[mock tokens=2 reasoning=1]]", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    for event in events:
        type(event).model_validate(event.model_dump(), strict=False)  # every field that the client's type demands


def pieces(client: openai.OpenAI, prompt: str | list[str], **fields: object) -> list[types.Completion]:
    return list(client.completions.create(model="m", prompt=prompt, stream=True, **fields))


@pytest.mark.parametrize("prompt", ["hi [[mock tokens=4]]", ["hi [[mock tokens=4]]"]])
def test_completions_text_and_usage(client: openai.OpenAI, prompt: str | list[str]) -> None:
    stream = pieces(client, prompt, stream_options={"include_usage": True})
    types.Completion.model_validate(stream[-2].model_dump(), strict=True)
    assert "".join(piece.choices[0].text for piece in stream[:-1]) == "It words buffer path"
    assert {piece.object for piece in stream} == {"text_completion"}
    assert len({piece.id for piece in stream}) == 1
    assert [piece.choices[0].finish_reason for piece in stream[:-1]] == [None] * 4 + ["stop"]
    assert stream[-1].choices == []
    usage = stream[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 4, 7)


def test_completions_without_usage(client: openai.OpenAI) -> None:
    stream = pieces(client, "[[mock tokens=2]]")
    assert [piece.choices[0].text for piece in stream] == ["It", " words", ""]
    assert not any(piece.usage for piece in stream)


def test_completions_cut_by_a_limit_or_a_stop(client: openai.OpenAI) -> None:
    cut = pieces(client, "[[mock tokens=9]]", max_tokens=2)
    assert ("".join(piece.choices[0].text for piece in cut), cut[-1].choices[0].finish_reason) == ("It words", "length")
    stopped = pieces(client, "[[mock tokens=9]]", stop="buffer")
    assert ("".join(p.choices[0].text for p in stopped), stopped[-1].choices[0].finish_reason) == ("It words ", "stop")


def test_completions_whole(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="m", prompt="hi [[mock tokens=2 id=w]]")
    streamed = pieces(client, "hi [[mock tokens=2 id=w]]")
    types.Completion.model_validate(whole.model_dump(), strict=True)
    assert whole.choices[0].text == "".join(piece.choices[0].text for piece in streamed) == "It words"
    assert (whole.id, whole.created) == (streamed[0].id, streamed[0].created)
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (4, 2)


def test_completions_error_mid_stream(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="failed while"):
        pieces(client, "[[mock tokens=4 fault=error-event:2]]")


def test_responses_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi [[mock tokens=3 reasoning=2]]") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == [" buffer", " path", " reader"]
    assert (final.status, final.output_text) == ("completed", " buffer path reader")
    assert final.output[0].type == "reasoning"
    assert final.output[0].summary[0].text == "It words"
    assert final.usage is not None
    assert (final.usage.output_tokens, final.usage.output_tokens_details.reasoning_tokens) == (5, 2)


def test_responses_function_call(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi [[mock tokens=3]]", tools=[RESPONSES_TOOL]) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("weather", "".join(deltas))
    assert json.loads(call.arguments) == {"town": "It words buffer"}
    turns = [
        {"role": "user", "content": "hi [[mock tokens=3]]"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "7"},
    ]
    assert client.responses.create(model="m", input=turns, tools=[RESPONSES_TOOL]).output_text == "It words buffer"


def test_responses_whole(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="m", input="hi [[mock tokens=2 reasoning=1 id=w]]")
    streamed = list(client.responses.create(model="m", input="hi [[mock tokens=2 reasoning=1 id=w]]", stream=True))
    assert streamed[-1].response == whole.model_copy(update={"output": streamed[-1].response.output})
    assert whole.output_text == " words buffer"
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    refused = client.responses.create(model="m", input="[[mock tokens=2 answer=refusal]]")
    assert refused.output[0].content[0].refusal == "It words"


def test_responses_incomplete(client: openai.OpenAI) -> None:
    last = list(client.responses.create(model="m", input="[[mock tokens=9]]", stream=True, max_output_tokens=2))[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output[0].status == "incomplete"
    assert last.response.output_text == "It words"


def test_responses_error_mid_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="m", input="[[mock tokens=4 fault=error-event:2]]", stream=True))
    assert [event.type for event in events[-3:]] == ["response.output_text.delta", "error", "response.failed"]
    assert "failed while" in events[-2].message
    assert events[-1].response.error.code == "server_error"
    with (
        client.responses.stream(model="m", input="[[mock tokens=4 fault=error-event:2]]") as stream,
        pytest.raises(RuntimeError, match=r"response\.completed"),
    ):
        stream.get_final_response()
