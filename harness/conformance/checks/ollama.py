"""ollama.*: the lines of /api/chat and /api/generate, https://github.com/ollama/ollama/blob/main/docs/api.md."""

from typing import Final

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed, printable
from streamgauge.conformance.finding import Finding, lesser, met, unmet
from streamgauge.conformance.payloads import kind_of, objects
from streamgauge.conformance.profile import Profile, Rule
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MAY, MUST, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import OLLAMA, source
from streamgauge.conformance.vendors import DOCUMENTED_ONLY, judge_payloads, no_error
from streamgauge.conformance.wants import stream, success
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.units import plural

PROFILES: Final = (
    Profile(
        "ollama",
        "Ollama's JSON lines",
        (
            Rule(
                "http.validation-before-stream",
                None,
                "a request without a prompt makes Ollama load a model, and is answered with 200",
            ),
            Rule("errors.content-filter", None, "Ollama filters nothing, and has no reason that would say so"),
            Rule("errors.machine-readable", MAY, 'every error of Ollama is {"error": "text"}, without a code'),
        ),
    ),
)

ollama = speaks("ollama", "ollama-generate")

COUNTERS: Final = ("total_duration", "eval_count")
_EVENT_STREAM: Final = (b"data:", b"event:", b"id:", b"retry:", b":")


@per_stream(
    Requirement(
        "ollama.one-json-per-line",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "Every line is one JSON object and ends with a line feed: no blank lines, and nothing of an event stream.",
        references=(OLLAMA, source("ollama-python, read", "json.loads of every line")),
        breaks="ollama-python and ollama-js raise at the first line that is anything else.",
        fix="Serialize each object on one line; a heartbeat can only be an object with empty content.",
        lesser="The last line ends with a line feed too.",
        causes={
            "blank-line": "Write no blank line between objects, nor as a heartbeat.",
            "event-stream": (
                "Write the objects themselves, without event: and data: prefixes: this dialect is no event stream."
            ),
            "no-final-newline": "End the last line with a newline too.",
        },
    ),
    scenarios=PLAIN,
    applies=ollama,
    wants=stream,
    expected="one JSON object a line",
)
def one_json_per_line(seen: Observed, _case: Case) -> Finding | None:
    pending = seen.transcript.pending
    lines = [*seen.transcript.lines, *([pending] if pending is not None else [])]
    for number, line in enumerate(lines, 1):
        offset = line.offset
        if not line.raw.strip():
            return unmet(f"line {number:,} is blank", seen.at(offset), cause="blank-line")
        if line.raw.startswith(_EVENT_STREAM):
            return unmet(f"line {number:,} is one of an event stream", seen.at(offset), cause="event-stream")
        value = decode(line.raw)
        if isinstance(value, NotJson):
            return unmet(f"line {number:,} is not one JSON object: {printable(value.reason)}", seen.at(offset))
        if not isinstance(value, dict):
            return unmet(f"line {number:,} is a JSON {kind_of(value)}", seen.at(offset))
    if pending is not None:
        return lesser("the last line has no line feed", seen.at(pending.offset), cause="no-final-newline")
    return met(f"{plural(len(lines), 'line')}, each one object") if lines else None


@per_stream(
    Requirement(
        "ollama.payload-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every line is what the vendor defines: a message with a role, or a response, texts as strings, the arguments "
        "of a tool call as an object, and every member with its type.",
        references=(
            OLLAMA,
            source("ollama-python 0.6, run", "each line becomes a typed response"),
        ),
        breaks="ollama-python raises ValidationError for a member of another type or a line without a message (tried).",
        fix="Serialize each line from one type; write the arguments of a tool call as an object, not as a string.",
        lesser=DOCUMENTED_ONLY,
    ),
    scenarios=(*HAPPY, "tools"),
    applies=ollama,
    wants=stream,
    expected='{"model", "created_at", "message": {"role": "assistant", "content": "..."}, "done": false}',
)
def payload_shape(seen: Observed, case: Case) -> Finding | None:
    return judge_payloads(seen, DEFINITIONS[case.dialect_name or "ollama"])


@per_stream(
    Requirement(
        "ollama.done-true-last",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "Every object has a boolean done; it is true in the last one only, which has done_reason and the counters.",
        references=(OLLAMA,),
        breaks="No client looks for it, so half an answer passes for a whole one.",
        fix="End every path with the final object, or with an error line.",
        lesser="The last object has done_reason and the counters.",
        causes={
            "repeated": "Write done: true in one place: here two places do, so it is repeated.",
            "not-last": "Write the object with done: true as the last one.",
            "missing-fields": (
                "Pass the fields of the upstream's last object on: done_reason and the counts are missing."
            ),
        },
    ),
    scenarios=HAPPY,
    applies=ollama,
    wants=success,
    expected='"done": false, and in the last object "done": true with done_reason, durations and counts',
)
def done_true_last(seen: Observed, _case: Case) -> Finding | None:
    payloads = list(objects(seen.transcript))
    for payload in payloads:
        if kind_of(payload.value.get("done")) != "boolean":
            return unmet(f"done is {kind_of(payload.value.get('done'))}", seen.at(payload.event.offset))
    done = [payload for payload in payloads if payload.value["done"]]
    if not payloads:
        return None
    if not done:
        why = seen.transcript.detail or "the stream just ends"
        return unmet(f"no object has done: true: {why}", seen.at(len(seen.transcript.body)))
    if len(done) > 1:
        return unmet(f"done: true comes {len(done)} times", seen.at(done[1].event.offset), cause="repeated")
    if done[0] is not payloads[-1]:
        return unmet("objects follow done: true", seen.behind(done[0].event), cause="not-last")
    missing = [key for key in ("done_reason", *COUNTERS) if key not in done[0].value]
    if missing:
        return lesser(
            f"the last object has no {' and no '.join(missing)}", seen.at(done[0].event.offset), cause="missing-fields"
        )
    return met("done: true once, last")


@per_stream(
    Requirement(
        "ollama.error-line",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        'A failure in mid-stream is one line {"error": "message"}, and the body ends there, without done: true.',
        references=(OLLAMA, source("ollama-python, read", "raises for an error key in a line")),
        breaks="ollama-python raises for such a line only; whatever else comes is a parse error or a clean end.",
        fix="Write the error as an object of its own on one line, and end the body.",
        causes={
            "not-text": 'Write the error as a text, {"error": "..."}: clients show it as it is.',
            "not-last": "End the body after the error line: it is the last one.",
        },
    ),
    scenarios=("mid-error", *HAPPY),
    applies=ollama,
    wants=stream,
    expected='{"error": "message"} as the last line',
)
def error_line(seen: Observed, _case: Case) -> Finding:
    error = seen.transcript.first(Kind.ERROR)
    if error is None:
        odd = next((event for event in seen.transcript.events if isinstance(decode(event.data), NotJson)), None)
        if seen.scenario == "mid-error" and seen.upstream and odd is not None:
            return unmet("the upstream failed, and the error line is not JSON", seen.at(odd.offset))
        return no_error(seen)
    event = seen.transcript.events[error.event]
    value = decode(event.data)
    if not isinstance(value, dict) or not isinstance(value.get("error"), str):
        return unmet("the error is not a string", seen.at(event.offset), cause="not-text")
    if event is not seen.transcript.events[-1]:
        return unmet("lines follow the error", seen.behind(event), cause="not-last")
    return met("an error line ends the stream")
