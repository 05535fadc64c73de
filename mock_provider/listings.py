"""Short answers to GET: health, a version, and the vendors' lists of models."""

from collections.abc import Callable
from typing import Any, NamedTuple

from streamgauge.mock_provider.dialects import gemini, ollama, openai_chat
from streamgauge.mock_provider.dialects.base import Dialect

OLLAMA_VERSION = "0.12.0"  # of `GET /api/version`; such a version streams tool calls and thinking


class Listing(NamedTuple):
    """`body` makes the answer from the model names; `dialect` checks the key and shapes the refusal (None: public)."""

    body: Callable[[tuple[str, ...]], Any]
    dialect: Dialect | None = None


def _openai_models(models: tuple[str, ...]) -> Any:
    data = [{"id": model, "object": "model", "created": 0, "owned_by": "mock_provider"} for model in models]
    return {"object": "list", "data": data}


def _gemini_models(models: tuple[str, ...]) -> Any:
    methods = ["generateContent", "streamGenerateContent"]
    return {"models": [{"name": f"models/{model}", "supportedGenerationMethods": methods} for model in models]}


def _ollama_models(models: tuple[str, ...]) -> Any:
    made = "1970-01-01T00:00:00Z"
    return {"models": [{"name": model, "model": model, "modified_at": made, "size": 0} for model in models]}


LISTINGS = {
    "/health": Listing(lambda _: {"status": "ok"}),
    "/v1/models": Listing(_openai_models, openai_chat.DIALECT),
    "/v1beta/models": Listing(_gemini_models, gemini.DIALECT),
    "/api/tags": Listing(_ollama_models, ollama.CHAT),
    "/api/version": Listing(lambda _: {"version": OLLAMA_VERSION}),
}
