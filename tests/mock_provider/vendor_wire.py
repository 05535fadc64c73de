"""Requests in each vendor's own shape, and what the tests must know of the bytes that answer them."""

import json
from dataclasses import dataclass
from typing import Any

from tests.mock_provider.mock_wire import Answer, exchange


@dataclass(frozen=True)
class Vendor:
    """`before` and `after` are the chunks around the tokens of a clean stream."""

    name: str
    path: str
    content_type: str
    before: int = 0
    after: int = 1
    directive: str = ""  # that makes the stream this vendor's

    def body(self, prompt: str, /, **fields: Any) -> dict[str, Any]:
        turns = [{"role": "user", "content": prompt}]
        if self.name.startswith("gemini"):
            return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]} | fields
        if self.name == "openai-responses":
            return {"model": "m", "input": prompt, "stream": True} | fields
        options = {"stream_options": {"include_usage": True}} if fields.get("stream", True) else {}
        if self.name in PROFILE_NAMES:
            return {"model": "m", "messages": turns, "stream": True} | options | fields
        if self.name == "ollama-generate":
            return {"model": "m", "prompt": prompt, "stream": True} | fields
        if self.name == "openai-completions":
            return {"model": "m", "prompt": prompt, "stream": True} | options | fields
        limit = {"max_tokens": 1_000} if self.name == "anthropic" else {}
        return {"model": "m", "messages": turns, "stream": True} | limit | fields


PROFILE_NAMES = ("azure", "mistral", "deepseek", "openrouter")
SSE, NDJSON, ARRAY = "text/event-stream", "application/x-ndjson", "application/json; charset=UTF-8"
GEMINI = "/v1beta/models/m:streamGenerateContent"
VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor("anthropic", "/v1/messages", SSE, before=2, after=3),
        Vendor("gemini", f"{GEMINI}?alt=sse", SSE),
        Vendor("gemini-array", GEMINI, ARRAY),
        Vendor("ollama", "/api/chat", NDJSON),
        Vendor("ollama-generate", "/api/generate", NDJSON),
        Vendor("cohere", "/v2/chat", SSE, before=2, after=2),
    )
}
CHAT, AZURE = "/v1/chat/completions", "/openai/deployments/m/chat/completions?api-version=1"
# With OpenAI's other dialects and the profiles of its first one, whose clean bytes test_mock_openai_wire knows.
SHAPES = VENDORS | {
    vendor.name: vendor
    for vendor in (
        Vendor("openai-responses", "/v1/responses", SSE, before=3, after=2),
        Vendor("openai-completions", "/v1/completions", SSE, before=0, after=3),
        Vendor("azure", AZURE, SSE, before=2, after=3),
        Vendor("mistral", CHAT, SSE, before=1, after=1, directive="profile=mistral"),  # the finish is the last token's
        Vendor("deepseek", CHAT, SSE, before=2, after=3, directive="profile=deepseek"),
        Vendor("openrouter", CHAT, SSE, before=2, after=3, directive="profile=openrouter"),
    )
}


def request_bytes(vendor: Vendor, prompt: str, *headers: str, **fields: Any) -> bytes:
    body = json.dumps(vendor.body(prompt, **fields)).encode()
    lines = [f"POST {vendor.path} HTTP/1.1", "Host: mock", "Connection: close", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def play(url: str, vendor: Vendor, prompt: str, *headers: str, **fields: Any) -> Answer:
    return exchange(url, request_bytes(vendor, prompt, *headers, **fields))
