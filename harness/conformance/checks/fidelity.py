"""fidelity.*: whether what the model is asked, and what it answers, pass unchanged. Judged by the mock's ledger.

The group is judged only with the mock as upstream. Only what the ledger shows is a finding: an endpoint may add
instructions of its own, and count by itself what its upstream did not count for it.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from streamgauge.conformance.applies import OPENAI_CHUNKS
from streamgauge.conformance.cases import Case, Observed, first_difference, printable
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet
from streamgauge.conformance.payloads import objects
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.fidelity import LIMIT, SYSTEM, TURNS, with_history, without_streaming
from streamgauge.conformance.sources import OPENAI_CHAT, guides, rfc, source
from streamgauge.conformance.wants import answer, success
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.endpoint.received import Received
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.numbers import described, whole
from streamgauge.units import SECOND, plural, show_ms
from streamgauge.wire import End

STOPS_WITHIN_NS: Final = 2 * SECOND
# Finish reasons of all vendors by what they mean, in lower case.
MEANINGS: Final = {
    **dict.fromkeys(("stop", "end_turn", "complete", "completed", "stop_sequence", "eos"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "incomplete", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "tool_call", "function_call"), "tools"),
    **dict.fromkeys(("content_filter", "safety", "refusal", "prohibited_content"), "filter"),
}
# Response headers in which gateways give the price of an answer.
COST_HEADERS: Final = ("x-litellm-response-cost", "x-request-cost", "x-cost", "x-total-cost", "x-response-cost")
CACHE_HEADERS: Final = (
    "age",
    "x-cache",
    "cf-cache-status",
    "x-litellm-cache-key",
    "x-portkey-cache-status",
    "x-cache-status",
)


def between(case: Case) -> str | None:
    """Something lies between the client and the mock."""
    return "the endpoint is the mock itself: nothing lies between" if case.endpoint_is_mock else None


def _received(seen: Observed) -> Received | None:
    return None if seen.upstream is None else seen.upstream.received


def _untold(seen: Observed) -> Finding:
    return inconclusive(
        f"{seen.label}: the ledger does not tell what the upstream was asked", "the mock of this release"
    )


@per_stream(
    Requirement(
        "fidelity.usage",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "The usage that the client gets is the usage that the upstream reported.",
        references=(OPENAI_CHAT, guides("an answer without a bound is a cost without one")),
        breaks="Bills, quotas and budgets are wrong.",
        fix="Pass the upstream's usage on; ask for it with stream_options.include_usage, and do not count chunks.",
    ),
    scenarios=("happy", "whole"),
    applies=between,
    wants=answer,
    expected="the tokens that the mock's ledger counts",
)
def usage(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    upstream = seen.upstream
    assert upstream is not None
    counted = {kind: count for kind, count in _counts(seen) if count is not None}
    if not counted:
        return not_applicable("the answer reports no usage")
    # The stream reported usage, so the mock has written all of its tokens; the ledger may close a moment later.
    if upstream.requests > 1 or upstream.end not in ("complete", None):
        return inconclusive("the upstream's stream did not run once to its end", "a stream that ends by itself")
    truth = {"input": upstream.prompt_tokens, "output": upstream.tokens}
    wrong = [kind for kind, count in counted.items() if truth[kind] is not None and whole(count) != truth[kind]]
    said = ", ".join(f"{kind} {described(count)}" for kind, count in counted.items())
    real = ", ".join(f"{kind} {truth[kind]}" for kind in counted)
    if not _reports_usage(upstream, streamed=seen.streams):
        return info(f"the endpoint counts by itself: {said}. Its upstream, which was not asked for usage, has {real}")
    if not wrong:
        return met(f"the usage is the upstream's: {said}")
    at = seen.transcript.first(Kind.USAGE)
    where = seen.note(said) if at is None else seen.at(seen.transcript.events[at.event].offset)
    whose = "the usage" if seen.streams else "the usage of the answer without streaming"
    return unmet(f"{whose} says {said}; the upstream reported {real}", where)


def _counts(seen: Observed) -> Iterator[tuple[str, Any]]:
    """The tokens that the answer reports; later counts of a stream replace earlier ones."""
    merged: dict[str, Any] = {} if seen.streams else dict(_usage_of_whole(seen.transcript.body))
    for found in seen.transcript.deltas:
        if found.delta.kind is Kind.USAGE and isinstance(found.delta.value, dict):
            merged |= {name: count for name, count in found.delta.value.items() if count is not None}
    for kind, names in (
        ("input", ("prompt_tokens", "input_tokens")),
        ("output", ("completion_tokens", "output_tokens")),
    ):
        yield kind, next((merged[name] for name in names if name in merged), None)


def _usage_of_whole(body: bytes) -> dict[str, Any]:
    """The usage in an answer that is not streamed, where its vendor calls the counts as OpenAI or Anthropic do."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    found = value.get("usage") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _reports_usage(upstream: Upstream, *, streamed: bool) -> bool:
    """Whether the mock told usage: in OpenAI's chunks only on request, else in vendors' shapes always."""
    if upstream.dialect in OPENAI_CHUNKS:
        return not streamed or (upstream.received is not None and upstream.received.include_usage)
    return upstream.dialect in {"anthropic", "gemini", "ollama", "ollama-generate", "cohere", "openai-responses"}


