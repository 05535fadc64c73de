"""framing.*: bytes that the standard allows or skips, but that widely used clients read differently."""

from collections import Counter
from typing import Final

from streamgauge.conformance.applies import sse
from streamgauge.conformance.cases import FIELDS, PLAIN, WHITE_SPACE, Case, Observed, blocks
from streamgauge.conformance.checks.framing import BOM, data_lines, show_line
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.other_text import changes_any_text
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import INTERPRETING, LAST_EVENT_ID, PARSING, guides, issue, wpt
from streamgauge.units import show_bytes

LONG_LINE: Final = 64 * 1024
LONG_ID: Final = 1024
SHORT_RETRY_MS: Final = 500
LONG_RETRY_MS: Final = 300_000
_ENDINGS: Final = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}


@per_stream(
    Requirement(
        "framing.line-endings",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "Lines end with a line feed throughout; CR LF and CR are legal, but some clients do not recognise them.",
        references=(
            PARSING,
            wpt("format-newlines"),
        ),
        breaks=(
            "Readers that split at two line feeds find no event in a stream with CR LF; at CR alone openai-go and "
            "go-openai read nothing, and eventsource-parser loses the last event (tried)."
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
        "The stream contains no byte order mark. A mark at its very start is legal, but some clients then lose "
        "the first event.",
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
    # The lexer removes a BOM at the start. Any other at a line's start makes that field unknown.
    for line in seen.transcript.lines:
        if line.raw.startswith(BOM):
            return unmet(
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
        "One space follows the colon of a data line; the standard allows no space, but some clients require "
        "one, and raw text without it loses its own first space.",
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
    with_value = [line for line in data_lines(seen) if line.raw.partition(b":")[2]]
    bare = [line for line in with_value if not line.raw.startswith(b"data: ")]
    if bare:
        return unmet(f"no space after data: on {len(bare):,} of {len(with_value):,} lines", seen.at(bare[0].offset))
    is_json = case.dialect is None or case.dialect.json_payload
    # Later lines of a payload may be indented JSON, so only its first line is judged.
    leading = [next((line for line in block.lines if line.field == b"data"), None) for block in blocks(seen.transcript)]
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
        "No event has an empty payload; a data: line alone is legal, and clients get an empty message.",
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
        "No block has only event, id or retry and no data; such a block is legal, but no client receives it.",
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
        "Ids contain no NUL, differ from event to event and fit a request header; retry is a number in ASCII digits.",
        references=(
            LAST_EVENT_ID,
            INTERPRETING,
            wpt("format-field-id-null", "format-field-retry-bogus"),
        ),
        breaks=(
            "Browsers ignore an invalid field, and resume at the wrong place or not at all; a long or strange id "
            "needs a CORS preflight."
        ),
        fix="Use a short ASCII counter as the id, and milliseconds in digits as retry.",
        lesser="Ids are short ASCII, and retry lies between 500 ms and 5 minutes.",
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
                found.append(problem._replace(evidence=(seen.at(line.offset),)))
            else:
                found.append(met("ids and retry values are valid"))
            known.add(line.value)
        elif line.field == b"retry":
            if problem := _retry_problem(line.value):
                found.append(problem._replace(evidence=(seen.at(line.offset),)))
            else:
                found.append(met("ids and retry values are valid"))
    return worst(found, not_applicable("the stream has neither id nor retry"))


def _id_problem(value: bytes, known: set[bytes]) -> Finding | None:
    if b"\0" in value:
        return unmet("an id holds NUL: parsers ignore it")
    if value and value in known:
        return unmet(f"more than one event has the id {show_line(value)}")
    if not value.isascii() or len(value) > LONG_ID:
        return lesser(f"the id {show_line(value)} is not short ASCII: a browser needs a CORS preflight to send it back")
    return None


def _retry_problem(value: bytes) -> Finding | None:
    if not value.isdigit():
        return unmet(f"retry is {show_line(value)}: parsers ignore it")
    milliseconds = int(value[:18])
    if not SHORT_RETRY_MS <= milliseconds <= LONG_RETRY_MS:
        return lesser(f"retry is {milliseconds:,} ms (sensible: 500 ms to 5 minutes)")
    return None


@per_stream(
    Requirement(
        "framing.event-size-64k",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "No line is longer than 64 KiB. Longer lines are legal, but common readers have a limit there.",
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
def event_size_64k(seen: Observed, case: Case) -> Finding:
    if seen.sent_text is not None and len(seen.sent_text) > LONG_LINE:
        size = show_bytes(len(seen.sent_text))
        difference = seen.difference(ignored=WHITE_SPACE)  # lost white space is for text.whitespace-roundtrip
        if difference is None:
            return met(f"a token of {size} arrives whole")
        if doubt := changes_any_text(case):
            return doubt
        where = seen.at(seen.event_at(difference.at))
        got, sent = len(seen.received_text), len(seen.sent_text)
        if got < sent:
            actual = f"{got:,} of {sent:,} characters of a text of {size} arrived: {seen.how_it_went()}"
            return unmet(actual, where)
        return unmet(f"a text of {size} changed on its way: {difference}", where)
    longest = max(seen.transcript.lines, key=lambda line: len(line.raw), default=None)
    if longest is None or len(longest.raw) <= LONG_LINE:
        return inconclusive("no big event came", MOCK)
    return unmet(
        f"a line has {show_bytes(len(longest.raw))}: line readers with small limits break", seen.at(longest.offset)
    )
