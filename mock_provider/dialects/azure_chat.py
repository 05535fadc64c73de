"""Azure OpenAI: Chat Completions under a deployment's path, with `api-version`, `api-key` and filter results."""

import json

from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.dialects.openai_chat import OpenAIChat
from streamgauge.mock_provider.http import Request


class AzureChat(OpenAIChat):
    """The path names the model; a request without `api-version` gets 404."""

    name = "azure-chat"
    routes = (("POST", "/openai/deployments/{deployment}/chat/completions"),)
    profile = "azure"

    def credential(self, request: Request) -> str:
        """`api-key`, or a token of Entra ID as Bearer."""
        return request.headers.get("api-key") or super().credential(request)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Like OpenAI, with Azure's two kinds of 404."""
        if not request.argument("api-version"):
            raise Refusal(404, "Resource not found", code="404")
        deployment = request.places["deployment"]
        if models and deployment not in models:
            message = "The API deployment for this resource does not exist."
            raise Refusal(404, message, code="DeploymentNotFound")
        return super().parse(request, ())

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """401 and 404 come from the gateway in front of the models, whose errors are shorter."""
        if status not in (401, 404):
            return super().error(status, message, param=param, code=code)
        value = {"error": {"code": "401" if status == 401 else code, "message": message}}
        return "application/json", json.dumps(value).encode()


DIALECT = AzureChat()
