"""Findings quote the right bytes: each tape that makes a check object, and the place that the finding shows."""

import re
from dataclasses import replace
from typing import Final

import pytest

from streamgauge.conformance.cases import Case, Observed, visible
from streamgauge.conformance.result import CheckResult, Evidence, Verdict
from tests.builders.together import together
from tests.harness.conformance.examples import EXAMPLES, by_check, judge, judged, named
from tests.harness.conformance.tapes import Example

# What stands at the offset, where it is in the middle of a line; everything else is quoted from a line's beginning.
IN_A_LINE: Final = {
    "framing.line-endings": rb"\r",
    "framing.data-prefix-every-line": rb"two|\ttwo|data: one\ndata: (two)?",
    "text.utf8-valid": rb"\xff|\xc3\n|\xef\xbf\xbd|\\ud83c|\\ufffd|data: caf",
    "text.unicode-line-separators-escaped": rb"\xe2\x80\xa8|data: ",
    "security.no-secret-leak": rb"sk-|postgres://app:hunter2@",
    "security.no-stack-trace": rb"Traceback|/ChatService.cs:line 42|at com\.acme",
    "security.no-raw-provider-error": (
        rb"the upstream model failed|org-|Incorrect API key|openai\.|ClientResultException|api\.openai\.com"
    ),
    "errors.partial-event-terminated-first": rb'event: error|data: {"error"',
    "limits.parallel-isolation": rb"bird2|data: ",
    "errors.message-framed": rb"streamgauge-|data: streamgauge-",
    # The comment is harmless; the blank line that dispatches it is what an SDK raises at.
    "liveness.heartbeat-shape-safe": rb"\n|: ka",
}
# What the quoted line or event begins with, in the examples of these checks.
QUOTED: Final = {
    "framing.known-fields": rb"error: x|message:|Data: x| data: x|lost text|\{\n|\{\"error",
    "framing.no-merged-events": rb"data: [^\n]+\ndata: ",
    "framing.no-rewrapped-lines": rb"data: (data|event|):",
    "framing.single-line-json": rb"data: [^\n]+\ndata: ",
    "framing.space-after-colon": rb"data:(\S|  )",
    "framing.no-empty-data": rb"data:? ?\n",
    "framing.no-metadata-only-blocks": rb"(event: ping|retry: 3000|id: 1)\n\n",
    "framing.id-retry-valid": rb"id: (a\0b|1\n|\xc3|a{99})|retry:( soon| 100)?\n",
    "framing.event-size-64k": rb"data: x{99}",
    "text.json-valid": rb"data: (\{'|\{\"token\": NaN|\{\"token\":\"a\",\}|\[\[)|\{\"model\"",
    "openai-chat.constant-id": rb"[^\n]*(chatcmpl-(9|1)|\"cmpl-2\")",
    "openai-chat.done-sentinel": rb"(event: end\n)?data: \"?\[(DONE|done)\]|data: \{",
    "openai-chat.no-null-error-key": rb"[^\n]*\"error\"",
    "custom.consistent-shape": rb"data: \{\"text\"|event: token\ndata: [^\n]*\"n\":1|data: \{\"token\":\"x\"\}\n",
    "custom.event-names-stable": rb"event: (To Ken|token|e12)\n",
    "errors.distinguishable-from-content": rb"data: (Error:|\[ERROR\])",
    "errors.no-success-after-error": rb"data: (\[DONE\]|\{\"token\":\"\",\"done\":true)",
    "gemini.data-lines-only": rb": ping|event: x|id: 1|retry: 1000",
}
# Here the fault is that something is missing: the whole body, or a part that an event should contain.
MISSING: Final = re.compile(
    r"\bno\b|\bwithout\b|\bend|\bcut\b|not JSON|only the|only loses|gets the marker of success|still waits"
    r"|still running|still runs|the longest silence|hangs|becomes|never|not follow"
)
OBJECTING = by_check(one for one in EXAMPLES if one.verdict in (Verdict.FAIL, Verdict.WARN))
# The first bytes of an answer that is wrong as a whole, and of a comparison with another answer.
AS_A_WHOLE: Final = {
    "custom.raw-text-hazard", "errors.machine-readable", "errors.pre-stream-status", "headers.content-type",
    "openai-chat.error-shape", "openai-chat.stream-flag-honoured", "resume.last-event-id-honoured",
    "resume.no-regeneration", "security.replay-scoped", "termination.no-eventsource-loop", "limits.input-size",
    "limits.concurrency-429", "limits.rate-429", "limits.parallel-isolation", "custom.schema",
}  # fmt: skip


