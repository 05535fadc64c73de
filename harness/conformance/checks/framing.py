"""framing.*: the lines of the event stream, https://html.spec.whatwg.org/multipage/server-sent-events.html 9.2.6."""

import re
from typing import Final

from streamgauge.conformance.applies import json_events, sse
from streamgauge.conformance.bare_error import bare_error
from streamgauge.conformance.cases import BLANKS, FIELDS, PLAIN, Case, Observed, blocks, printable
from streamgauge.conformance.finding import Finding, inconclusive, info, met, not_applicable, unmet
from streamgauge.conformance.other_text import changes_any_text
from streamgauge.conformance.payloads import is_sentinel
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import INTERPRETING, issue, wpt
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.eventstream import Line
from streamgauge.wire import End

BOM: Final = b"\xef\xbb\xbf"
_NAME_ALONE: Final = re.compile(rb"[A-Za-z][\w.-]*:[ \t]*")


def show_line(raw: bytes) -> str:
    """A line for messages: bounded, and without control characters."""
    return repr(printable(raw.decode("utf-8", "replace"), 60))


def data_lines(seen: Observed) -> list[Line]:
    """The lines of the body that belong to the field `data`."""
    return [line for line in seen.transcript.lines if line.field == b"data"]


@per_stream(
    Requirement(
        "framing.known-fields",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "Every line that is not a comment begins with one of the field names data, event, id and retry, in "
        "lower case and without a space before it.",
        references=(
            INTERPRETING,
            wpt("format-field-unknown", "format-field-parsing"),
            issue("ggml-org/llama.cpp", 16104),
        ),
        breaks="Every parser drops such a line in silence: an error becomes a clean end (openai-python, tried).",
        fix="Write errors as event: error with a data line, and text only inside data lines.",
        causes={
            "name-alone": (
                "Write the name of an event behind event:, such as event: message, or leave the line out: a field of"
                " that name does not exist."
            ),
        },
    ),
    scenarios=(*PLAIN, "mid-error", "newlines"),
    applies=sse,
    expected="only the fields data, event, id and retry, and comments",
)
def known_fields(seen: Observed, _case: Case) -> Finding:
    if (error := bare_error(seen.transcript)) is not None:
        actual = f"a JSON error without SSE framing in a 200, which every parser drops: {printable(error.message, 60)}"
        return unmet(actual, seen.at(error.offset))
    # A BOM has its own check; judge the name behind it.
    bare = seen.transcript.bare or ()  # lines that are a vendor's own form of an error
    unknown = [
        line
        for line in seen.transcript.lines
        if line.field is not None
        and line.field not in FIELDS
        and not line.raw.startswith(BOM)
        and line.offset not in bare
    ]
    if not unknown:
        return met("every line is a known field or a comment")
    first = unknown[0]
    more = f" ({len(unknown):,} such lines)" if len(unknown) > 1 else ""
    alone = all(_NAME_ALONE.fullmatch(line.raw) for line in unknown)
    return unmet(
        f"the line {show_line(first.raw)} is ignored by every parser{more}",
        seen.at(first.offset),
        cause="name-alone" if alone else None,
    )


@per_stream(
    Requirement(
        "framing.event-terminated",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "Every event, the last one included, is closed by a blank line before the body ends.",
        references=(
            INTERPRETING,
            wpt("format-data-before-final-empty-line"),
        ),
        breaks=(
            "Nearly every parser discards an unfinished event: the last token, the usage or the end marker "
            "(openai-python, openai-go, httpx-sse, EventSource and .NET's, tried); openai-node 7.57 passes it on."
        ),
        fix="End every event with two line feeds, the end marker too.",
    ),
    scenarios=(*PLAIN, "mid-error"),
    applies=sse,
    expected="a blank line after every event, the last one included",
)
def event_terminated(seen: Observed, _case: Case) -> Finding | None:
    transcript = seen.transcript
    if transcript.capture.end in (End.CANCELLED, End.INTERRUPTED, None):
        return None
    if not transcript.undispatched:
        return met("the body ends with a blank line")
    if bare_error(transcript) is not None:
        return not_applicable("the body ends with a JSON error without SSE framing (see framing.known-fields)")
    last = [block for block in blocks(transcript) if not block.closed]
    offset = last[-1].offset if last else len(transcript.body)
    lost = show_line(last[-1].lines[-1].raw) if last else "an event"
    return unmet(f"the body ends inside an event: parsers discard {lost}", seen.at(offset))


