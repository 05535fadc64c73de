"""The parts of an answer and the text of each token, which the plan alone determines."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from typing import NamedTuple, Protocol

from streamgauge.mock_provider.identity import hex_id
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind
from streamgauge.mock_provider.text import token_texts

MOST_CALLS = 100
STOP_WITHIN = 10_000  # tokens of an endless stream that are searched for a stop text


class Tool(NamedTuple):
    """A tool; the mock calls it with the arguments `{argument: text}`."""

    name: str
    argument: str


# The tools that are called if the request declares none.
TOOLS = (Tool("get_weather", "city"), Tool("search_documents", "query"), Tool("send_message", "text"))


class AnswerPlan(NamedTuple):
    """The kinds of tokens in an answer; by default all of them are text."""

    reasoning: int = 0  # tokens before the answer
    arguments: int = 0  # tokens of all tool calls together
    calls: int = 0
    tools: tuple[Tool, ...] = ()
    refuses: bool = False
    last: str | None = None  # the last token's text, if a stop text cuts that token


class FinishedPart(NamedTuple):
    """A part with all its tokens: `pieces` are their texts."""

    part: Part
    pieces: list[str]

    @property
    def text(self) -> str:
        """The text of the part."""
        return "".join(self.pieces)


class _Plan(Protocol):
    """The fields of `plan.Plan` that are used here; `plan` imports this module."""

    @property
    def id(self) -> str:
        """The stream's id."""

    @property
    def seed(self) -> int:
        """Seed of texts and ids."""

    @property
    def text(self) -> str:
        """The kind of token text."""

    @property
    def said(self) -> tuple[str, ...] | None:
        """The tokens of a given text; None: `text` is the kind."""

    @property
    def tokens(self) -> int | None:
        """Tokens of all parts; None for an endless stream."""

    @property
    def answer_plan(self) -> AnswerPlan:
        """Their kinds."""


def plain_texts(plan: _Plan) -> Iterator[str]:
    """The token texts of an answer of only text; endless, unless an empty text was given."""
    return token_texts(plan.text, plan.seed, plan.id) if plan.said is None else cycle(plan.said)


def answer_items(plan: _Plan) -> Iterator[Item]:
    """OPEN, the tokens and CLOSE of each part; CLOSE is due with the next item."""
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
    """Number of tokens before the first of the `stop` texts, and the rest of the last token if it is cut."""
    text, starts = "", list[int]()
    longest = max(map(len, stop))
    most = plan.tokens if plan.tokens is not None else STOP_WITHIN
    for part, piece in islice(_tokens(plan), most):
        if part.kind is PartKind.REASONING:
            continue
        starts.append(len(text))
        text += piece
        found = [at for at in (text.find(stop_text, max(0, starts[-1] - longest)) for stop_text in stop) if at >= 0]
        if found:
            # The stop text may have begun in an earlier token, which then is the last.
            kept = bisect_left(starts, min(found))
            last = text[starts[kept - 1] : min(found)] if kept else None
            return plan.answer_plan.reasoning + kept, last
    return None


def calls_for(tools: tuple[Tool, ...], choice: str, *, answered: bool) -> int | None:
    """`ChatRequest.calls`: `choice` is auto, none or required; `answered` means that it ends with a tool's result.

    The answer to a tool's result is text, otherwise an agent's loop against the mock would never end.
    """
    if answered or choice == "none":
        return 0
    return 1 if tools else None


def _tokens(plan: _Plan) -> Iterator[tuple[Part, str]]:
    """Each token's part and text; endless if the last part is text."""
    answer = plan.answer_plan
    words = token_texts(plan.text, plan.seed, plan.id)
    first = 0
    if answer.reasoning:
        reasoning = Part(PartKind.REASONING)
        for text in islice(words, answer.reasoning):
            yield reasoning, text
        first = 1
    if plan.said is not None:
        words = cycle(plan.said)
    if not answer.calls:
        part = Part(PartKind.REFUSAL if answer.refuses else PartKind.TEXT, first)
        for text in words:
            yield part, text
    tools = answer.tools or TOOLS
    for call in range(answer.calls):
        tool = tools[(call if answer.tools else plan.seed + call) % len(tools)]
        part = Part(PartKind.TOOL, first + call, call, hex_id(plan.seed, plan.id, f"call {call}"), tool.name)
        # An even share of the tokens, in whole numbers.
        count = (call + 1) * answer.arguments // answer.calls - call * answer.arguments // answer.calls
        if plan.said is not None:  # a given text is the arguments themselves, also where it is not JSON
            for text in islice(cycle(plan.said), count):
                yield part, text
            continue
        for index, text in enumerate(islice(words, count)):
            piece = json.dumps(text, ensure_ascii=False)[1:-1]
            if index == 0:
                piece = f'{{{json.dumps(tool.argument)}:"{piece.lstrip()}'
            yield part, piece + '"}' if index == count - 1 else piece
