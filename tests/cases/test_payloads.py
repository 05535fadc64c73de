"""Payloads that break a vendor's definition, and healthy quirks: the checks that object, and the clients that fail."""

from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.clients.client_matrix import compare_clients, stream_of
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.matrix import BROKEN, ClientVerdict
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.run import observe
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from tests.builders.together import side_by_side, together
from tests.cases.programs import Anthropic, Responses, ToolCalls, UsageQuirk, Waiting
from tests.cases.server import Service

FAIL, WARN = Verdict.FAIL, Verdict.WARN
LOSES, RAISES = ClientVerdict.LOSES, ClientVerdict.RAISES
PATTERNS = {
    "/v1/chat/completions": [
        *(f"openai-chat.{name}" for name in ("chunk-shape", "finish-reason", "usage-chunk", "tool-*", "empty-*"))
    ],
    "/v1/messages": ["anthropic.*-shape", "anthropic.event-*", "anthropic.message-*"],
    "/v1/responses": ["openai-responses.*-shape", "openai-responses.item-*", "openai-responses.single-*"],
}
GATHERED = ("openai-python stream()", "openai-node stream()")

Findings = dict[str, tuple[Verdict, str]]
Failing = dict[str, ClientVerdict]

CASES: dict[str, tuple[Service, Findings, Failing]] = {
    "a healthy answer": (Service(), {}, {}),
    "two tool calls": (ToolCalls(), {}, {}),
    "tool calls without an index": (
        ToolCalls("noindex"),
        {"openai-chat.tool-call-deltas": (FAIL, "a tool call delta has no index")},
        {**dict.fromkeys(GATHERED, RAISES), "openai-dotnet": LOSES},
    ),
    "two tool calls under one index": (
        ToolCalls("sameindex"),
        {"openai-chat.tool-call-deltas": (FAIL, "two tool calls share the index 0")},
        dict.fromkeys((*GATHERED, "openai-dotnet"), LOSES),
    ),
    "arguments as an object": (
        ToolCalls("object"),
        {"openai-chat.chunk-shape": (FAIL, "/choices/0/delta/tool_calls/0/function/arguments is an object")},
        {**dict.fromkeys(GATHERED, LOSES), "openai-dotnet": RAISES, "go-openai": RAISES},
    ),
    "a healthy message": (Anthropic(ok=True), {}, {}),
    "a message without content": (
        Anthropic(),
        {"anthropic.payload-shape": (FAIL, "message_start: /message/content is missing, expected an array")},
        {"anthropic-python stream()": RAISES, "anthropic-node stream()": RAISES},
    ),
    "a healthy response": (Responses(), {}, {}),
    "a completed response without output and usage": (
        Responses("bad"),
        {"openai-responses.payload-shape": (FAIL, "response.completed: /response/output is missing")},
        {},
    ),
    "a completed response without output": (
        Responses("nooutput"),
        {"openai-responses.payload-shape": (FAIL, "response.completed: /response/output is missing")},
        {},
    ),
    "a completed response with an empty output": (
        Responses("emptyoutput"),
        {
            "openai-responses.item-lifecycle": (
                FAIL,
                "response.completed lists 0 of the 1 item that the stream finished",
            )
        },
        dict.fromkeys(GATHERED, LOSES),
    ),
    "members of the gateway's own": (
        Waiting(),
        {"openai-chat.usage-chunk": (WARN, "usage shares a chunk with choices")},
        {},
    ),
    "the usage beside a choice": (
        UsageQuirk(),
        {
            "openai-chat.usage-chunk": (WARN, "usage shares a chunk with choices"),
            "openai-chat.finish-reason": (WARN, "finish_reason is absent"),
        },
        {},
    ),
    "the finish reason beside the last token": (
        UsageQuirk("content"),
        {"openai-chat.finish-reason": (WARN, "content shares a chunk with finish_reason")},
        {},
    ),
}


def test_a_defect_of_a_payload_is_one_finding_and_names_the_clients_that_break() -> None:
    """The servers let their clients wait as models do, so they are asked side by side."""
    with together() as case:
        for (name, (_, wanted, failing)), seen in zip(CASES.items(), side_by_side(observed, CASES), strict=True):
            with case(name):
                assert_findings(seen, wanted)
                assert_clients(seen, failing)


def observed(name: str) -> Case:
    service = CASES[name][0]
    with service as url, StreamClient() as client:
        return observe(client, Target(url=url), select(PATTERNS[service.path]))


def assert_findings(seen: Case, wanted: Findings) -> None:
    results = [one for one in judge_case(seen, CHECKS.values()) if one.id.startswith(("openai", "anthropic"))]
    found = {one.id: (one.verdict, one.actual) for one in results if one.verdict in (FAIL, WARN, Verdict.ERROR)}

    assert found.keys() == wanted.keys(), found
    assert all(found[check][0] is verdict for check, (verdict, _) in wanted.items()), found
    assert all(found[check][1].startswith(actual) for check, (_, actual) in wanted.items()), found


def assert_clients(seen: Case, failing: Failing) -> None:
    stream = stream_of(seen.of(("happy",))[0].transcript)
    assert stream is not None
    rows = compare_clients([stream], seen.dialect, "POST").rows
    broken = {row.client: row.result.verdict for row in rows if row.result.verdict in BROKEN and not row.naive}
    assert broken == failing, [(row.client, row.result.reason) for row in rows if row.client in broken]