def placed(case: Case, result: CheckResult) -> list[tuple[Observed, Evidence, int]]:
    """The evidence that has a place: the observation that it quotes, and its offset there."""
    observed = {one.label: one for one in case.observed}
    return [(observed[one.scenario], one, one.offset) for one in result.evidence if one.offset is not None]


@pytest.mark.parametrize("check", OBJECTING)
def test_a_finding_shows_what_it_is_about(check: str) -> None:
    """At least one piece of evidence, in words or bytes."""
    with together() as case:
        for example in OBJECTING[check]:
            with case(named(example)):
                _, result = judged(example)
                assert result.evidence
                assert all(item.note or item.excerpt for item in result.evidence if item.offset != 0)


@pytest.mark.parametrize("check", OBJECTING)
def test_the_offset_is_that_of_the_defect(check: str) -> None:
    """It begins a line that is not blank, or the bytes that the check is about; it is the end where all is missing."""
    with together() as case:
        for example in OBJECTING[check]:
            with case(named(example)):
                assert_offset_is_of_the_defect(example)


def assert_offset_is_of_the_defect(example: Example) -> None:
    case, result = judged(example)
    for observation, item, offset in placed(case, result):
        body = observation.transcript.body
        assert 0 <= offset <= len(body)
        if offset == len(body):
            assert MISSING.search(result.actual), result.actual
            continue
        if quoted := QUOTED.get(example.check):
            assert re.match(quoted, body[offset:]), body[offset : offset + 80]
        if pattern := IN_A_LINE.get(example.check):
            assert re.match(pattern, body[offset:]), body[offset : offset + 40]
        else:
            assert offset == 0 or body[offset - 1] in b"\r\n\xbf", body[offset - 20 : offset + 20]
            assert body[offset] not in b"\r\n" or "blank" in result.actual, body[offset - 20 : offset + 20]
        # The excerpt marks that very byte.
        assert item.excerpt is not None
        if item.mark is not None:
            assert visible(body[offset : offset + 4])[0] == item.excerpt[item.mark]


def has_a_place(example: Example) -> bool:
    """Whether the bytes that its finding quotes can be cut out of its one tape."""
    return (
        example.check not in AS_A_WHOLE
        and len(example.tapes) == 1
        and example.tapes[0].timed is None
        and 0 < len(example.tapes[0].body) < 5_000
    )


WITH_A_PLACE = by_check(one for examples in OBJECTING.values() for one in examples if has_a_place(one))


@pytest.mark.parametrize("check", WITH_A_PLACE)
def test_without_the_bytes_that_are_quoted_the_finding_is_another(check: str) -> None:
    """Cut out of the tape, to the end of their event, they take the finding along; or there are several like them."""
    with together() as case:
        for example in WITH_A_PLACE[check]:
            with case(named(example)):
                assert_another_without_the_quoted_bytes(example)


def assert_another_without_the_quoted_bytes(example: Example) -> None:
    case, result = judged(example)
    quoted = placed(case, result)
    if not quoted or quoted[0][2] == len(quoted[0][0].transcript.body):
        return
    (tape,) = example.tapes
    offset = quoted[0][2]
    blank = re.compile(rb"\r\n\r\n|\n\n|\r\r").search(tape.body, offset)
    end = blank.end() if blank else len(tape.body)

    def with_body(body: bytes) -> CheckResult:
        return judge(replace(example, tapes=(replace(tape, body=body),)))[1]

    without = with_body(tape.body[:offset] + tape.body[end:])
    if (without.verdict, without.actual) == (result.verdict, result.actual):
        alone = with_body(tape.body[offset:end])
        assert alone.verdict in (Verdict.FAIL, Verdict.WARN), "the defect is elsewhere"
