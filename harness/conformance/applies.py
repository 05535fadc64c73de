"""Whether a requirement can apply to an endpoint: each function returns the reason why not, or None."""

from typing import Final

from streamgauge.conformance.cases import Case
from streamgauge.conformance.registry import Applies
from streamgauge.protocol.dialects.base import Media


def sse(case: Case) -> str | None:
    """Event streams only."""
    if case.dialect is not None and case.dialect.media is not Media.SSE:
        return f"the endpoint speaks {case.dialect.name}, which is not an event stream"
    media = next((one.transcript.media for one in case.of(("happy",))), None)
    if case.dialect is None and media not in (None, Media.SSE):
        return f"the body is {media}, which is not an event stream"
    return None


def json_payloads(case: Case) -> str | None:
    """Dialects whose every payload is JSON, in an event stream or a line each."""
    if case.dialect is not None and not case.dialect.json_payload:
        return f"the payloads of {case.dialect.name} are text, not JSON"
    return None


def json_events(case: Case) -> str | None:
    """Event streams whose every payload is JSON."""
    return sse(case) or json_payloads(case)


def speaks(*names: str) -> Applies:
    """Certain dialects only."""

    def applies(case: Case) -> str | None:
        if case.dialect_name in names:
            return None
        return f"the endpoint speaks {case.dialect_name or 'no known dialect'}, not {' or '.join(names)}"

    return applies


OPENAI_CHUNKS: Final = ("openai-chat", "openai-completions")
"""The dialects whose chunks have `choices`: what is the same in both has one check, called after the newer one."""

openai_chat = speaks("openai-chat")
openai_chunks = speaks(*OPENAI_CHUNKS)


def custom(case: Case) -> str | None:
    """The shapes that application code invents."""
    if reason := sse(case):
        return reason
    if case.dialect is not None and (case.dialect.path or case.dialect.usual_path):
        return f"the endpoint speaks {case.dialect.name}, which its vendor or framework defines"
    return None


def takes_body(case: Case) -> str | None:
    """Endpoints that read a request body."""
    return None if case.method in ("POST", "PUT", "PATCH") else f"a {case.method} endpoint reads no body"


def resumable(case: Case) -> str | None:
    """Streams that carry ids."""
    if reason := sse(case):
        return reason
    return None if any(seen.carries_ids for seen in case.of(("happy",))) else "its events have no ids to continue after"


def repeated(case: Case) -> str | None:
    """Streams that a client asks for again when they are cut."""
    if reason := sse(case):
        return reason
    if any(seen.is_repeated for seen in case.of(("happy",))):
        return None
    return f"clients do not repeat a {case.method} that has neither ids nor a reconnection time"


def with_schema(case: Case) -> str | None:
    """Only where the caller says what payloads look like."""
    return sse(case) if case.schema is not None else "no --schema FILE was given"


def two_paths(case: Case) -> str | None:
    """A path through a proxy beside the direct one."""
    return None if case.reference is not None else "one path only: check URL --via PROXY_URL compares two"
