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

    def body(self, prompt: str, /, **fields: Any) -> dict[str, Any]:
        turns = [{"role": "user", "content": prompt}]
        if self.name.startswith("gemini"):
            return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]} | fields
        if self.name == "ollama-generate":
            return {"model": "m", "prompt": prompt, "stream": True} | fields
        limit = {"max_tokens": 1_000} if self.name == "anthropic" else {}
        return {"model": "m", "messages": turns, "stream": True} | limit | fields


SSE, NDJSON, ARRAY = "text/event-stream", "application/x-ndjson", "application/json; charset=UTF-8"
GEMINI = "/v1beta/models/m:streamGenerateContent"
VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor("anthropic", "/v1/messages", SSE, before=2, after=3),
        Vendor("gemini", f"{GEMINI}?alt=sse", SSE),
        Vendor("gemini-array", GEMINI, ARRAY),
        Vendor("ollama-chat", "/api/chat", NDJSON),
        Vendor("ollama-generate", "/api/generate", NDJSON),
        Vendor("cohere", "/v2/chat", SSE, before=2, after=2),
    )
}


def request_bytes(vendor: Vendor, prompt: str, *headers: str, **fields: Any) -> bytes:
    body = json.dumps(vendor.body(prompt, **fields)).encode()
    lines = [f"POST {vendor.path} HTTP/1.1", "Host: mock", "Connection: close", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def play(url: str, vendor: Vendor, prompt: str, *headers: str, **fields: Any) -> Answer:
    return exchange(url, request_bytes(vendor, prompt, *headers, **fields), silence_s=0.3)