@per_stream(
    Requirement(
        "framing.no-merged-events",
        MUST,
        Severity.HIGH,
        Basis.COMPAT,
        "Two payloads never share one event.",
        references=(INTERPRETING,),
        breaks=(
            "Lines of one event are joined: openai-python and Anthropic's SDK raise JSONDecodeError, openai-node "
            "SyntaxError, openai-go an error too (all tried)."
        ),
        fix="Put a blank line after each payload.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="one payload in each event",
)
def no_merged_events(seen: Observed, case: Case) -> Finding:
    is_json = case.dialect is None or case.dialect.json_payload
    text = not_applicable("the payloads are text, and text may have several lines")
    if not is_json and not case.guessed:
        return text
    for block in blocks(seen.transcript):
        values = [value.decode("utf-8", "replace") for value in block.values(b"data")]
        if len(values) < 2 or not isinstance(decode("\n".join(values)), NotJson):
            continue
        # Without blank lines the first event is not JSON, so the dialect was guessed as text.
        wanted = object if is_json else dict
        if all(is_sentinel(value) or _is_json(value, wanted) for value in values):
            return unmet(f"{len(values)} payloads share one event: joined they are not JSON", seen.at(block.offset))
    return met("no event holds two payloads") if is_json else text


def _is_json(value: str, wanted: type) -> bool:
    parsed = decode(value)
    return not isinstance(parsed, NotJson) and isinstance(parsed, wanted)


@per_stream(
    Requirement(
        "framing.data-prefix-every-line",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "Each line of a text with line breaks has a data: prefix, or the text is escaped as JSON.",
        references=(
            INTERPRETING,
            wpt("format-newlines"),
        ),
        breaks=(
            "Everything after the line break is lost, and code loses its lines; the same bug lets text forge events."
        ),
        fix="Put tokens into JSON, or write one data line for each line of the text.",
    ),
    scenarios=("newlines", *PLAIN),
    applies=sse,
    expected="a data: prefix on every line of a text, or JSON escapes",
)
def data_prefix_every_line(seen: Observed, case: Case) -> Finding:
    for block in blocks(seen.transcript):
        data_seen = False
        for line in block.fields:
            if line.field == b"data":
                data_seen = True
            elif data_seen and b":" not in line.raw:
                return unmet(
                    f"the line {show_line(line.raw)} belongs to the text before it, but has no data: prefix",
                    seen.at(line.offset),
                )
    if "\n" not in seen.received_text:
        return inconclusive("no token with a line break came", MOCK)
    if case.dialect is not None and case.dialect.json_payload and case.doubt is None:
        # A line break that is lost from inside of JSON is for text.newline-roundtrip.
        return met("line breaks come as JSON escapes")
    # Lost blanks are for text.whitespace-roundtrip.
    if seen.sent_text is not None and (difference := seen.difference(ignored=BLANKS)) is not None:
        if doubt := changes_any_text(case):
            return doubt
        where = seen.at(seen.event_at(difference.at))
        return unmet(f"the text with line breaks changed on its way: {difference}", where)
    return met("text with line breaks arrives unchanged")


@per_stream(
    Requirement(
        "framing.no-rewrapped-lines",
        MUST,
        Severity.HIGH,
        Basis.COMPAT,
        "A relay does not wrap lines of an event stream again: no payload begins with data:, event: or a colon.",
        references=(
            issue("a2aproject/a2a-python", 540),
            INTERPRETING,
        ),
        breaks="Every client that reads JSON raises at the first such payload.",
        fix=(
            "In a relay, copy the upstream's bytes, or parse its events and write the payloads anew; never put a "
            "prefix before a raw line."
        ),
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="no payload that is itself a line of an event stream",
)
def no_rewrapped_lines(seen: Observed, case: Case) -> Finding:
    is_json = case.dialect is None or case.dialect.json_payload
    # Text may begin with a colon, so for text only prefixes that prose never has count.
    prefixes = (b"data:", b"event:", b":") if is_json else (b"data:", b"event:")
    wrapped = [line for line in data_lines(seen) if line.value.lstrip(b" ").startswith(prefixes)]
    if not wrapped:
        return met("no payload looks like a line of an event stream")
    actual = f"the payload {show_line(wrapped[0].value)} is a line that was wrapped again"
    evidence = seen.at(wrapped[0].offset)
    return info(actual, evidence) if not is_json and len(wrapped) == 1 else unmet(actual, evidence)


@per_stream(
    Requirement(
        "framing.single-line-json",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "A JSON payload is on one data line. Several lines are legal, but some clients read line by line.",
        references=(INTERPRETING,),
        breaks="go-openai, hand-written readers and shell pipelines parse each line by itself.",
        fix="Serialize without indentation.",
    ),
    scenarios=PLAIN,
    applies=json_events,
    expected="each JSON payload on one data line",
)
def single_line_json(seen: Observed, _case: Case) -> Finding:
    for block in blocks(seen.transcript):
        values = block.values(b"data")
        if len(values) > 1 and not isinstance(decode(b"\n".join(values)), NotJson):
            return unmet(f"a JSON payload is spread over {len(values)} data lines", seen.at(block.offset))
    return met("each payload is on one line")
