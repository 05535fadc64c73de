"""The directive `[[mock key=value ...]]` in a prompt, because a prompt passes through every application to the mock.

A client that talks to the mock directly may use header fields: `X-Mock-Directive: key=value ...` and
`X-Mock-Fault: name,...`. If both set a key, the prompt's value counts; faults are added up.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import unquote

from streamgauge.mock_provider import faults, text, timing
from streamgauge.mock_provider.answer import MOST_CALLS
from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.faults.base import MOST_TOKENS, ActiveFault
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.timing.base import Delay

Script = Literal["play", "lockstep", "endless", "silent"]

# The bound of 4,000 characters keeps the search linear on hostile text.
_PATTERN = re.compile(r"\[\[mock(?=[\s\]])([^\[\]]{0,4000})\]\]")
_CUT = re.compile(r'\[\[mock\s[^\[\]]{0,4000}?say="[^"\[\]]{0,4000}[\[\]]')
# Spaces separate pairs, except inside the parentheses of a timing model and inside quotes.
_PAIR = re.compile(r'(?:\([^()]*\)|"(?:[^"\\]|\\.)*"|\S)+')
_HEADER_LIMIT = 4_000  # characters of a header field, as of a directive in a prompt
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class DirectiveError(ValueError):
    """An invalid directive; the message says which values are valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """The settings of one stream; None where the server's setting applies."""

    id: str | None = None
    tokens: int | None = None
    ttft: Delay | None = None
    itl: Delay | None = None
    seed: int | None = None
    script: Script | None = None
    fault: tuple[ActiveFault, ...] = ()
    text: str | None = None
    say: str | None = None  # the text of the answer, or the arguments of each tool call
    heartbeat: int | None = None  # ns
    finish: str | None = None
    tokens_per_event: int | None = None
    events_per_write: int | None = None
    prefill: int | None = None  # ns for each token of the prompt
    trace: str | None = None
    reasoning: int | None = None  # tokens before the answer
    tools: int | None = None  # tool calls in place of text
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


def _say(value: str) -> str:
    """A JSON string, or percent-encoded text, which passes unchanged through code that escapes quotes."""
    if not value.startswith('"'):
        return unquote(value, errors="strict")
    try:
        decoded = json.loads(value)
    except ValueError:
        raise ValueError(f'expected a JSON string, such as "two words", got {value[:80]}') from None
    return str(decoded)


_KEYS: dict[str, Callable[[str], Any]] = {
    "id": _id,
    "tokens": _integer(MOST_TOKENS),
    "ttft": timing.parse_delay,
    "itl": timing.parse_delay,
    "seed": _integer(2**63 - 1),
    "script": _choice(get_args(Script)),
    "fault": _faults,
    "text": _choice(text.KINDS),
    "say": _say,
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
    """The last directive in `prompt`, or an empty one; DirectiveError if it is wrong.

    The last one, because an application may send earlier turns of the conversation before the newest.
    """
    bodies = _PATTERN.findall(prompt)
    if not bodies and _CUT.search(prompt):
        raise DirectiveError(
            "mock directive: say: a bracket ends a directive; write \\u005b and \\u005d, or %5B and %5D"
        )
    return _parsed(bodies[-1]) if bodies else Directive()


def read_directive(prompt: str, headers: Mapping[str, str]) -> Directive:
    """The settings of the prompt and of the header fields (lower-case names) together; DirectiveError as above."""
    in_prompt = find_directive(prompt)
    body, specs = headers.get("x-mock-directive", ""), headers.get("x-mock-fault", "").replace(" ", "")
    if not body and not specs:
        return in_prompt
    if max(len(body), len(specs)) > _HEADER_LIMIT:
        raise DirectiveError(f"mock directive: a header field has more than {_HEADER_LIMIT} characters")
    in_header = _parsed(body)
    merged = {key: _either(getattr(in_prompt, key), getattr(in_header, key)) for key in _KEYS}
    header_faults = _parsed(f"fault={specs}").fault if specs else ()
    return Directive(**merged | {"fault": in_header.fault + header_faults + in_prompt.fault})


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
