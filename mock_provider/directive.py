"""The directive `[[mock key=value ...]]` in a prompt: the only channel that survives every application in between.

A client that talks to the mock itself may use header fields instead: `X-Mock-Directive: key=value ...` and
`X-Mock-Fault: name,...`. Where both speak, the prompt's value counts, and the faults of all are added up.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from streamgauge.mock_provider import faults, text, timing
from streamgauge.mock_provider.answer import MOST_CALLS
from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.faults.base import MOST_TOKENS, ActiveFault
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.timing.base import Delay

Script = Literal["play", "lockstep", "endless", "silent"]

# A prompt is at most what one request may carry; the bound keeps the search linear on hostile text.
_PATTERN = re.compile(r"\[\[mock(?=[\s\]])([^\[\]]{0,4000})\]\]")
# Pairs are set apart by spaces, of which there may be some in the parentheses of a timing model.
_PAIR = re.compile(r"(?:\([^()]*\)|\S)+")
_HEADER_LIMIT = 4_000  # characters, as in a prompt
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class DirectiveError(ValueError):
    """A directive that can't be obeyed; the message says what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """What a prompt asks of the mock; None where it asks nothing."""

    id: str | None = None
    tokens: int | None = None
    ttft: Delay | None = None
    itl: Delay | None = None
    seed: int | None = None
    script: Script | None = None
    fault: tuple[ActiveFault, ...] = ()
    text: str | None = None
    heartbeat: int | None = None  # ns
    finish: str | None = None
    tokens_per_event: int | None = None
    events_per_write: int | None = None
    prefill: int | None = None  # ns a token of the prompt
    trace: str | None = None
    reasoning: int | None = None  # tokens before the answer
    tools: int | None = None  # calls instead of text
    answer: Literal["text", "refusal"] | None = None
    profile: str | None = None


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"expected 1 to 64 of A-Z a-z 0-9 . _ -, got {value!r}")
    return value


def _integer(most: int, least: int = 0) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,19}", value, re.ASCII) or not least <= int(value) <= most:
            raise ValueError(f"expected a whole number of {least} to {most}, got {value!r}")
        return int(value)

    return parse


def _choice(accepted: tuple[str, ...]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in accepted:
            raise ValueError(f"expected one of {', '.join(accepted)}, got {value!r}")
        return value

    return parse


def _faults(value: str) -> tuple[ActiveFault, ...]:
    return tuple(faults.parse(spec) for spec in value.split(","))


def _finish(value: str) -> str:
    if not re.fullmatch(r"[a-z_]{1,32}", value, re.ASCII):
        raise ValueError(f"expected a finish reason such as stop, length or content_filter, got {value!r}")
    return value


_KEYS: dict[str, Callable[[str], Any]] = {
    "id": _id,
    "tokens": _integer(MOST_TOKENS),
    "ttft": timing.parse_delay,
    "itl": timing.parse_delay,
    "seed": _integer(2**63 - 1),
    "script": _choice(get_args(Script)),
    "fault": _faults,
    "text": _choice(text.KINDS),
    "heartbeat": parse_duration,
    "finish": _finish,
    "tokens_per_event": _integer(MOST_TOKENS, least=1),
    "events_per_write": _integer(MOST_TOKENS, least=1),
    "prefill": parse_duration,
    "trace": _id,
    "reasoning": _integer(MOST_TOKENS),
    "tools": _integer(MOST_CALLS),
    "answer": _choice(("text", "refusal")),
    "profile": _choice(tuple(PROFILES)),
}


def find_directive(prompt: str) -> Directive:
    """The last directive in `prompt`, or an empty one; DirectiveError when it can't be obeyed.

    The last, because an application may put earlier turns of the conversation before the newest one.
    """
    bodies = _PATTERN.findall(prompt)
    return _parsed(bodies[-1]) if bodies else Directive()


def read_directive(prompt: str, headers: Mapping[str, str]) -> Directive:
    """What the prompt and the header fields (names in lower case) ask together; DirectiveError as above."""
    told = find_directive(prompt)
    body, specs = headers.get("x-mock-directive", ""), headers.get("x-mock-fault", "").replace(" ", "")
    if not body and not specs:
        return told
    if max(len(body), len(specs)) > _HEADER_LIMIT:
        raise DirectiveError(f"mock directive: a header field has more than {_HEADER_LIMIT} characters")
    fields = _parsed(body)
    merged = {key: _either(getattr(told, key), getattr(fields, key)) for key in _KEYS}
    by_header = _parsed(f"fault={specs}").fault if specs else ()
    return Directive(**merged | {"fault": fields.fault + by_header + told.fault})


def _either(first: Any, second: Any) -> Any:
    return first if first is not None else second


def _parsed(body: str) -> Directive:
    found: dict[str, Any] = {}
    for pair in _PAIR.findall(body):
        key, equals, value = pair.partition("=")
        if key not in _KEYS or not equals:
            raise DirectiveError(
                f"mock directive: {pair!r} is not understood; expected key=value with key one of {', '.join(_KEYS)}"
            )
        if key in found:
            raise DirectiveError(f"mock directive: {key} is given twice")
        try:
            found[key] = _KEYS[key](value)
        except ValueError as error:
            raise DirectiveError(f"mock directive: {key}: {error}") from None
    return Directive(**found)
