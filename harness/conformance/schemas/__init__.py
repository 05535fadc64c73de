"""Vendors' definitions of their payloads, a module a vendor, by the name of the dialect."""

from typing import Final

from streamgauge.conformance.schemas import (
    ai_sdk_ui,
    anthropic,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_completions,
    openai_responses,
)
from streamgauge.conformance.schemas.definition import Definition

DEFINITIONS: Final[dict[str, Definition]] = {
    "openai-chat": openai_chat.DEFINITION,
    "openai-completions": openai_completions.DEFINITION,
    "openai-responses": openai_responses.DEFINITION,
    "anthropic": anthropic.DEFINITION,
    "gemini": gemini.DEFINITION,
    "cohere": cohere.DEFINITION,
    "ollama": ollama.CHAT,
    "ollama-generate": ollama.GENERATE,
    "ai-sdk-ui": ai_sdk_ui.DEFINITION,
}
