"""framing.*: the lines of the event stream, https://html.spec.whatwg.org/multipage/server-sent-events.html 9.2.6."""

from collections import Counter
from typing import Final

from streamgauge.conformance.applies import json_events, sse
from streamgauge.conformance.cases import Case, Observed, blocks, printable
from streamgauge.conformance.finding import Finding, fail, inconclusive, info, met, not_applicable, unmet, warn, worst
from streamgauge.conformance.optins import MOCK
from streamgauge.conformance.payloads import is_sentinel
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.scenarios.ordinary import PLAIN
from streamgauge.conformance.sources import INTERPRETING, LAST_EVENT_ID, PARSING, guides, issue, wpt
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.eventstream import Line
from streamgauge.units import show_bytes
from streamgauge.wire import End

FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})
BOM: Final = b"\xef\xbb\xbf"
LONG_LINE: Final = 64 * 1024
TOO_LONG_LINE: Final = 1024 * 1024
LONG_ID: Final = 1024
SHORT_RETRY_MS: Final = 500
LONG_RETRY_MS: Final = 300_000
_ENDINGS: Final = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}


def _show(raw: bytes) -> str:
    return repr(printable(raw.decode("utf-8", "replace"), 60))


def _data_lines(seen: Observed) -> list[Line]:
    return [line for line in seen.transcript.lines if line.field == b"data"]


@per_stream(
    Requirement(
        "framing.known-fields",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "Every line that is no comment begins with one of the field names data, event, id and retry, in "
        "lower case and without a space before it.",
        references=(
            INTERPRETING,
            wpt("format-field-unknown", "format-field-parsing"),
            issue("ggml-org/llama.cpp", 16104),
        ),
        breaks="Every parser drops such a line in silence: an error becomes a clean end (openai-python, tried).",
        fix="Write errors as event: error with a data line, and text only inside data lines.",
    ),
    scenarios=(*PLAIN, "mid-error", "newlines"),
    applies=sse,
    expected="only the fields data, event, id and retry, and comments",
)
def known_fields(seen: Observed, _case: Case) -> Finding:
    # A BOM in front of a field name has its own check; the name behind it is what is judged here.
    bare = seen.transcript.bare or ()  # a vendor's own way to tell of an error
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
    return unmet(f"the line {_show(first.raw)} is ignored by every parser{more}", seen.at(first.offset))


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
            "Nearly every parser discards what was pending: the last token, the usage or the end marker "
            "(openai-python, openai-go, httpx-sse, EventSource and .NET's, tried); openai-node 7.57 hands it on."
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
    last = [block for block in blocks(transcript) if not block.closed]
    offset = last[-1].offset if last else len(transcript.body)
    lost = _show(last[-1].lines[-1].raw) if last else "an event"
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
    text = not_applicable("the payloads are text, which may well have several lines")
    if not is_json and not case.guessed:
        return text
    for block in blocks(seen.transcript):
        values = [value.decode("utf-8", "replace") for value in block.values(b"data")]
        if len(values) < 2 or not isinstance(decode("\n".join(values)), NotJson):
            continue
        # Without a single blank line the first event is no JSON, so the dialect that is guessed from it is text.
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
        "Text with line breaks has a data: prefix on each of its lines, or is escaped as JSON.",
        references=(
            INTERPRETING,
            wpt("format-newlines"),
        ),
        breaks="Everything after the line break is lost, and code collapses; the same hole lets text forge events.",
        fix="Put tokens into JSON, or write one data line for each line of the text.",
    ),
    scenarios=("newlines", *PLAIN),
    applies=sse,
    expected="a data: prefix on every line of a text, or JSON escapes",
)
def data_prefix_every_line(seen: Observed, _case: Case) -> Finding:
    for block in blocks(seen.transcript):
        data_seen = False
        for line in block.fields:
            if line.field == b"data":
                data_seen = True
            elif data_seen and b":" not in line.raw:
                return unmet(f"the line {_show(line.raw)} of a longer text has no data: prefix", seen.at(line.offset))
    if "\n" not in seen.received_text:
        return inconclusive("no token with a line break came", MOCK)
    if seen.sent_text is not None and seen.received_text != seen.sent_text:
        return unmet("the text with line breaks did not arrive as it was sent", seen.at(seen.differs_at))
    return met("text with line breaks arrives whole")


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
    # A text token may well begin with a colon, so for text only what cannot be prose counts.
    prefixes = (b"data:", b"event:", b":") if is_json else (b"data:", b"event:")
    wrapped = [line for line in _data_lines(seen) if line.value.lstrip(b" ").startswith(prefixes)]
    if not wrapped:
        return met("no payload looks like a line of an event stream")
    actual = f"the payload {_show(wrapped[0].value)} is a line that was wrapped again"
    evidence = seen.at(wrapped[0].offset)
    return info(actual, evidence) if not is_json and len(wrapped) == 1 else unmet(actual, evidence)


