"""When a requirement can apply at all: each gives the reason why it cannot, or None."""

from harness.conformance.cases import Case
from harness.conformance.registry import Applies
from harness.dialects.base import Media


def sse(case: Case) -> str | None:
    """Event streams only."""
    if case.dialect is not None and case.dialect.media is not Media.SSE:
        return f"the endpoint speaks {case.dialect.name}, which is no event stream"
    return None


def json_payloads(case: Case) -> str | None:
    """Dialects whose every payload is JSON."""
    if reason := sse(case):
        return reason
    if case.dialect is not None and not case.dialect.json_payload:
        return f"the payloads of {case.dialect.name} are text, not JSON"
    return None


def speaks(*names: str) -> Applies:
    """Certain dialects only."""

    def applies(case: Case) -> str | None:
        if case.dialect_name in names:
            return None
        return f"the endpoint speaks {case.dialect_name or 'no known dialect'}, not {' or '.join(names)}"

    return applies


openai_chat = speaks("openai-chat")


def custom(case: Case) -> str | None:
    """The shapes that application code invents."""
    if reason := sse(case):
        return reason
    if case.dialect_name == "openai-chat":
        return "the endpoint speaks a vendor's dialect"
    return None


def takes_body(case: Case) -> str | None:
    """Endpoints that read a request body."""
    return None if case.method in ("POST", "PUT", "PATCH") else f"a {case.method} endpoint reads no body"
