"""What a stream says: the parts of its answer, and the text of each token. Deterministic from the plan alone."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from streamgauge.mock_provider.identity import hex_id
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind
from streamgauge.mock_provider.text import token_texts

MOST_CALLS = 100
STOP_WITHIN = 10_000  # tokens of an endless stream in which a stop text is looked for


class Tool(NamedTuple):
    """A tool that may be called; its arguments are `{argument: text}`."""

    name: str
    argument: str


# Called where a request brings no tools of its own.
TOOLS = (Tool("get_weather", "city"), Tool("search_documents", "query"), Tool("send_message", "text"))


class AnswerPlan(NamedTuple):
    """What kinds of tokens an answer has; text, if nothing else is asked."""

    reasoning: int = 0  # tokens before the answer
    arguments: int = 0  # tokens of all tool calls together
    calls: int = 0
    tools: tuple[Tool, ...] = ()
    refuses: bool = False
    last: str | None = None  # what a stop text leaves of the last token


class FinishedPart(NamedTuple):
    """A part that has been said: `pieces` are the texts of its tokens."""

    part: Part
    pieces: list[str]

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(self.pieces)


class _Plan(Protocol):
    """What of a `plan.Plan` is used here."""

    @property
    def id(self) -> str:
        """The stream's id."""

    @property
    def seed(self) -> int:
        """Of texts and ids."""

    @property
    def text(self) -> str:
        """The kind of token text."""

    @property
    def tokens(self) -> int | None:
        """Tokens of all parts; None for an endless stream."""

    @property
    def answer_plan(self) -> AnswerPlan:
        """What they are."""


def answer_items(plan: _Plan) -> Iterator[Item]:
    """OPEN, the tokens and CLOSE of each part; CLOSE is due with what follows it."""
    current: Part | None = None
    token = 0
    for token, (part, text) in enumerate(islice(_tokens(plan), plan.tokens)):
        if part is not current:
            if current is not None:
                yield Item(Kind.CLOSE, token, part=current)
            yield Item(Kind.OPEN, token, part=part)
            current = part
        if plan.answer_plan.last is not None and token + 1 == plan.tokens:
            text = plan.answer_plan.last
        yield Item(Kind.TOKEN, token, text, token, part)
    if current is not None:
        yield Item(Kind.CLOSE, token + 1, part=current)


def whole_parts(items: Iterable[Item]) -> list[FinishedPart]:
    """The parts of a finite answer."""
    parts: list[FinishedPart] = []
    for item in items:
        if item.kind is Kind.OPEN:
            parts.append(FinishedPart(item.part, []))
        elif item.kind is Kind.TOKEN:
            parts[-1].pieces.append(item.text)
    return parts


def until_stop(plan: _Plan, stop: tuple[str, ...]) -> tuple[int, str | None] | None:
    """Tokens up to the first of the `stop` texts in the answer, and what remains of the last one if it is cut."""
    text, starts = "", list[int]()
    longest = max(map(len, stop))
    most = plan.tokens if plan.tokens is not None else STOP_WITHIN
    for part, piece in islice(_tokens(plan), most):
        if part.kind is PartKind.REASONING:
            continue
        starts.append(len(text))
        text += piece
        found = [at for at in (text.find(one, max(0, starts[-1] - longest)) for one in stop) if at >= 0]
        if found:
            # It may have begun in an earlier token, which then is the last one.
            kept = bisect_left(starts, min(found))
            last = text[starts[kept - 1] : min(found)] if kept else None
            return plan.answer_plan.reasoning + kept, last
    return None


def calls_for(tools: tuple[Tool, ...], choice: str, *, answered: bool) -> int | None:
    """Ask.calls of a request: `choice` is auto, none or required; `answered`, that it ends with a tool's result.

    An answer to a tool's result is text, or an agent's loop against the mock would never end.
    """
    if answered or choice == "none":
        return 0
    return 1 if tools else None


def _tokens(plan: _Plan) -> Iterator[tuple[Part, str]]:
    """Each token's part and text, without an end where the last part is text."""
    answer = plan.answer_plan
    words = token_texts(plan.text, plan.seed, plan.id)
    first = 0
    if answer.reasoning:
        reasoning = Part(PartKind.REASONING)
        for text in islice(words, answer.reasoning):
            yield reasoning, text
        first = 1
    if not answer.calls:
        part = Part(PartKind.REFUSAL if answer.refuses else PartKind.TEXT, first)
        for text in words:
            yield part, text
    tools = answer.tools or TOOLS
    for call in range(answer.calls):
        tool = tools[(call if answer.tools else plan.seed + call) % len(tools)]
        part = Part(PartKind.TOOL, first + call, call, hex_id(plan.seed, plan.id, f"call {call}"), tool.name)
        # As even as whole tokens allow.
        count = (call + 1) * answer.arguments // answer.calls - call * answer.arguments // answer.calls
        for index, text in enumerate(islice(words, count)):
            piece = json.dumps(text, ensure_ascii=False)[1:-1]
            if index == 0:
                piece = f'{{{json.dumps(tool.argument)}:"{piece.lstrip()}'
            yield part, piece + '"}' if index == count - 1 else piece