@per_stream(
    Requirement(
        "framing.single-line-json",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "A JSON payload stands on one data line; several are legal, but some clients read line by line.",
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


@per_stream(
    Requirement(
        "framing.line-endings",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "Lines end with a line feed throughout; CR LF and CR are legal, but some clients do not know them.",
        references=(
            PARSING,
            wpt("format-newlines"),
        ),
        breaks=(
            "Readers that split at two line feeds never fire at CR LF; at CR alone openai-go and go-openai read "
            "nothing, and eventsource-parser loses the last event (tried)."
        ),
        fix="Write \\n yourself, not the line end of the platform.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="LF after every line",
)
def line_endings(seen: Observed, _case: Case) -> Finding | None:
    lines = [line for line in seen.transcript.lines if line.terminator]
    counts = Counter(_ENDINGS[line.terminator] for line in lines)
    if not counts:
        return None
    if set(counts) == {"LF"}:
        return met("LF throughout")
    first = next(line for line in lines if line.terminator != b"\n")
    mixture = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
    if len(counts) > 1:
        return unmet(f"the line ends are mixed: {mixture}", seen.at(first.offset + len(first.raw)))
    return unmet(f"every line ends with {next(iter(counts))}", seen.at(first.offset + len(first.raw)))


@per_stream(
    Requirement(
        "framing.no-bom",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "No byte order mark stands in the stream; one at its very start is legal, but costs some clients the "
        "first event.",
        references=(
            PARSING,
            wpt("format-bom", "format-bom-2"),
        ),
        breaks="openai-python, openai-go, go-openai, Anthropic's SDK and httpx-sse lose the first event (tried).",
        fix="Encode as UTF-8 without a mark.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="no U+FEFF at the start of the body or of a line",
)
def no_bom(seen: Observed, _case: Case) -> Finding:
    # The lexer has removed a legal one; any that begins a line now makes that line's field unknown.
    for line in seen.transcript.lines:
        if line.raw.startswith(BOM):
            return fail(
                "a line begins with U+FEFF, so its field is unknown and the event is lost", seen.at(line.offset)
            )
    if seen.transcript.body.startswith(BOM):
        return unmet("the body begins with U+FEFF (legal, and some clients lose the first event)", seen.at(0))
    return met("no U+FEFF")


@per_stream(
    Requirement(
        "framing.space-after-colon",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "One space follows the colon of a data line; none is legal, but some clients ask for it, and raw "
        "text loses its own first space.",
        references=(
            INTERPRETING,
            wpt("format-leading-space"),
            issue("openai/openai-python", 498),
        ),
        breaks='google-genai raises (tried), hand-written readers look for "data: "; words run together in raw text.',
        fix='Write "data: " with a space, always.',
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="exactly one space after data:",
)
def space_after_colon(seen: Observed, case: Case) -> Finding:
    with_value = [line for line in _data_lines(seen) if line.raw.partition(b":")[2]]
    bare = [line for line in with_value if not line.raw.startswith(b"data: ")]
    if bare:
        return unmet(f"no space after data: on {len(bare):,} of {len(with_value):,} lines", seen.at(bare[0].offset))
    is_json = case.dialect is None or case.dialect.json_payload
    # What follows the first line of a payload may be indented JSON: that white space is the payload's own.
    leading = [next((one for one in block.lines if one.field == b"data"), None) for block in blocks(seen.transcript)]
    wide = [line for line in leading if line is not None and line.raw.startswith(b"data:  ")] if is_json else []
    if wide:
        return unmet(f"more than one space after data: on {len(wide):,} lines", seen.at(wide[0].offset))
    return met("one space after data:")


@per_stream(
    Requirement(
        "framing.no-empty-data",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "No event has an empty payload; a bare data: is legal, and is dispatched as an empty message.",
        references=(
            INTERPRETING,
            wpt("format-field-data"),
            guides("skip empty updates"),
        ),
        breaks="openai-python raises JSONDecodeError, openai-node SyntaxError, openai-go an error (tried).",
        fix="Skip empty tokens, and send a comment to keep the connection alive.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="no event with an empty payload",
)
def no_empty_data(seen: Observed, case: Case) -> Finding:
    empty = [event for event in seen.transcript.events if not event.data]
    if not empty:
        return met("no event is empty")
    actual = f"{len(empty):,} events have an empty payload"
    is_json = case.dialect is None or case.dialect.json_payload
    return (unmet if is_json else info)(actual, seen.at(empty[0].offset))


@per_stream(
    Requirement(
        "framing.no-metadata-only-blocks",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "No block has only event, id or retry and no data; such a block is legal, and dispatched to nobody.",
        references=(
            INTERPRETING,
            wpt("format-field-event", "format-field-id"),
        ),
        breaks=(
            "openai-python raises JSONDecodeError at a retry alone and at a ping without data, httpx-sse gives "
            "an empty event, .NET's parser gives the next event the name of this one (all tried)."
        ),
        fix="Put id and retry on the first event that has data; give a ping a JSON payload, or make it a comment.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="data in every block that is not a comment",
)
def no_metadata_only_blocks(seen: Observed, _case: Case) -> Finding:
    for block in blocks(seen.transcript):
        names = {line.field for line in block.fields} & FIELDS
        if block.closed and names and b"data" not in names:
            listed = ", ".join(sorted(name.decode() for name in names if name))
            return unmet(f"a block has only {listed} and no data", seen.at(block.offset))
    return met("every block has data")


@per_stream(
    Requirement(
        "framing.id-retry-valid",
        MUST,
        Severity.LOW,
        Basis.SPEC,
        "Ids hold no NUL and differ from event to event, and fit a request header; retry is a number in ASCII digits.",
        references=(
            LAST_EVENT_ID,
            INTERPRETING,
            wpt("format-field-id-null", "format-field-retry-bogus"),
        ),
        breaks=(
            "Browsers ignore the field, and resume at the wrong place or not at all; a long or strange id needs "
            "a CORS preflight."
        ),
        fix="Use a short ASCII counter as the id, and milliseconds in digits as retry.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="unique ids of short ASCII without NUL; retry of ASCII digits",
)
def id_retry_valid(seen: Observed, _case: Case) -> Finding:
    found: list[Finding] = []
    known: set[bytes] = set()
    for line in seen.transcript.lines:
        if line.field == b"id":
            if problem := _id_problem(line.value, known):
                found.append(Finding(problem[0], problem[1], (seen.at(line.offset),)))
            else:
                found.append(met("ids and retry values are valid"))
            known.add(line.value)
        elif line.field == b"retry":
            if problem := _retry_problem(line.value):
                found.append(Finding(problem[0], problem[1], (seen.at(line.offset),)))
            else:
                found.append(met("ids and retry values are valid"))
    return worst(found, not_applicable("the stream has neither id nor retry"))


def _id_problem(value: bytes, known: set[bytes]) -> tuple[Verdict, str] | None:
    if b"\0" in value:
        return Verdict.FAIL, "an id holds NUL: parsers ignore it"
    if value and value in known:
        return Verdict.FAIL, f"the id {_show(value)} stands on more than one event"
    if not value.isascii() or len(value) > LONG_ID:
        return Verdict.WARN, f"the id {_show(value)} is not short ASCII: sending it back costs a preflight"
    return None


def _retry_problem(value: bytes) -> tuple[Verdict, str] | None:
    if not value.isdigit():
        return Verdict.FAIL, f"retry is {_show(value)}: parsers ignore it"
    milliseconds = int(value[:18])
    if not SHORT_RETRY_MS <= milliseconds <= LONG_RETRY_MS:
        return Verdict.WARN, f"retry is {milliseconds:,} ms (sensible: 500 ms to 5 minutes)"
    return None


@per_stream(
    Requirement(
        "framing.event-size-64k",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "No line is longer than 64 KiB; longer ones are legal, but common readers have a limit there.",
        references=(
            "Go, bufio.MaxScanTokenSize: https://github.com/golang/go/blob/master/src/bufio/scan.go",
            issue("openai/openai-go", 368),
            PARSING,
        ),
        breaks=(
            "Go's bufio.Scanner and older releases of openai-go stop at 64 KiB, readline in aiohttp at 64 or 128 KiB."
        ),
        fix="Split long text into several events, and send files by reference.",
    ),
    scenarios=("big", *PLAIN),
    applies=sse,
    expected="lines of at most 64 KiB, or a whole big event",
)
def event_size_64k(seen: Observed, _case: Case) -> Finding:
    if seen.sent_text is not None and len(seen.sent_text) > LONG_LINE:
        if seen.received_text == seen.sent_text:
            return met(f"a token of {show_bytes(len(seen.sent_text))} arrives whole")
        got = show_bytes(len(seen.received_text))
        return fail(
            f"of a text of {show_bytes(len(seen.sent_text))} {got} arrived: {seen.how_it_went()}",
            seen.at(seen.differs_at),
        )
    longest = max(seen.transcript.lines, key=lambda line: len(line.raw), default=None)
    if longest is None or len(longest.raw) <= LONG_LINE:
        return inconclusive("no big event came", MOCK)
    judged = fail if len(longest.raw) > TOO_LONG_LINE else warn
    return judged(
        f"a line has {show_bytes(len(longest.raw))}: line readers with small limits break", seen.at(longest.offset)
    )
