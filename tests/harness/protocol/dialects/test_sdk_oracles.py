"""The readers against the vendors' own clients: both read the same stream of the mock, and say the same of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import at_vendor_path
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Outcome
from tests.builders.lazily import Lazily

anthropic, ollama, openai = Lazily("anthropic"), Lazily("ollama"), Lazily("openai")
genai, types = Lazily("google.genai"), Lazily("google.genai.types")

TEXT = "hi [[mock id=a seed=3 tokens=9 reasoning=3 text=unicode]]"
TOOLS = "hi [[mock id=a seed=3 tokens=9 tools=2]]"


class Told(NamedTuple):
    """What a reader makes of a stream."""

    thought: str
    text: str
    calls: str  # the arguments of all calls, each as JSON without spaces
    output_tokens: int | None


def compact(*arguments: Any) -> str:
    return "".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in arguments)


def by_anthropic(url: str, prompt: str) -> Told:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        turns: Any = [{"role": "user", "content": prompt}]
        with client.messages.stream(model="m", max_tokens=1000, messages=turns) as stream:
            message = stream.get_final_message()
    blocks: Any = message.content
    return Told(
        "".join(block.thinking for block in blocks if block.type == "thinking"),
        "".join(block.text for block in blocks if block.type == "text"),
        compact(*(block.input for block in blocks if block.type == "tool_use")),
        message.usage.output_tokens,
    )


def by_responses(url: str, prompt: str) -> Told:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    with client, client.responses.stream(model="m", input=prompt) as stream:
        response: Any = stream.get_final_response()
    items: Any = response.output
    return Told(
        "".join(part.text for item in items if item.type == "reasoning" for part in item.summary),
        response.output_text,
        compact(*(json.loads(item.arguments) for item in items if item.type == "function_call")),
        response.usage.output_tokens,
    )


def by_genai(url: str, prompt: str) -> Told:
    options = types.HttpOptions(base_url=url)
    with genai.Client(api_key="none", vertexai=False, http_options=options) as client:
        responses: Any = list(client.models.generate_content_stream(model="m", contents=prompt))
    parts = [part for one in responses for part in one.candidates[0].content.parts or ()]
    usage = responses[-1].usage_metadata
    return Told(
        "".join(part.text for part in parts if part.thought),
        "".join(part.text for part in parts if part.text and not part.thought),
        compact(*(part.function_call.args for part in parts if part.function_call)),
        (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
    )


def by_ollama(url: str, prompt: str) -> Told:
    with ollama.Client(host=url) as client:
        lines: Any = list(client.chat(model="m", messages=[{"role": "user", "content": prompt}], stream=True))
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    return Told(
        "".join(line.message.thinking or "" for line in lines),
        "".join(line.message.content or "" for line in lines),
        compact(*(call.function.arguments for call in calls)),
        lines[-1].eval_count,
    )


CLIENTS: dict[str, Callable[[str, str], Told]] = {
    "anthropic": by_anthropic,
    "openai-responses": by_responses,
    "gemini": by_genai,
    "ollama": by_ollama,
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with MockServer(MockConfig(ttft="0", itl="0")) as server:
        yield server.url


@pytest.mark.parametrize("prompt", [TEXT, TOOLS], ids=["text", "tools"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_reader_says_what_the_vendor_s_client_says(url: str, name: str, prompt: str) -> None:
    target = at_vendor_path(Target(url=url, dialect=name, model="m"))
    with StreamClient() as client:
        transcript = client.run(target.request(prompt), dialect=dialects.by_name(name))

    def joined(kind: Kind) -> str:
        return "".join(delta.text for _, delta in transcript.deltas if delta.kind is kind)

    usage: dict[str, int] = {}
    for _, delta in transcript.deltas:
        usage |= delta.value if delta.kind is Kind.USAGE else {}
    calls = joined(Kind.TOOL).replace('": "', '":"')
    ours = Told(joined(Kind.REASONING), transcript.text, calls, usage.get("output_tokens"))
    assert transcript.outcome is Outcome.OK
    assert ours == CLIENTS[name](url, prompt)
    assert any(ours[:3])