def _has_stream_field(case: Case) -> str | None:
    if reason := between(case):
        return reason
    happy = case.of(("happy",))
    if happy and without_streaming(happy[0].request_body) is None:
        return "the request has no field that turns streaming off"
    return None


@whole_case(
    Requirement(
        "fidelity.whole-equals-streamed",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "With streaming turned off, the answer has the text that the stream has.",
        references=(OPENAI_CHAT, guides("append semantics")),
        breaks="One of two clients of the same endpoint shows a wrong answer.",
        fix="Use one path for both: collect the pieces of the stream for the whole answer.",
    ),
    scenarios=("whole",),
    applies=_has_stream_field,
    expected="the same text, for the same seed of the upstream",
)
def whole_equals_streamed(case: Case) -> Finding:
    pair = {seen.variant: seen for seen in case.of(("whole",))}
    streamed, whole = pair.get("streamed"), pair.get("whole")
    if streamed is None or whole is None:
        return inconclusive("one of the two answers is missing", MOCK)
    if doubt := joined(streamed) or joined(whole):
        return doubt
    if not streamed.transcript.text:
        return inconclusive(f"no text came: {streamed.how_it_went()}", "a stream with text")
    if whole.status != 200:
        return not_applicable(f"the endpoint refuses the request without streaming: {whole.how_it_went()}")
    if whole.streams:
        return not_applicable("the endpoint streams although the request turns streaming off")
    text = whole_text(whole.transcript.body)
    if text is None:
        return inconclusive("the whole answer is in a form that is not known", "an answer in a vendor's form")
    if difference := first_difference(text, streamed.transcript.text):
        return unmet(f"the whole answer differs from the streamed one {difference}", whole.note(text))
    return met(f"both have the same {len(text):,} characters")


def whole_text(body: bytes) -> str | None:
    """The text of an answer that is not streamed, in any vendor's form; None for another form."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    for name in ("choices", "candidates", "output"):
        if isinstance(value.get(name), list) and value[name]:
            items = value[name] if name == "output" else value[name][:1]
            return "".join(_text(item) for item in items)
    found = next((value[name] for name in ("message", "content", "response", "answer", "text") if name in value), None)
    return None if found is None else _text(found)


def _text(value: Any) -> str:
    """The text inside a message: strings, parts with a text, and messages in messages."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(item) for item in value)
    if isinstance(value, dict):
        inner = next((value[name] for name in ("message", "content", "parts", "text") if value.get(name)), "")
        return _text(inner)
    return ""


def _takes_limit(case: Case) -> str | None:
    return between(case) or (None if case.takes_limit else "the request has no field for the answer's length")


