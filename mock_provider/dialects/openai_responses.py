"""OpenAI Responses (docs/protocols.md#openai-responses): typed, numbered events, each named as its `type`."""

import json
from typing import Any

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.dialects.base import MESSAGE, PARTS, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.openai_request import (
    at_least,
    chosen_model,
    content_text,
    error_body,
    read_tools,
    typed,
    wrong_type,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.identity import created_s, hex_id
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

# For each kind of part: the event's name without .delta or .done, and the field that counts within the item.
_DELTAS = {
    PartKind.TEXT: ("response.output_text", "content_index"),
    PartKind.REFUSAL: ("response.refusal", "content_index"),
    PartKind.REASONING: ("response.reasoning_summary_text", "summary_index"),
    PartKind.TOOL: ("response.function_call_arguments", None),
}
# The field with the whole text in the .done event.
_WHOLE = {
    PartKind.TEXT: "text",
    PartKind.REFUSAL: "refusal",
    PartKind.REASONING: "text",
    PartKind.TOOL: "arguments",
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OpenAIResponses(Dialect):
    """`POST /v1/responses`, streamed and whole."""

    name = "openai-responses"
    routes = (("POST", "/v1/responses"),)
    features = PARTS | {"sse", "json", "object", "marker", "error", "call-text", "typed", "numbered", "vendor"}
    start = (Kind.PRELUDE, Kind.START)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as OpenAI does."""
        body = json_object(request)
        model = chosen_model(body, models)
        turns = _turns(body)
        answered = turns[-1].get("type") == "function_call_output"
        tools, calls = read_tools(body, nested=False, answered=answered)
        return ChatRequest(
            prompt=_prompt(turns),
            stream=typed(body, "stream", bool, False),
            model=model,
            max_tokens=at_least(body, "max_output_tokens", 1),
            tools=tools,
            calls=calls,
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Events with one response id and rising sequence numbers."""
        return EventEncoder(chat, plan)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """A `response` object."""
        response = Response(chat, plan)
        for finished in parts:
            response.add(finished.part, finished.text, len(finished.pieces))
        return json.dumps(response.final()).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """`{"error":{"message","type","param","code"}}`."""
        return error_body(status, message, param=param, code=code)


class Response:
    """The `response` object of one answer: at the start, at the end, and after an error."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan
        self._output: list[dict[str, Any]] = []
        self._tokens = self._reasoning = 0
        self._incomplete = _INCOMPLETE.get(plan.finish)

    def item_id(self, part: Part) -> str:
        """The id of a part's output item."""
        prefix = {PartKind.REASONING: "rs", PartKind.TOOL: "fc"}.get(part.kind, "msg")
        return f"{prefix}_{hex_id(self._plan.seed, self._plan.id, f'item {part.index}')}"

    def item(self, part: Part, text: str | None, status: str) -> dict[str, Any]:
        """The output item of a part; `text` is None while it has no content."""
        content = [] if text is None else [content_part(part, text)]
        if part.kind is PartKind.REASONING:
            return {"id": self.item_id(part), "type": "reasoning", "status": status, "summary": content}
        if part.kind is PartKind.TOOL:
            return {
                "id": self.item_id(part),
                "type": "function_call",
                "status": status,
                "arguments": text or "",
                "call_id": f"call_{part.id}",
                "name": part.name,
            }
        return {
            "id": self.item_id(part),
            "type": "message",
            "status": status,
            "content": content,
            "role": "assistant",
        }

    def add(self, part: Part, text: str, tokens: int) -> dict[str, Any]:
        """Count a finished part, and return its output item."""
        self._tokens += tokens
        if part.kind is PartKind.REASONING:
            self._reasoning += tokens
        last = self._plan.tokens == self._tokens
        item = self.item(part, text, "incomplete" if last and self._incomplete else "completed")
        self._output.append(item)
        return item

    def begun(self) -> dict[str, Any]:
        """The response before its first output."""
        return self._value("in_progress")

    def final(self) -> dict[str, Any]:
        """The response at the end."""
        prompt = self._chat.prompt_tokens
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": self._chat.cached_tokens or 0},
            "output_tokens": self._tokens,
            "output_tokens_details": {"reasoning_tokens": self._reasoning},
            "total_tokens": prompt + self._tokens,
        }
        if self._incomplete is not None:
            return self._value("incomplete", incomplete_details={"reason": self._incomplete}, usage=usage)
        return self._value("completed", usage=usage)

    def failed(self, message: str) -> dict[str, Any]:
        """The response after an error."""
        return self._value("failed", error={"code": "server_error", "message": message})

    def _value(self, status: str, **changes: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{hex_id(self._plan.seed, self._plan.id)}",
            "object": "response",
            "created_at": created_s(self._plan.seed, self._plan.id),
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": self._chat.max_tokens,
            "model": self._chat.model,
            "output": list(self._output),
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None,
            "metadata": {},
            **changes,
        }


class EventEncoder:
    """The events of one response."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._response = Response(chat, plan)
        self._sequence = 0
        self._endless = plan.tokens is None
        self._pieces: list[str] = []  # texts of the open part, which its closing events repeat
        self._tokens = 0  # number of tokens in `_pieces`
        self._delta_fields = ""
        self._finished = "response.incomplete" if plan.finish in _INCOMPLETE else "response.completed"

    def encode(self, item: Item) -> bytes:
        """One event for a token; several where a part opens or closes, or the response fails."""
        kind = item.kind
        if kind is Kind.TOKEN:
            return self._delta(item)
        if kind is Kind.PRELUDE:
            return self._event("response.created", response=self._response.begun())
        if kind is Kind.START:
            return self._event("response.in_progress", response=self._response.begun())
        if kind is Kind.OPEN:
            return self._opened(item.part)
        if kind is Kind.CLOSE:
            return self._closed(item.part)
        if kind is Kind.DONE:
            return self._event(self._finished, response=self._response.final())
        if kind is Kind.ERROR:
            message = item.text or MESSAGE
            events = self._event("error", code="server_error", message=message, param=None)
            return events + self._event("response.failed", response=self._response.failed(message))
        return f": {item.text}\n\n".encode()

    def _event(self, name: str, **fields: Any) -> bytes:
        value = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()

    def _place(self, part: Part) -> dict[str, Any]:
        """The fields that tell which part an event belongs to."""
        place: dict[str, Any] = {"item_id": self._response.item_id(part), "output_index": part.index}
        counter = _DELTAS[part.kind][1]
        return place if counter is None else {**place, counter: 0}

    def _delta(self, item: Item) -> bytes:
        if not self._delta_fields:  # text of a fault, outside any part
            self._begin(item.part)
        self._tokens += item.size
        if not self._endless:
            self._pieces.append(item.text)
        name = _DELTAS[item.part.kind][0]
        number = self._sequence
        self._sequence += 1
        fields = f'"type":"{name}.delta","sequence_number":{number},{self._delta_fields}'
        logprobs = ',"logprobs":[]' if item.part.kind is PartKind.TEXT else ""
        return f'event: {name}.delta\ndata: {{{fields},"delta":{json.dumps(item.text)}{logprobs}}}\n\n'.encode()

    def _begin(self, part: Part) -> None:
        self._pieces, self._tokens = [], 0
        self._delta_fields = json.dumps(self._place(part), separators=(",", ":"))[1:-1]

    def _opened(self, part: Part) -> bytes:
        self._begin(part)
        item = self._response.item(part, None, "in_progress")
        added = self._event("response.output_item.added", output_index=part.index, item=item)
        if part.kind is PartKind.TOOL:
            return added
        return added + self._event(f"{_part_event(part)}.added", **self._place(part), part=content_part(part, ""))

    def _closed(self, part: Part) -> bytes:
        text = "".join(self._pieces)
        place = self._place(part)
        logprobs: dict[str, Any] = {"logprobs": []} if part.kind is PartKind.TEXT else {}
        events = self._event(f"{_DELTAS[part.kind][0]}.done", **place, **{_WHOLE[part.kind]: text}, **logprobs)
        if part.kind is not PartKind.TOOL:
            events += self._event(f"{_part_event(part)}.done", **place, part=content_part(part, text))
        item = self._response.add(part, text, self._tokens)
        return events + self._event("response.output_item.done", output_index=part.index, item=item)


def content_part(part: Part, text: str) -> dict[str, Any]:
    """The content part of a message, or the summary part of a reasoning item."""
    if part.kind is PartKind.REFUSAL:
        return {"type": "refusal", "refusal": text}
    if part.kind is PartKind.REASONING:
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _part_event(part: Part) -> str:
    return "response.reasoning_summary_part" if part.kind is PartKind.REASONING else "response.content_part"


def _turns(body: dict[str, Any]) -> list[dict[str, Any]]:
    turns = body.get("input")
    if isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    if turns is None:
        message = "Missing required parameter: 'input'."
        raise Refusal(400, message, param="input", code="missing_required_parameter")
    if not isinstance(turns, list):
        raise wrong_type("input", "one of a string or array of items", turns)
    if not turns:
        message = "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array."
        raise Refusal(400, message, param="input", code="empty_array")
    for index, turn in enumerate(turns):
        if not isinstance(turn, dict) or not isinstance(turn.get("role", turn.get("type")), str):
            raise wrong_type(f"input[{index}]", "an object with a role or a type", turn)
    return turns


def _prompt(turns: list[dict[str, Any]]) -> str:
    """The text of the last user message, or of the last message if there is no user message."""
    texts = [
        (turn["role"], content_text(turn.get("content"), f"input[{index}].content", nullable=False))
        for index, turn in enumerate(turns)
        if "role" in turn  # tool calls, their results, and reasoning have no role
    ]
    text = next((text for role, text in reversed(texts) if role == "user"), texts[-1][1] if texts else "")
    if not text.strip():
        raise Refusal(400, "the last user message is blank", param="input", code="invalid_value")
    return text


DIALECT = OpenAIResponses()
