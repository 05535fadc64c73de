"""text.*: whether the text reaches the user unchanged."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any, Final

from streamgauge.conformance.applies import custom, json_payloads
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import BLANKS, HAPPY, PLAIN, WHITE_SPACE, Case, Observed, first_difference, printable
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet
from streamgauge.conformance.other_text import changes_any_text
from streamgauge.conformance.payloads import is_sentinel
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import (
    COHERE,
    INTERPRETING,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    PARSING,
    guides,
    issue,
    rfc,
    wpt,
)
from streamgauge.conformance.wants import stream
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode

MIN_CUMULATIVE: Final = 8
CUMULATIVE_SHARE: Final = 0.8
REPLACEMENT: Final = "\ufffd".encode()
_REPLACEMENT_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u[fF]{3}[dD]")  # not an escaped backslash before a u
# The pattern consumes surrogate pairs and other escapes first, so the group catches only a lone surrogate.
_SURROGATES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
# Every match of the two expressions above holds one of these. A search for them is a thousand times as fast, because it
# begins with fixed characters, and a check reads megabytes.
_REPLACEMENT: Final = re.compile(rb"\\u[fF]{3}[dD]")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Characters that some clients take for line ends; `_ESCAPED` finds their JSON escapes.
SEPARATORS: Final = {"U+2028": "\u2028", "U+2029": "\u2029", "U+0085": "\u0085", "VT": "\v", "FF": "\f"}
_ESCAPED: Final = re.compile(rb"\\u(?:2028|2029|0085|000[bBcC])|\\f")
FINAL_TEXT_KEYS: Final = ("text", "content", "full_text", "answer", "response")


@per_stream(
    Requirement(
        "text.utf8-valid",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "The stream is UTF-8, and no character is cut in two between events or replaced by U+FFFD.",
        references=(
            PARSING,
            wpt("format-utf-8"),
            rfc(8259, "8.2", "Unicode Characters"),
            issue("ggml-org/llama.cpp", 4036),
        ),
        breaks="openai-python and anthropic-sdk-python raise UnicodeDecodeError (tried); others show U+FFFD.",
        fix="Decode each upstream with one incremental decoder, and cut text between characters.",
        lesser="No U+FFFD comes where it is unknown which text was sent.",
        causes={
            "half-pair": (
                "Cut text between characters: where a language counts UTF-16 units, half of a pair may be left at the"
                " end of a piece."
            ),
        },
    ),
    scenarios=("unicode", "characters", *PLAIN),
    wants=stream,
    expected="valid UTF-8, no character cut in two or replaced by U+FFFD",
)
def utf8_valid(seen: Observed, case: Case) -> Finding:
    body = seen.transcript.body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        # A cut stream may end inside a character: that proves nothing about the endpoint's encoder.
        if not (
            error.end == len(body) and error.reason == "unexpected end of data" and seen.transcript.outcome != "ok"
        ):
            return unmet(f"byte {error.start:,} is not UTF-8: {error.reason}", seen.at(error.start))
    at = body.find(REPLACEMENT)
    if case.dialect is not None and case.dialect.json_payload:
        lone = _lone_surrogate(body)
        if lone is not None:
            return unmet(
                "half of a surrogate pair is escaped: a character was cut in two",
                seen.at(lone.start()),
                cause="half-pair",
            )
        if at < 0 and (escaped := _escaped_replacement(body)):
            at = escaped.end() - len(r"\ufffd")
    if at >= 0:
        if seen.sent_text is None:
            return lesser("U+FFFD came: a character was lost on the way", seen.at(at))
        count = body.count(REPLACEMENT) + len(_REPLACEMENT_ESCAPE.findall(body))
        difference = seen.difference(ignored=WHITE_SPACE)
        place = f", first {difference}" if difference else ""
        return unmet(f"U+FFFD came {_times_word(count)} in place of a character that was sent{place}", seen.at(at))
    # Lost white space is for text.whitespace-roundtrip and text.newline-roundtrip.
    if seen.sent_text is not None and (difference := seen.difference(ignored=WHITE_SPACE)) is not None:
        if _beyond_ascii(seen.sent_text) - _beyond_ascii(seen.received_text) or not seen.received_text.strip():
            where = seen.at(seen.event_at(difference.at))
            return unmet(f"the text differs from the text that was sent: {difference}", where)
        # Text that came twice, or that is not of this answer, is no fault of the encoding.
        return met(f"all characters beyond ASCII arrive; the text differs otherwise: {difference}")
    if body.isascii() and seen.received_text.isascii():
        return inconclusive("only ASCII came", MOCK)
    return met("text beyond ASCII arrives intact")


def _beyond_ascii(text: str) -> Counter[str]:
    return Counter(character for character in text if not character.isascii())


def _lone_surrogate(body: bytes) -> re.Match[bytes] | None:
    """The first escape of half a surrogate pair."""
    if not _SURROGATE.search(body):
        return None
    return next((match for match in _SURROGATES.finditer(body) if match[1]), None)


def _escaped_replacement(body: bytes) -> re.Match[bytes] | None:
    """The first escape of U+FFFD."""
    return _REPLACEMENT_ESCAPE.search(body) if _REPLACEMENT.search(body) else None


def _times_word(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


@per_stream(
    Requirement(
        "text.newline-roundtrip",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "The joined tokens equal the upstream's text, with every kind of line break.",
        references=(
            INTERPRETING,
            guides("line breaks in tokens"),
        ),
        breaks="Markdown and code collapse in every interface.",
        fix="Put tokens into JSON.",
        lesser="CR and CRLF arrive as they were sent, and not as LF.",
    ),
    scenarios=("newlines", "returns"),
    wants=stream,
    expected="the text that the upstream sent, line breaks included",
)
def newline_roundtrip(seen: Observed, case: Case) -> Finding | None:
    if seen.sent_text is not None and seen.received_text != seen.sent_text:
        received, sent = _with_lf(seen.received_text), _with_lf(seen.sent_text)
        if "\r" in seen.sent_text and first_difference(received, sent, BLANKS) is None:
            in_json = case.dialect is not None and case.dialect.json_payload and case.doubt is None
            # A data line cannot hold a CR (WHATWG HTML 9.2.6), so raw text has to become LF.
            return (lesser if in_json else info)("CR and CRLF in the text arrive as LF", seen.note("CR became LF"))
    return _roundtrip(seen, "line breaks", ignored=BLANKS)


def _with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@per_stream(
    Requirement(
        "text.whitespace-roundtrip",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "White space at the ends of tokens arrives, and so do tokens of white space only. Only empty tokens may be "
        "left out.",
        references=(
            INTERPRETING,
            wpt("format-leading-space"),
            guides("skip empty updates"),
        ),
        breaks="Words run together, and indentation is lost.",
        fix='Write "data: " with its space, test for empty rather than blank, and trim nothing.',
    ),
    scenarios=("whitespace",),
    wants=stream,
    expected="the text that the upstream sent, white space included",
)
def whitespace_roundtrip(seen: Observed, _case: Case) -> Finding | None:
    return _roundtrip(seen, "white space")


def _roundtrip(seen: Observed, feature: str, ignored: str = "") -> Finding | None:
    if seen.expected_text is None:
        return None
    if not seen.upstream:
        return inconclusive("the mock got no request: the prompt's directive did not reach it", MOCK)
    difference = seen.difference(ignored)
    if difference is None:
        return met(f"text with {feature} arrives unchanged")
    return unmet(f"the text with {feature} changed: {difference}", seen.at(seen.event_at(difference.at)))


@per_stream(
    Requirement(
        "text.unicode-line-separators-escaped",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "U+2028, U+2029, U+0085, VT and FF are escaped in JSON payloads; unescaped they are legal, but some "
        "clients split lines at them.",
        references=(
            PARSING,
            issue("florimondmanca/httpx-sse", 34),
            issue("modelcontextprotocol/python-sdk", 1356),
        ),
        breaks="Readers built on str.splitlines or httpx's iter_lines: ollama-python (tried), httpx-sse before 0.4.2.",
        fix="Escape these characters, or escape every character outside ASCII.",
    ),
    scenarios=("separators", *PLAIN),
    applies=json_payloads,
    wants=stream,
    expected=r"these characters as JSON escapes such as \u2028",
)
def unicode_line_separators_escaped(seen: Observed, case: Case) -> Finding:
    body = seen.transcript.body
    found = [(at, name) for name, char in SEPARATORS.items() if (at := body.find(char.encode())) >= 0]
    if found:
        at, name = min(found)
        return unmet(
            f"a payload contains {name} unescaped: clients that iterate over lines split the payload there", seen.at(at)
        )
    if seen.sent_text is not None and (difference := seen.difference(ignored=BLANKS)) is not None:
        if doubt := changes_any_text(case):
            return doubt
        return unmet(f"a separator was lost: {difference}", seen.at(seen.event_at(difference.at)))
    if not _ESCAPED.search(body):
        return inconclusive("no such character came", MOCK)
    return met("the line separators are escaped")


@per_stream(
    Requirement(
        "text.json-valid",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "In a JSON dialect every payload is one complete, standard JSON value; only the [DONE] sentinel is not.",
        references=(
            rfc(8259, "2", "JSON Grammar"),
            OPENAI_CHAT,
        ),
        breaks="Every client that reads JSON raises, and the rest of the stream is lost.",
        fix="Serialize each payload in one call, errors too.",
    ),
    scenarios=(*PLAIN, "mid-error"),
    applies=json_payloads,
    wants=stream,
    expected="one strict JSON value in each payload",
)
def json_valid(seen: Observed, _case: Case) -> Finding | None:
    checked = 0
    for number, event in enumerate(seen.transcript.events, 1):
        if not event.data or is_sentinel(event.data):  # empty payloads have their own check
            continue
        checked += 1
        value = decode(event.data)
        if isinstance(value, NotJson):
            return unmet(
                f"the payload of event {number:,} is not JSON: {printable(value.reason)}", seen.at(event.offset)
            )
    return met(f"{checked:,} payloads are JSON") if checked else None


@per_stream(
    Requirement(
        "text.delta-not-cumulative",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "Each event brings only new text, not the text so far.",
        references=(guides("append semantics"),),
        breaks='Clients that append show "HHeHel"; the number of bytes grows with the square of the length.',
        fix="Send only the text of the update.",
    ),
    scenarios=HAPPY,
    wants=stream,
    expected="only new text in each event",
)
def delta_not_cumulative(seen: Observed, _case: Case) -> Finding:
    texts = [
        found.delta.text for found in seen.transcript.deltas if found.delta.kind is Kind.CONTENT and found.delta.text
    ]
    if len(texts) < MIN_CUMULATIVE:
        return inconclusive(f"only {len(texts)} content events came, {MIN_CUMULATIVE} are needed", "a longer answer")
    grown = sum(len(new) > len(old) and new.startswith(old) for old, new in pairwise(texts))
    if grown >= CUMULATIVE_SHARE * (len(texts) - 1):
        second = seen.transcript.tokens[1][0]
        return unmet(f"{grown:,} of {len(texts) - 1:,} events repeat the text so far", seen.at(second.offset))
    return met("each event brings new text")


def with_snapshot(case: Case) -> str | None:
    """Dialects whose last event may hold the whole text."""
    return None if case.dialect_name == "openai-responses" else custom(case)


@per_stream(
    Requirement(
        "text.concat-equals-final",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "If the last event repeats the whole text, it equals the joined tokens.",
        references=(
            OPENAI_RESPONSES,
            COHERE,
        ),
        breaks="Interfaces that replace the text at the end change it; logs differ from the text that was shown.",
        fix="Build the final text from the same tokens that were sent, untrimmed.",
    ),
    scenarios=HAPPY,
    applies=with_snapshot,
    expected="a final text that equals the joined deltas",
    broken_by=BrokenBy(fault="swapped-events", mock="--text unicode", shape="openai-responses"),
)
def concat_equals_final(seen: Observed, _case: Case) -> Finding:
    done = seen.transcript.first(Kind.DONE)
    payload = decode(seen.transcript.events[done.event].data) if done else None
    final = _snapshot(payload) if isinstance(payload, dict) else None
    if done is None or final is None:
        return not_applicable("the stream ends without a snapshot of the whole text")
    difference = first_difference(seen.transcript.text, final)
    if difference is None:
        return met("the final text equals the joined deltas")
    event = seen.transcript.events[done.event]
    return unmet(f"the final text differs: {difference}", seen.at(event.offset))


def _snapshot(payload: dict[str, Any]) -> str | None:
    """The whole text in the last event: in Responses the parts of its items, in other dialects a usual key."""
    if isinstance(response := payload.get("response"), dict):
        items = [item for item in _list(response.get("output")) if isinstance(item, dict)]
        parts = [part for item in items for part in _list(item.get("content")) if isinstance(part, dict)]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        return "".join(texts) if texts else None
    final = next((payload[key] for key in FINAL_TEXT_KEYS if payload.get(key)), None)
    return final if isinstance(final, str) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
