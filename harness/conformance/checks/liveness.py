"""liveness.*: whether heartbeats keep an idle connection alive, and whether a dead upstream is noticed."""

from itertools import pairwise
from typing import Final

from streamgauge.conformance.applies import sse
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HEARTBEAT_NS, PLAIN, Case, Observed, printable
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import ANTHROPIC, AUTHORING, guides, issue, source
from streamgauge.conformance.waiting import longest_silence, tries_in_words
from streamgauge.conformance.wants import anything
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import SECOND, show_ms
from streamgauge.wire import End

# The scenarios in which heartbeats are most likely.
QUIET: Final = ("quiet-middle", "quiet-start", "quiet-forever")
# Durations in heartbeat intervals of 15 s.
TOLERANCE: Final = 1.2  # 18 s
LATEST: Final = 2.0  # 30 s, where the first intermediary cuts
SOON: Final = 3.0  # a divisor: an event after a third of an interval may be a heartbeat
STALL: Final = 12.0  # 180 s, after which a silent upstream counts as dead

# How many seconds of silence each intermediary allows by default.
BUDGETS: Final = (
    (30, "CloudFront"),
    (60, "nginx and AWS's ALB"),
    (125, "Cloudflare"),
    (300, "Envoy"),
    (350, "AWS's NLB"),
)

MANY: Final = 300
PATIENT: Final = "an endpoint that waits longer for its model"


@per_stream(
    Requirement(
        "liveness.heartbeat-is-comment",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "A heartbeat is a comment or the dialect's own ping, never an empty or made-up token.",
        references=(
            AUTHORING,
            ANTHROPIC,
            guides("heartbeats are comments"),
        ),
        breaks="openai-python raises JSONDecodeError at an empty payload (tried); interfaces show an empty message.",
        fix="Send a comment line and a blank line; in Anthropic's dialect, its ping event.",
    ),
    scenarios=(*PLAIN, *QUIET),
    applies=sse,
    expected="heartbeats as comments or ping events",
    broken_by=BrokenBy(fault="heartbeat-data"),
)
def heartbeat_is_comment(seen: Observed, case: Case) -> Finding:
    transcript = seen.transcript
    events = transcript.events
    fake = [event for event in events if not event.data]
    if case.dialect is not None and not case.dialect.json_payload:
        # In text a line break or an update without text also gives an empty event, so only one after silence counts.
        times = {event.offset: transcript.time_of(event) for event in events}
        silent = {
            event.offset
            for before, event in pairwise(events)
            if times[event.offset] - times[before.offset] >= case.heartbeat_ns / SOON
        }
        fake = [event for event in fake if event.offset in silent]
    if fake:
        return unmet(
            f"{len(fake):,} empty events: as heartbeats they are content to every client", seen.at(fake[0].offset)
        )
    if case.dialect_name == "openai-chat" and (ping := transcript.first(Kind.PING)):
        event = events[ping.event]
        shown = printable(event.data, 40)
        return unmet(f"{shown} is no chunk: clients look for choices in every payload", seen.at(event.offset))
    if transcript.comments or transcript.first(Kind.PING):
        return met(f"{transcript.comments:,} comments")
    return not_applicable("no heartbeat came")


@per_stream(
    Requirement(
        "liveness.heartbeat-shape-safe",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "Heartbeat comments break no SDK: no id is in force when a comment is a block of its own, and at most "
        "300 comments follow each other.",
        references=(
            source("openai-python 3.3.1, run", "after an id, a comment and a blank line raise JSONDecodeError"),
            source("go-openai, read", "more than 300 lines without data raise ErrTooManyEmptyStreamMessages"),
        ),
        breaks="openai-python, go-openai and older releases of openai-go end the stream with an error.",
        fix=(
            "Send no ids in OpenAI's dialects, or end the comment with one line feed only; space heartbeats by seconds."
        ),
    ),
    scenarios=(*PLAIN, *QUIET),
    applies=sse,
    expected="heartbeats that break no client: no id in force, at most 300 in a row",
    broken_by=BrokenBy(fault="heartbeat-after-id"),
)
def heartbeat_shape_safe(seen: Observed, _case: Case) -> Finding:
    if not seen.transcript.comments:
        return not_applicable("no heartbeat came")
    id_in_force = only_comments = False
    in_a_row = 0
    for line in seen.transcript.lines:
        if line.is_comment:
            only_comments, in_a_row = True, in_a_row + 1
            if in_a_row > MANY:
                return unmet(f"more than {MANY} comments in a row: go-openai gives up", seen.at(line.offset))
        elif line.raw:
            id_in_force = id_in_force or (line.field == b"id" and bool(line.value))
            only_comments, in_a_row = False, 0
        elif only_comments:
            if id_in_force:
                return unmet("a comment block while an id is in force: openai-python raises", seen.at(line.offset))
            only_comments = False
    return met("no known client breaks on the heartbeats")


