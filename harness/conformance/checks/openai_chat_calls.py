"""openai-chat.*: the tool calls in a stream of chunks."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from streamgauge.conformance.applies import openai_chat
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.checks.openai_chat import Chunk, chunks
from streamgauge.conformance.finding import Finding, lesser, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import OPENAI_CHAT, issue, rfc
from streamgauge.protocol.dialects.payload import NotJson, decode


@per_stream(
    Requirement(
        "openai-chat.tool-call-deltas",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Each delta of a tool call has the integer index of its call, and id, type and function.name come "
        "once, in the call's first delta.",
        references=(
            OPENAI_CHAT,
            issue("ollama/ollama", 7881),
            issue("openai/openai-python", 2806),
        ),
        breaks=(
            "Code that adds the deltas up raises KeyError, merges the arguments of two calls, or calls "
            '"get_weatherget_weather".'
        ),
        fix="Number the calls of an answer from 0; send id and name with the first delta of each.",
        lesser="The id of a tool call comes only once.",
        causes={
            "no-id": "Send the id of a call with the first delta of it: there is no id now.",
            "shared-index": "Give each call an index of its own: two calls share one now.",
            "repeated-id": "Send the id with the first delta of a call only, so that it is not repeated.",
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=openai_chat,
    expected="an integer index on each tool call delta; id and name once, on the first",
)
def tool_call_deltas(seen: Observed, _case: Case) -> Finding:
    return _judge_deltas(seen)


def _judge_deltas(seen: Observed) -> Finding:
    ids: dict[int, str] = {}
    repeated: Finding | None = None
    for chunk, call in _tool_calls(seen):
        offset = chunk.event.offset
        index = call.get("index")
        if not isinstance(index, int):
            return unmet("a tool call delta has no index", seen.at(offset))
        call_id = call.get("id")
        if index not in ids:
            if not isinstance(call_id, str) or not call_id:
                return unmet(f"the first delta of tool call {index} has no id", seen.at(offset), cause="no-id")
            ids[index] = call_id
        elif call_id and call_id != ids[index]:
            return unmet(f"two tool calls share the index {index}", seen.at(offset), cause="shared-index")
        elif call_id and repeated is None:
            repeated = lesser(f"the id of tool call {index} is repeated", seen.at(offset), cause="repeated-id")
    return repeated or (met(f"{len(ids)} tool calls") if ids else not_applicable("no tool was called"))


@per_stream(
    Requirement(
        "openai-chat.tool-args-json",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "The joined arguments of each tool call are a JSON value, {} where there are none.",
        references=(
            OPENAI_CHAT,
            rfc(8259, "2", "JSON Grammar"),
        ),
        breaks="No agent framework can make the call.",
        fix="Pass the fragments of arguments on as they come.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=openai_chat,
    expected="joined arguments that are valid JSON",
)
def tool_args_json(seen: Observed, _case: Case) -> Finding | None:
    arguments: dict[int, str] = defaultdict(str)
    last = 0
    calls = _judge_deltas(seen)
    if calls.verdict is None and not calls.lesser:
        return None  # without the index of its call, no piece can be joined to the others
    for chunk, call in _tool_calls(seen):
        function = call.get("function")
        piece = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(piece, str):
            arguments[call["index"]] += piece
            last = chunk.event.offset
        elif piece is not None:
            return None  # openai-chat.chunk-shape says what came in place of a string
    for index, text in arguments.items():
        if isinstance(problem := decode(text), NotJson):
            why = f"the arguments of tool call {index} are not JSON: {printable(problem.reason)}"
            return unmet(why, seen.at(last))
    return met("arguments are JSON") if arguments else not_applicable("no tool was called")


def _tool_calls(seen: Observed) -> Iterator[tuple[Chunk, dict[str, Any]]]:
    for chunk in chunks(seen):
        for choice in chunk.choices:
            delta = choice.get("delta")
            calls = delta.get("tool_calls") if isinstance(delta, dict) else None
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, dict):
                    yield chunk, call
