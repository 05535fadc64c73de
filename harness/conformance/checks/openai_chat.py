"""openai-chat.*: Chat Completions chunks, https://platform.openai.com/docs/api-reference/chat/streaming.

The chunks of the older Completions are those of chat with `text` in place of `delta`, so most checks judge both.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from streamgauge.conformance.applies import OPENAI_CHUNKS, openai_chunks
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.profile import Profile, Rule
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import OPENAI_CHAT, OPENAI_COMPLETIONS, issue, source
from streamgauge.conformance.vendors import judge_payloads
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import decode, dig
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.numbers import described, whole

PROFILES: Final = (
    Profile("openai", "OpenAI, and servers that mean to be taken for it"),
    Profile(
        "azure",
        "Azure OpenAI: content filters, and chunks of their own for them",
        (
            Rule(
                "openai-chat.constant-id",
                MAY,
                "the filter's chunks have an empty id and no time, and clients of Azure know them",
            ),
            Rule(
                "openai-chat.error-shape",
                SHOULD,
                "errors of Azure's gateway have a code and a message, and no type",
            ),
        ),
    ),
    Profile(
        "mistral",
        "Mistral: OpenAI's chunks, with text, finish reason and usage in one",
        (
            Rule(
                "openai-chat.finish-reason",
                MAY,
                "the last text shares its chunk with the reason, and there are reasons of Mistral's own",
            ),
            Rule("openai-chat.usage-chunk", MAY, "usage comes on the last chunk, with or without include_usage"),
        ),
    ),
    Profile(
        "openrouter",
        "OpenRouter: OpenAI's chunks from many providers, with an error inside of a chunk",
        (Rule("openai-chat.error-shape", MAY, "an error has a code and a message, and no type"),),
    ),
)

_CHAT: Final = OPENAI_CHUNKS[0]
_TEXT_REASONS: Final = frozenset({"stop", "length", "content_filter"})
REASONS: Final = _TEXT_REASONS | {"tool_calls", "function_call"}


class Chunk(NamedTuple):
    """An event and the JSON object in it."""

    event: Event
    value: dict[str, Any]

    @property
    def choices(self) -> list[dict[str, Any]]:
        found = self.value.get("choices")
        return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []

    @property
    def is_filter(self) -> bool:
        """Azure's prompt filter chunk, which is not a completion chunk."""
        return "prompt_filter_results" in self.value

    def __str__(self) -> str:
        return printable(self.event.data, 60)


def chunks(seen: Observed) -> Iterator[Chunk]:
    """The payloads of a stream that are objects and no pure errors."""
    for event in seen.transcript.events:
        value = decode(event.data)
        if isinstance(value, dict) and not ("error" in value and "choices" not in value):
            yield Chunk(event, value)


@per_stream(
    Requirement(
        "openai-chat.chunk-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every payload is a chat.completion.chunk (or text_completion) as the vendor defines it: id, object, created, "
        "model and choices, each choice with index and delta (or text), and every member with its type: arguments of "
        "tool calls are strings.",
        references=(OPENAI_CHAT, OPENAI_COMPLETIONS),
        breaks=(
            "Typed SDKs (Go, Rust, .NET, Java) and code that adds up choices by index fail; those for Python and Node "
            "hand on arguments that applications cannot parse (tried)."
        ),
        fix=(
            "Serialize each chunk from one type with all its fields, nulls included, arguments as a string of JSON, "
            "and send a chunk with the role first."
        ),
        lesser="The first delta of a chat names the role assistant.",
        causes={"no-role": 'Send a first chunk with the role that is missing: its delta is {"role": "assistant"}.'},
    ),
    scenarios=(*HAPPY, "tools"),
    applies=openai_chunks,
    expected=(
        'object "chat.completion.chunk" (or "text_completion") with id, created, model and choices; in a chat, role '
        "assistant in the first delta"
    ),
)
def chunk_shape(seen: Observed, case: Case) -> Finding | None:
    dialect = case.dialect_name or _CHAT
    judged = judge_payloads(seen, DEFINITIONS[dialect])
    if judged is None or judged.verdict is None or dialect != _CHAT:
        return judged
    deltas = (choice.get("delta") for chunk in chunks(seen) for choice in chunk.choices)
    first = next((delta for delta in deltas if isinstance(delta, dict)), None)
    if first is None:
        return unmet("no chunk has a choice with a delta", seen.at(0))
    return (
        judged
        if first.get("role") == "assistant"
        else lesser("the first delta has no role assistant", seen.at(0), cause="no-role")
    )


