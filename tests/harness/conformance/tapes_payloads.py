"""Examples for the checks of payloads by their vendor's definition: one member changed at a time."""

from collections.abc import Callable
from typing import Any

from tests.builders import vendor_streams as streams
from tests.builders.vendor_streams import ABSENT, Payload, edited, lines, named_events, unnamed_events
from tests.harness.conformance.tapes import Examples, Tape, headers

examples = Examples()
add = examples.add

Change = tuple[int, str, Any]
BREAKING: dict[str, list[Change]] = {
    "openai-chat": [
        (1, "/id", ABSENT),
        (1, "/created", 1.5),
        (1, "/created", "now"),
        (1, "/object", "chat.completion"),
        (1, "/choices", None),
        (1, "/choices/0/index", ABSENT),
        (1, "/choices/0/delta", ABSENT),
        (1, "/choices/0/delta/content", 5),
        (2, "/choices/0/finish_reason", 1),
        (4, "/usage/total_tokens", "7"),
        (6, "/choices/0/delta/tool_calls/0/function/arguments", {"city": "Paris"}),
        (6, "/choices/0/delta/tool_calls/0", "get_weather"),
        (6, "/choices/0/delta/tool_calls", {}),
    ],
    "openai-responses": [
        (0, "/response", ABSENT),
        (0, "/response/id", ABSENT),
        (2, "/item/content", ABSENT),
        (3, "/item_id", ABSENT),
        (4, "/delta", {"text": "Hello"}),
        (5, "/text", ABSENT),
        (7, "/item/content/0/text", None),
        (11, "/item/arguments", {}),
        (12, "/response/output", ABSENT),
        (12, "/response/output", None),
        (12, "/response/usage", ABSENT),
        (12, "/response/usage", None),
        (12, "/response/usage/output_tokens", "2"),
    ],
    "anthropic": [
        (0, "/message", ABSENT),
        (0, "/message/content", ABSENT),
        (0, "/message/content", None),
        (0, "/message/usage", ABSENT),
        (0, "/message/usage/input_tokens", ABSENT),
        (0, "/message/role", "user"),
        (1, "/content_block/text", ABSENT),
        (3, "/delta/text", 5),
        (5, "/content_block/name", ABSENT),
        (6, "/delta/partial_json", {}),
        (8, "/usage/output_tokens", "2"),
    ],
    "gemini": [
        (0, "/candidates/0/content/parts", ABSENT),
        (0, "/candidates/0/content/parts", "Hel"),
        (0, "/candidates/0/content/parts/0/text", 5),
        (0, "/candidates/0/content/role", "assistant"),
        (0, "/usageMetadata/totalTokenCount", "6"),
        (1, "/candidates/0/content/parts/0/functionCall/args", "{}"),
        (1, "/candidates/0/finishReason", 1),
    ],
    "cohere": [
        (2, "/delta/message", ABSENT),
        (2, "/delta/message/content/text", ["Hello"]),
        (4, "/delta/message/tool_calls/function/name", ABSENT),
        (5, "/delta/message/tool_calls/function/arguments", {}),
        (7, "/delta/usage/tokens/output_tokens", "2"),
    ],
    "ollama": [
        (0, "/message", ABSENT),
        (0, "/message/role", ABSENT),
        (0, "/message/content", ["Hello"]),
        (1, "/message/tool_calls/0/function/arguments", '{"city": "Paris"}'),
        (2, "/eval_count", "2"),
    ],
    "ai-sdk-ui": [
        (0, "/messageId", None),
        (2, "/id", ABSENT),
        (3, "/id", 0),
        (3, "/delta", None),
        (6, "/toolName", ABSENT),
        (7, "/inputTextDelta", {}),
        (8, "/input", ABSENT),
        (10, "/finishReason", "end_turn"),
    ],
    "openai-completions": [
        (0, "/object", "completion"),
        (0, "/choices", {}),
        (0, "/choices/0/text", ABSENT),
        (0, "/choices/0/text", None),
        (0, "/choices/0/text", 5),
        (1, "/choices/0/index", ABSENT),
        (2, "/choices/0/finish_reason", 1),
        (3, "/usage/total_tokens", "7"),
    ],
    "ollama-generate": [(0, "/response", ABSENT), (0, "/response", None), (1, "/total_duration", 1.5)],
}
DOCUMENTED: dict[str, list[Change]] = {
    "openai-responses": [(12, "/response/status", ABSENT), (3, "/part/annotations", ABSENT)],
    "anthropic": [(0, "/message/stop_reason", ABSENT), (0, "/message/id", ABSENT)],
    "cohere": [(0, "/id", ABSENT)],
    "ollama": [(0, "/created_at", ABSENT)],
}
CHECKS = {
    "openai-chat": "openai-chat.chunk-shape",
    "openai-completions": "openai-chat.chunk-shape",
    "gemini": "gemini.candidates-shape",
    "ollama-generate": "ollama.payload-shape",
    "ai-sdk-ui": "custom.ai-sdk-chunks",
}


def written(dialect: str, payloads: list[Payload]) -> bytes:
    write: Callable[[list[Payload]], bytes] = {
        "openai-chat": unnamed_events,
        "openai-completions": unnamed_events,
        "gemini": unnamed_events,
        "ai-sdk-ui": unnamed_events,
        "ollama": lines,
        "ollama-generate": lines,
    }.get(dialect, named_events)
    return write(payloads)


for name, payloads in streams.STREAMS.items():
    check = CHECKS.get(name, f"{name}.payload-shape")
    media = "application/x-ndjson" if name.startswith("ollama") else "text/event-stream"
    for verdict, changes in (
        ("pass", [(0, "/an_extra_member", {"provider": 1})]),
        ("fail", BREAKING[name]),
        ("warn", DOCUMENTED.get(name, [])),
    ):
        for change in changes:
            body = written(name, edited(payloads, *change))
            tape = Tape(body=body, dialect=name, headers=headers(content_type=media))
            add(check, verdict, tape, dialect=name)
