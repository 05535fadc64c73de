"""The shapes that the mock serves and `check` is tried on: where each is, its pace, and what it deserves by nature."""

from streamgauge.conformance import groups
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.protocol import dialects

SHAPES = {
    "json-string": "/api/chat/stream?message=x",
    "token-done": "/api/chat/stream",
    "event-text": "/chat/stream",
    "raw-text": "/stream?message=x",
    "event-json": "/api/chat/events?message=x",
    "plain-text": "/plain?message=x",
    "ai-sdk-ui": "/ai-sdk/api/chat",
    **{dialect.name: dialect.path.replace("{model}", "m") for dialect in dialects.DIALECTS if dialect.path},
}
# A vendor's second dialect, which the checks of its first one judge.
SECOND = {"ollama-generate": "ollama", "openai-completions": "openai-chat"}
# The vendors whose own checks are tried here; what holds for every dialect is shown in the other shapes.
VENDORS = {dialect.name for dialect in dialects.DIALECTS if dialect.vendor} - {"openai-chat"}
VENDOR_GROUPS = groups.VENDOR_GROUPS.keys() - {"openai-chat"}


def group_of(dialect: str) -> str:
    """The group of the checks that judge a vendor's dialect."""
    return SECOND.get(dialect, dialect)


# OpenAI's dialect as other vendors have it: the mock's profile, where it is spoken, and the harness's profile for it.
PROFILES = {
    "mistral": ("/v1/chat/completions", "mistral"),
    "deepseek": ("/v1/chat/completions", None),
    "openrouter": ("/v1/chat/completions", "openrouter"),
    "azure": ("/openai/deployments/m/chat/completions?api-version=1", "azure"),
}
# A clean stream is never waited for so long, so that a busy machine is not taken for silence.
PACE = Pace(tokens=16, ttft="1ms", itl="1ms", step_timeout_s=10.0)
HURRIED = PACE._replace(step_timeout_s=0.3)  # where what holds tokens back is what is looked for
FOUND = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
UNMET = (Verdict.FAIL, Verdict.WARN)

# What a shape owes to its own definition, however well it is served. All are warnings.
IN_THE_URL = {"security.prompt-not-in-url"}
BY_GET = IN_THE_URL | {"resume.no-regeneration"}  # EventSource asks for such a stream again when it is cut
INHERENT: dict[str, set[str]] = {
    "json-string": BY_GET | {"custom.explicit-done-event"},
    "event-text": {"custom.explicit-done-event", "custom.raw-text-hazard", "errors.machine-readable"},
    "raw-text": BY_GET | {"custom.explicit-done-event", "custom.raw-text-hazard", "termination.no-eventsource-loop"},
    "event-json": BY_GET,
    "plain-text": IN_THE_URL,
}