@per_stream(
    Requirement(
        "liveness.heartbeat-idle-15s",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "While no token arrives in mid-stream, the server sends something at least every 15 s.",
        references=(
            AUTHORING,
            guides("an empty comment every 15 s"),
            issue("dotnet/aspnetcore", 65103),
        ),
        breaks="CloudFront cuts an idle stream after 30 s, nginx and ALB after 60 s, Cloudflare after 125 s.",
        fix=(
            "Merge a timer of 15 s with the tokens, in one writer, "
            "and write a comment line and a blank line when it fires."
        ),
    ),
    scenarios=("quiet-middle",),
    applies=sse,
    wants=anything,
    expected="no more than 18 s without a byte while the upstream is silent for 50 s",
    broken_by=BrokenBy(mock="--heartbeat 0"),
)
def heartbeat_idle(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    return _silence(seen, case)


@per_stream(
    Requirement(
        "liveness.heartbeat-before-first-token",
        SHOULD,
        Severity.HIGH,
        Basis.OPS,
        "Before the first token, the server sends something at least every 15 s.",
        references=(AUTHORING, issue("BerriAI/litellm", 34374)),
        breaks="A long prefill or reasoning ends in a 504 of ALB or CloudFront, or in the client's read timeout.",
        fix=(
            "Send the head and a first comment after 10 s at the latest, then one every 15 s. The price: after the "
            "head only an error event can report a failure, and no longer the status."
        ),
    ),
    scenarios=("quiet-start",),
    applies=sse,
    wants=anything,
    expected="no more than 18 s without a byte while the first token takes 40 s",
    broken_by=BrokenBy(mock="--heartbeat 0"),
)
def heartbeat_before_first_token(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    return _silence(seen, case)


def _silence(seen: Observed, case: Case) -> Finding | None:
    """The longest silence from the request on, judged by the interval that heartbeats should keep."""
    transcript = seen.transcript
    silence_ns = seen.silence_ns
    if silence_ns is None:
        return None
    gap = longest_silence(transcript)
    gave_up = _gave_up(seen)
    how = "".join(f"; {part}" for part in (gave_up, tries_in_words(seen)) if part)
    if gap.ns > LATEST * case.heartbeat_ns:
        scaled = gap.ns * HEARTBEAT_NS // case.heartbeat_ns
        cut = ", ".join(f"{product} after {limit} s" for limit, product in BUDGETS if limit * SECOND <= scaled)
        return unmet(f"{gap}; intermediaries would cut this stream: {cut}{how}", seen.note(seen.how_it_went()))
    if gap.ns > TOLERANCE * case.heartbeat_ns:
        return unmet(f"{gap}{how}", seen.note(f"{transcript.comments:,} comments"))
    if gave_up:
        return inconclusive(f"{gave_up}, before a heartbeat was missing{how.removeprefix('; ' + gave_up)}", PATIENT)
    if silence_ns <= TOLERANCE * case.heartbeat_ns:
        return inconclusive(f"the silence was only {show_ms(silence_ns)}", "--long with --max-duration 60s or more")
    return met(f"at most {gap} while the upstream was silent for {show_ms(silence_ns)}")


def _gave_up(seen: Observed) -> str | None:
    """How the endpoint ended its wait for the upstream, and after how long; None where it waited to the end."""
    transcript, capture = seen.transcript, seen.transcript.capture
    if transcript.outcome is Outcome.OK or capture.end_ns is None:
        return None
    after = f"after {show_ms(capture.end_ns - (capture.sent_ns or capture.start_ns))}"
    if (seen.status or 0) >= 400:
        return f"the endpoint gave up {after} with status {seen.status}"
    if transcript.outcome is Outcome.ERROR_EVENT:
        return f"the endpoint gave up {after} with an error: {printable(transcript.detail or '')}"
    if capture.end is End.TIMEOUT:
        return f"this client gave up {after}"
    return f"the stream ended {after}: {printable(transcript.detail or transcript.outcome.value)}"


@per_stream(
    Requirement(
        "liveness.heartbeat-not-masking-stall",
        SHOULD,
        Severity.HIGH,
        Basis.OPS,
        "Heartbeats do not hide a dead upstream for ever: an error follows within 180 s.",
        references=("kimi-code#1798", "Rapid-MLX#1359", guides("a timeout of its own around the model")),
        breaks="A client's read timeout never fires, so the user waits for ever; load tests count the stream as alive.",
        fix="Give each token of the upstream a timeout of its own, and send an error event when it fires.",
        causes={
            "silent-end": "Send an error event when the timeout fires: a silent end looks like a complete answer.",
        },
    ),
    scenarios=("quiet-forever",),
    applies=sse,
    wants=anything,
    expected="an error event within 180 s of the last token",
    broken_by=BrokenBy(mock="--heartbeat 15s"),
)
def heartbeat_not_masking_stall(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    transcript = seen.transcript
    tokens = transcript.tokens
    end_ns = transcript.capture.end_ns
    if not tokens or end_ns is None:
        return None
    last_ns = transcript.time_of(tokens[-1][0])
    beats = _beats_after(transcript, last_ns)
    waited = show_ms(end_ns - last_ns)
    if transcript.outcome is Outcome.ERROR_EVENT:
        return met(f"an error event came {waited} after the last token")
    if not beats:
        return not_applicable(f"no heartbeat was sent in {waited}, so none can hide the stall")
    if transcript.capture.end is not End.TIMEOUT:
        return unmet(
            f"the stream ended {waited} after the last token, without an error",
            seen.note(seen.how_it_went()),
            cause="silent-end",
        )
    if end_ns - last_ns < STALL * case.heartbeat_ns:
        return inconclusive(
            f"{beats:,} heartbeats and no error in {waited}", "--long with --max-duration 200s, or without it"
        )
    tries = f"; {tries_in_words(seen)}" if tries_in_words(seen) else ""
    return unmet(f"{beats:,} heartbeats and no error in {waited}{tries}", seen.note(f"silent upstream for {waited}"))


def _beats_after(transcript: Transcript, since_ns: int) -> int:
    """Heartbeats, as comments or pings, that came after a time."""
    reads = transcript.capture.reads
    comments = sum(line.is_comment and reads[line.read_index].t_ns > since_ns for line in transcript.lines)
    pings = sum(
        found.delta.kind is Kind.PING and transcript.time_of(transcript.events[found.event]) > since_ns
        for found in transcript.deltas
    )
    return comments + pings