@per_stream(
    Requirement(
        "fidelity.limit-passed-on",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "A limit on the answer's length reaches the upstream, so that it generates no more tokens than were asked for.",
        references=(OPENAI_CHAT, guides("an answer without a bound is a cost without one")),
        breaks="The provider bills tokens that the caller ruled out.",
        fix="Copy max_tokens, under the name that the upstream knows, into the upstream's request.",
    ),
    scenarios=("limit",),
    applies=_takes_limit,
    wants=answer,
    expected=f"at most {LIMIT} tokens generated",
)
def limit_passed_on(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    if not seen.streams:
        return inconclusive(f"no stream came: {seen.how_it_went()}", "an endpoint that accepts a limit")
    upstream, received = seen.upstream, _received(seen)
    assert upstream is not None
    if upstream.tokens <= LIMIT:
        return met(f"of at most {LIMIT} tokens the upstream generated {upstream.tokens}")
    reached = "no limit" if received is None or received.max_tokens is None else f"a limit of {received.max_tokens}"
    summary = f"asked for at most {LIMIT} tokens, the upstream got {reached} and generated {upstream.tokens}"
    return unmet(f"{summary}; {len(seen.transcript.tokens)} events of text came", seen.note(summary))


@per_stream(
    Requirement(
        "fidelity.upstream-stopped",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "When the endpoint ends a stream itself (a ceiling, a limit, a filter), it also ends the upstream's stream.",
        references=(
            guides("cancellation reaches the model"),
            guides("a ceiling for every stream: 30, 60 or 120 s"),
        ),
        breaks="The model goes on generating, and billing, for nobody.",
        fix="Leave the loop through a scope that disposes the upstream's response, and cancel its request.",
    ),
    scenarios=("limit", "trickle"),
    applies=between,
    wants=answer,
    expected="the upstream's stream cancelled within 2 s of the endpoint's own end",
)
def upstream_stopped(seen: Observed, _case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    upstream, capture = seen.upstream, seen.transcript.capture
    assert upstream is not None
    if not seen.streams or capture.end not in (End.COMPLETE, End.CLOSED) or capture.end_ns is None:
        return None
    if upstream.finished_before(capture.end_ns) or (upstream.end == "complete" and upstream.tokens <= LIMIT):
        return not_applicable(f"{seen.label}: the upstream's answer ended by itself, after {upstream.tokens} tokens")
    if upstream.disconnect_ns is None:
        summary = f"{seen.label}: the endpoint ended its stream, and the upstream went on to token {upstream.tokens}"
        return unmet(summary, seen.note(summary))
    delay = max(upstream.disconnect_ns - capture.end_ns, 0)
    if delay > STOPS_WITHIN_NS:
        summary = f"{seen.label}: the upstream was cancelled {show_ms(delay)} after the endpoint's own end"
        return unmet(summary, seen.note(summary))
    return met(f"{seen.label}: the upstream was cancelled {show_ms(delay)} after the endpoint's own end")


@per_stream(
    Requirement(
        "fidelity.finish-reason",
        SHOULD,
        Severity.MEDIUM,
        Basis.DIALECT,
        "The finish reason that the client gets means what the upstream's means: the end of an answer, or tool calls.",
        references=(OPENAI_CHAT,),
        breaks="Agents do not run the tools that the model called, or take a whole answer for a cut one.",
        fix="Pass the upstream's finish reason on, translated into the words of the dialect.",
    ),
    scenarios=("happy", "tools"),
    applies=between,
    wants=success,
    expected="stop for a whole answer; tool_calls for tool calls",
)
def finish_reason(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    found = seen.transcript.first(Kind.FINISH)
    if found is None:
        return not_applicable("the stream gives no finish reason")
    calls = any(delta.delta.kind is Kind.TOOL for delta in seen.transcript.deltas)
    if seen.scenario == "tools" and not calls:
        return None  # the endpoint runs tools itself, or has none
    reason = printable(str(found.delta.value), 40)
    meaning = MEANINGS.get(reason.lower())
    wanted = "tools" if seen.scenario == "tools" else "stop"
    # Gemini, Ollama and the Responses API end tool calls as they end a text.
    if meaning == wanted or (meaning == "stop" and case.dialect_name not in ("openai-chat", "anthropic")):
        return met(f"{seen.label}: {reason}")
    if meaning is None:
        return inconclusive(f"{seen.label}: the reason {reason!r} is not known", "a finish reason of a known vendor")
    if wanted == "stop" and meaning in ("length", "filter") and (part := _ended_by_endpoint(seen)):
        return part
    upstream = "with tool calls" if wanted == "tools" else "by itself"
    at = seen.at(seen.transcript.events[found.event].offset)
    return unmet(f"{seen.label}: the upstream's answer ended {upstream}, the client is told {reason!r}", at)


def _ended_by_endpoint(seen: Observed) -> Finding | None:
    """A ceiling or a filter of the endpoint itself, which may say that the answer is not whole; None without a sign."""
    upstream, told = seen.upstream, seen.transcript.tokens
    assert upstream is not None
    came = max(len(told), len("".join(text for _, text in told).split()))
    if upstream.disconnect_ns is not None:
        return met(f"{seen.label}: the endpoint itself ended the answer after {plural(came, 'token')}, and says so")
    if came < upstream.tokens:
        of = f"{came} of the upstream's {plural(upstream.tokens, 'token')}"
        return inconclusive(
            f"{seen.label}: {of} came: a ceiling or a filter of the endpoint's own may have ended the answer",
            "an endpoint whose ceilings and filters the mock's text does not reach",
        )
    return None


def _takes_turns(case: Case) -> str | None:
    if reason := between(case):
        return reason
    happy = case.of(("happy",))
    if happy and with_history(happy[0].request_body or b"", "", case.dialect_name) is None:
        return "the request has no list of messages"
    return None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _mark(seen: Observed) -> str:
    """The mark of the history: the id in the prompt's directive."""
    return seen.prompt.rpartition("[[mock id=")[2].partition(" ")[0]


@per_stream(
    Requirement(
        "fidelity.history",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "The earlier turns of a conversation reach the model: all of them, in their order and with their words.",
        references=(OPENAI_CHAT,),
        breaks="The assistant forgets what was said, and answers a question that nobody asked.",
        fix="Map every message of the request to one of the upstream's, not only the last.",
        lesser="The text of each turn arrives unchanged.",
    ),
    scenarios=("turns",),
    applies=_takes_turns,
    wants=answer,
    expected="both earlier turns, before the newest",
)
def history(seen: Observed, case: Case) -> Finding:
    if doubt := _unheard(seen):
        return doubt
    received = _received(seen)
    assert received is not None
    mark = _mark(seen)
    wanted = [text.format(mark=mark) for _, text in TURNS]
    places = [_place(received, text) for text in wanted]
    newest = next((at for at, one in enumerate(received.messages) if f"id={mark}" in one.text), received.message_count)
    count = f"{received.message_count} messages reached the upstream"
    missing = [role for (role, _), place in zip(TURNS, places, strict=True) if place is None]
    if missing:
        lost = f"the earlier turn of the {' and of the '.join(missing)} did not reach the upstream ({count})"
        vendor = case.dialect is not None and case.dialect.vendor is not None
        return unmet(lost, seen.note(lost)) if vendor else inconclusive(lost, "an endpoint of a vendor's dialect")
    order = [place for place in places if place is not None]
    if order != sorted(order) or order[-1] > newest:
        changed = "the turns reached the upstream in another order"
        return unmet(changed, seen.note(changed))
    exact = {message.sha256 for message in received.messages}
    if any(_digest(text) not in exact for text in wanted):
        return lesser("an earlier turn reached the upstream with other words around it", seen.note(count))
    return met(f"both earlier turns reached the upstream ({count})")


def _unheard(seen: Observed) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    if (seen.status or 0) >= 400:
        return not_applicable(f"the endpoint refuses a conversation: {seen.how_it_went()}")
    return None if _received(seen) is not None else _untold(seen)


def _place(received: Received, text: str) -> int | None:
    """The index of the message that has the words of `text` before its colon; None without one."""
    start = text.partition(":")[0]
    return next((at for at, message in enumerate(received.messages) if start in message.text), None)


@per_stream(
    Requirement(
        "fidelity.system-prompt",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The instructions of a request (its system prompt) reach the model.",
        references=(OPENAI_CHAT,),
        breaks="The model ignores rules that the caller relies on.",
        fix="Pass messages with the role system on; put instructions of the service before them, not in their place.",
    ),
    scenarios=("turns",),
    applies=_takes_turns,
    wants=answer,
    expected="the instructions, with the role system or developer",
)
def system_prompt(seen: Observed, case: Case) -> Finding:
    if doubt := _unheard(seen):
        return doubt
    received = _received(seen)
    assert received is not None
    if case.dialect is None or case.dialect.vendor is None:
        # Guides advise applications to take no instructions from their clients.
        return not_applicable("an application's own shape may leave its client's instructions out")
    place = _place(received, SYSTEM.format(mark=_mark(seen)))
    if place is None:
        roles = ", ".join(message.role for message in received.messages)
        lost = f"the instructions did not reach the upstream, which got {roles or 'no message'}"
        return unmet(lost, seen.note(lost))
    role = received.messages[place].role
    if role not in ("system", "developer"):
        return info(f"the instructions reached the upstream with the role {printable(role, 20)}")
    return met("the instructions reached the upstream")


@per_stream(
    Requirement(
        "fidelity.model-named",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The model that the stream names is the one that was asked for, or the one that answered.",
        references=(OPENAI_CHAT,),
        breaks="Costs, logs and comparisons are put down to a model that did not answer.",
        fix="Pass the upstream's model on, or name the alias that the client used.",
    ),
    scenarios=("happy",),
    applies=between,
    wants=success,
    expected="the requested model, or the upstream's",
)
def model_named(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    named, received = _model_in(seen), _received(seen)
    if named is None:
        return not_applicable("the stream names no model")
    if received is None or received.model is None:
        return _untold(seen)
    asked = _requested_model(seen)
    requested = f"asked for {printable(asked or 'no model', 60)!r}"
    shown, upstream = printable(named, 60), printable(received.model, 60)
    if named not in (asked, received.model):
        wrong = f"{requested}, the upstream got {upstream!r}, the stream names {shown!r}"
        return unmet(wrong, seen.note(wrong))
    if asked is not None and asked != received.model:
        return info(f"{requested}, the upstream got {upstream!r}; the stream names {shown!r}")
    return met(f"the stream names {shown!r}")


def _model_in(seen: Observed) -> str | None:
    for payload in objects(seen.transcript):
        for place in (payload.value, payload.value.get("message"), payload.value.get("response")):
            name = place.get("model") or place.get("modelVersion") if isinstance(place, dict) else None
            if isinstance(name, str):
                return name
    return None


def _requested_model(seen: Observed) -> str | None:
    try:
        fields = json.loads(seen.request_body or b"null")
    except ValueError:
        return None
    name = fields.get("model") if isinstance(fields, dict) else None
    return name if isinstance(name, str) else None


@whole_case(
    Requirement(
        "fidelity.no-cache",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "The same request, asked twice, is answered twice by the upstream.",
        references=(rfc(9111, "3", "Storing Responses in Caches"), guides("no output caching or buffering")),
        breaks="Users get an answer that was made for somebody else, or for an earlier moment.",
        fix="Send Cache-Control: no-store, and leave streams out of output caching and of caches of the gateway.",
        lesser="An answer from a cache says that it is one, in a header.",
    ),
    scenarios=("repeat",),
    applies=between,
    expected="two requests to the upstream",
)
def no_cache(case: Case) -> Finding:
    seen = case.of(("repeat",))
    if len(seen) < 2:
        return inconclusive("the second answer is missing", MOCK)
    first, second = seen[:2]
    if doubt := joined(first) or joined(second):
        return doubt
    assert second.upstream is not None
    if not first.streams or not second.streams:
        went = first.how_it_went() if not first.streams else second.how_it_went()
        return inconclusive(f"one of the two requests got no stream: {went}", "an endpoint that answers both")
    if second.upstream.requests >= 2:
        return met(f"{second.upstream.requests} requests reached the upstream")
    announced = [name for name in CACHE_HEADERS if second.head is not None and second.head.get(name) is not None]
    summary = "of two equal requests one reached the upstream; the second answer came from a cache"
    if announced:
        return lesser(f"{summary}, as its header {announced[0]} says", second.header(announced[0]))
    return unmet(summary, second.note(summary))


@per_stream(
    Requirement(
        "fidelity.cost-given",
        MAY,
        Severity.LOW,
        Basis.OPS,
        "A price that the endpoint gives for an answer is a number.",
        references=(source("LiteLLM", "x-litellm-response-cost, https://docs.litellm.ai/docs/proxy/response_headers"),),
        breaks="Budgets add up nothing.",
        fix="Give the price as a decimal number, or leave it out.",
    ),
    scenarios=("happy",),
    applies=between,
    wants=success,
    expected="a number, where there is a price",
)
def cost_given(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    found = [(name, value) for name in COST_HEADERS if head is not None and (value := head.get(name)) is not None]
    if not found:
        return not_applicable("no header gives a price")
    name, value = found[0]
    try:
        float(value)
    except ValueError:
        return unmet(f"{name} is {printable(value, 40)!r}", seen.header(name))
    return met(f"{name} gives the price {printable(value, 40)}", seen.header(name))
