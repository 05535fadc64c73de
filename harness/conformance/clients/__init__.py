"""The clients of the compatibility matrix, real ones first: one module and a line here for each way to use it."""

from typing import Final

from streamgauge.conformance.clients import (
    ai_use_chat,
    anthropic_node,
    anthropic_node_stream,
    anthropic_python,
    event_source,
    eventsource_parser,
    fetch_event_source,
    fetch_split,
    genai_python,
    go_openai,
    httpx_lines,
    httpx_sse,
    ollama_python,
    openai_dotnet,
    openai_go,
    openai_node,
    openai_node_stream,
    openai_python,
    system_net_sse,
)
from streamgauge.conformance.clients.base import Client

CLIENTS: Final[tuple[Client, ...]] = (
    openai_python.RAW,
    openai_python.STREAM,
    openai_node.RAW,
    openai_node_stream.STREAM,
    openai_dotnet.CLIENT,
    openai_go.CLIENT,
    go_openai.CLIENT,
    anthropic_python.RAW,
    anthropic_python.STREAM,
    anthropic_node.RAW,
    anthropic_node_stream.STREAM,
    genai_python.RAW,
    genai_python.CHAT,
    ollama_python.RAW,
    ollama_python.TYPED,
    ai_use_chat.CLIENT,
    event_source.LISTENERS,
    event_source.ONMESSAGE,
    eventsource_parser.CLIENT,
    fetch_event_source.CLIENT,
    httpx_sse.CLIENT,
    system_net_sse.CLIENT,
    httpx_lines.CLIENT,
    fetch_split.CLIENT,
)