@whole_case(
    Requirement(
        "openai-chat.constant-id",
        SHOULD,
        Severity.MEDIUM,
        Basis.DIALECT,
        "All chunks of an answer have the same id and created, and another answer has another id.",
        references=(
            OPENAI_CHAT,
            source("Ollama, read", "ids of its OpenAI route are chatcmpl-0 to chatcmpl-998"),
        ),
        breaks="Interfaces and tracers tell messages apart by id.",
        fix="Make the id once for each request, with enough randomness.",
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    expected="one id and one created in a response, another id in the next response",
)
def constant_id(case: Case) -> Finding:
    found: list[Finding] = []
    first_ids: list[str] = []
    seen_chunks = [(seen, [c for c in chunks(seen) if not c.is_filter]) for seen in case.of(HAPPY)]
    for seen, of_stream in seen_chunks:
        for key in ("id", "created"):
            values = {str(chunk.value.get(key)) for chunk in of_stream}
            if len(values) > 1:
                odd = next(c for c in of_stream if c.value.get(key) != of_stream[0].value.get(key))
                found.append(unmet(f"{key} takes {len(values)} values in one response", seen.at(odd.event.offset)))
        if of_stream:
            first_ids.append(str(of_stream[0].value.get("id")))
    if len(first_ids) > 1 and len(set(first_ids)) < len(first_ids):
        told = f"two responses have the id {printable(first_ids[0], 40)}"
        found.append(unmet(told, *(seen.at(of_stream[0].event.offset) for seen, of_stream in seen_chunks if of_stream)))
    if not first_ids:
        return inconclusive("no chunk came", MOCK)
    return worst(found, met("constant within a response, different between responses"))


@per_stream(
    Requirement(
        "openai-chat.finish-reason",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Each choice has one finish_reason of the documented set, null in every chunk before it, and no text after it.",
        references=(
            OPENAI_CHAT,
            OPENAI_COMPLETIONS,
            issue("vllm-project/vllm", 35705),
            issue("ollama/ollama", 4357),
        ),
        breaks=(
            "Agents never stop, or stop at the first token where an empty string stands for null; parsers of "
            "enums raise."
        ),
        fix="Send null until the end, then one chunk with the reason, after the last text.",
        lesser="finish_reason is null before the end, not absent, and in a chat its chunk has no content.",
        causes={
            "missing": "Send the missing final chunk: one for each choice, whose finish_reason says why it ends.",
            "empty-string": 'Send null and not "", an empty string, as finish_reason until the end.',
            "absent-key": "Write the absent key: finish_reason null in each chunk (in Python without exclude_none).",
            "unknown-value": "Map the unknown value to one of the API: stop, length, tool_calls or content_filter.",
            "not-last": "Send the finish_reason last: all content of its choice comes before it, and it comes once.",
            "with-content": "Send the content in a chunk before that of the finish_reason.",
        },
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    wants=success,
    expected="one known finish_reason for each choice, null before it, no content after it",
)
def finish_reason(seen: Observed, case: Case) -> Finding | None:
    in_chat = case.dialect_name in (None, _CHAT)
    finished: set[int] = set()
    opened: dict[int, None] = {}  # in the order of their first chunk
    lenient: Finding | None = None
    for chunk in chunks(seen):
        for choice in chunk.choices:
            offset = chunk.event.offset
            index = choice.get("index", 0)
            index = index if isinstance(index, int) else 0
            opened[index] = None
            reason = choice.get("finish_reason")
            content = dig(choice, "delta", "content") if in_chat else choice.get("text")
            if index in finished and (content or reason):
                what = "content" if content else "a second finish_reason"
                return unmet(f"{what} follows the finish_reason", seen.at(offset), cause="not-last")
            if "finish_reason" not in choice and "content_filter_offsets" not in choice:
                absent = "finish_reason is absent where it should be null"
                lenient = lenient or lesser(absent, seen.at(offset), cause="absent-key")
            if reason == "":
                return unmet('finish_reason is "" where it should be null', seen.at(offset), cause="empty-string")
            if reason is None:
                continue
            if not isinstance(reason, str) or reason not in (REASONS if in_chat else _TEXT_REASONS):
                named = repr(printable(reason, 40)) if isinstance(reason, str) else described(reason)
                return unmet(f"finish_reason is {named}", seen.at(offset), cause="unknown-value")
            finished.add(index)
            if content and in_chat:  # the object of Completions has both by its nature, also where it is not streamed
                shared = "content shares a chunk with finish_reason"
                lenient = lenient or lesser(shared, seen.at(offset), cause="with-content")
    if not opened:
        return None
    missing = [index for index in opened if index not in finished]
    if missing:
        return unmet(
            f"choice {missing[0]} ends without a finish_reason", seen.at(len(seen.transcript.body)), cause="missing"
        )
    return lenient or met("each choice ends with one finish_reason")


@per_stream(
    Requirement(
        "openai-chat.usage-chunk",
        MUST,
        Severity.MEDIUM,
        Basis.DIALECT,
        "With stream_options.include_usage one more chunk, without choices and with the usage, comes before "
        "[DONE], and no other chunk has usage.",
        references=(
            (
                "OpenAI API reference, stream_options: "
                "https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options"
            ),
            issue("vllm-project/vllm", 54947),
        ),
        breaks="Cost reports show nothing; LangChain's usage_metadata is None.",
        fix="Ask the upstream for usage, and pass its last chunk on.",
        lesser="Only one chunk has usage, and it has no choices.",
        causes={
            "no-counts": "Fill usage with the counts that the upstream reports: they are missing or wrong now.",
            "after-done": "Send the usage chunk before [DONE], after which clients read no more.",
            "with-choices": "Send usage in a chunk of its own, whose choices are an empty list.",
            "several-chunks": "Send usage on one chunk only, the last of the several that have it now.",
        },
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    wants=success,
    expected="with include_usage, one chunk with choices [] and usage before [DONE]",
)
def usage_chunk(seen: Observed, _case: Case) -> Finding | None:
    asked = b'"include_usage"' in (seen.request_body or b"")
    found = [chunk for chunk in chunks(seen) if isinstance(chunk.value.get("usage"), dict)]
    if not asked:
        return (
            info("usage comes without include_usage", seen.at(found[0].event.offset))
            if found
            else not_applicable("the request does not ask for usage")
        )
    if not found:
        transcript = seen.transcript
        if transcript.first(Kind.FINISH) is None and not (transcript.first(Kind.DONE) and transcript.tokens):
            return None  # the answer broke off, or there is none: that is for termination.explicit-end
        return unmet("the request had include_usage, but no usage came", seen.at(len(seen.transcript.body)))
    last = found[-1]
    evidence = seen.at(last.event.offset)
    usage = last.value["usage"]
    for name in ("completion_tokens", "prompt_tokens"):
        if (count := usage.get(name)) and whole(count) is None:
            return unmet(
                f"{name} is {described(count)}, which cannot be a count of tokens", evidence, cause="no-counts"
            )
    wrote = bool(seen.transcript.tokens) or bool(usage.get("completion_tokens"))
    # An answer without a token (a filter, a limit) truly has 0; the prompt never has.
    if not usage.get("prompt_tokens") or (wrote and not usage.get("completion_tokens")):
        return unmet("usage counts no tokens", evidence, cause="no-counts")
    done = seen.transcript.first(Kind.DONE)
    if done is not None and seen.transcript.events[done.event].offset < last.event.offset:
        return unmet("usage follows [DONE]", evidence, cause="after-done")
    if last.value.get("choices"):
        return lesser("usage shares a chunk with choices", evidence, cause="with-choices")
    if len(found) > 1:
        return lesser(f"usage stands on {len(found):,} chunks", evidence, cause="several-chunks")
    return met("one usage chunk")


@per_stream(
    Requirement(
        "openai-chat.empty-choices-only-usage",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "Only the chunk with the usage has an empty choices list.",
        references=(
            issue("streamlit/streamlit", 8084),
            OPENAI_CHAT,
        ),
        breaks="Every application that reads choices[0] fails with IndexError.",
        fix="Keep the connection alive with comments, not with empty chunks.",
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    expected="choices is empty on the usage chunk only",
)
def empty_choices_only_usage(seen: Observed, _case: Case) -> Finding | None:
    count = filters = 0
    for chunk in chunks(seen):
        count += 1
        filters += chunk.is_filter and chunk.value.get("choices") == []
        if chunk.value.get("choices") == [] and not chunk.is_filter and not isinstance(chunk.value.get("usage"), dict):
            return unmet("choices is empty on a chunk without usage", seen.at(chunk.event.offset))
    if filters:
        return met("empty choices only on the usage chunk and on Azure's chunk of prompt_filter_results")
    return met("no other chunk has empty choices") if count else None
