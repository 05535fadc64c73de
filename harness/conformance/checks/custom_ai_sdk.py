"""custom.*: the UI message stream of the Vercel AI SDK, whose client validates every chunk."""

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, Case, Observed
from streamgauge.conformance.finding import Finding
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import source
from streamgauge.conformance.vendors import judge_payloads


@per_stream(
    Requirement(
        "custom.ai-sdk-chunks",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every chunk of a UI message stream is what the AI SDK's schema has for its type: ids and deltas are strings, "
        "and a member without a value is left out, not null.",
        references=(
            "AI SDK, stream protocol: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol",
            source("npm ai 7.0.173, run", "a chunk that does not fit ends the stream with AI_TypeValidationError"),
        ),
        breaks="useChat() raises at the chunk, and shows nothing of what follows (tried).",
        fix="Write text-start, text-delta and text-end with one id, and leave out members that have no value.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=speaks("ai-sdk-ui"),
    expected='{"type": "text-delta", "id": "0", "delta": "..."}',
)
def ai_sdk_chunks(seen: Observed, _case: Case) -> Finding | None:
    return judge_payloads(seen, DEFINITIONS["ai-sdk-ui"])
