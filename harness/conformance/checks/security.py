"""security.*: what must not come out, and what must not get in."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from harness.conformance.cases import Case, Observed, printable
from harness.conformance.checks.errors import REFUSALS
from harness.conformance.leaks import SECRETS, mask
from harness.conformance.registry import (
    Finding,
    fail,
    inconclusive,
    info,
    met,
    not_applicable,
    per_stream,
    unmet,
    whole_case,
    worst,
)
from harness.conformance.result import Evidence
from harness.conformance.scenarios import HAPPY, MOCK, PLAIN, SCENARIOS
from harness.secrets import is_secret

TRACES: Final = (
    ("a .NET stack trace", re.compile(r"   at [\w.`<>]+\([^)]*\)|\bSystem\.[\w.]*Exception\b")),
    ("a Python traceback", re.compile(r"Traceback \(most recent call last\)|\bFile \"[^\"]+\", line \d+")),
    ("a Java stack trace", re.compile(r"\bat [\w.$]+\([\w]+\.java:\d+\)|\b(?:java|javax)\.[\w.]*Exception\b")),
    ("a JavaScript stack trace", re.compile(r"\bat (?:[\w.<>]+ )?\(?(?:file://|/|node:)[^\s)]+:\d+:\d+\)?")),
    ("a source file's path", re.compile(r"(?:/[\w.-]+)+\.(?:cs|py|go|java|ts|rb|rs):(?:line )?\d+")),
)
_CONTROL_EVENTS: Final = ("done", "error")
_EXPECTED_FIELDS: Final = frozenset({b"data", b"event"})


def answered(seen: Observed) -> bool:
    return seen.answered


def _texts(seen: Observed) -> Iterator[tuple[str, str, int | None]]:
    """Everything of an answer in which something could stand that should not: where, the text, its offset."""
    head = seen.head
    for name, value in head.headers if head else ():
        yield f"header {name}", value, None
    yield "the body", seen.transcript.body.decode("utf-8", "replace"), 0
    # A secret that is split over tokens shows only when they are joined.
    yield "the text", seen.transcript.text, None


def _found(seen: Observed, where: str, text: str, match: re.Match[str], offset: int | None) -> Evidence:
    if offset is None:
        return seen.note(f"{where}: {mask(match[0])}")
    return seen.at(len(text[: match.start()].encode("utf-8", "replace")), where)


@per_stream(
    "security.no-secret-leak",
    reads=tuple(SCENARIOS),
    wants=answered,
    expected="no key, token or connection string in any header, event or error",
)
def no_secret_leak(seen: Observed, _case: Case) -> Finding:
    for where, text, offset in _texts(seen):
        for name, pattern in SECRETS:
            if match := pattern.search(text):
                return unmet(f"what looks like {name} stands in {where}", _found(seen, where, text, match, offset))
    return met("nothing that looks like a secret")


@per_stream(
    "security.no-stack-trace",
    reads=(*REFUSALS, "mid-error", "mid-rst", "wrong-method", *HAPPY),
    wants=answered,
    expected="no stack trace, source path or exception type",
)
def no_stack_trace(seen: Observed, _case: Case) -> Finding:
    # JSON escapes the line breaks and quotes by which a trace is recognised.
    for where, text, offset in _texts(seen):
        readable = text.replace("\\n", "\n").replace('\\"', '"')
        for name, pattern in TRACES:
            if match := pattern.search(readable):
                place = offset if readable == text else None
                return unmet(f"{name} stands in {where}", _found(seen, where, readable, match, place))
    return met("no stack trace")


@whole_case("security.prompt-not-in-url", reads=HAPPY, expected="prompt and credentials outside the URL")
def prompt_not_in_url(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.of(HAPPY)[:1]:
        for name, value in parse_qsl(urlsplit(seen.url).query, keep_blank_values=True):
            if is_secret(name):
                found.append(fail(f"a credential is passed in the URL, as {printable(name, 40)}", seen.note(seen.url)))
            elif seen.prompt and seen.prompt in value:
                found.append(unmet(f"the prompt is passed in the URL, as {printable(name, 40)}", seen.note(seen.url)))
    return worst(found, met("the URL holds neither prompt nor credential"))


@per_stream(
    "security.cors-no-wildcard-credentials",
    reads=("cors",),
    wants=answered,
    expected="no wildcard or reflected origin together with credentials",
)
def cors_no_wildcard_credentials(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    origin = head.get("access-control-allow-origin") if head else None
    if origin is None:
        return not_applicable("no CORS headers")
    credentials = ((head.get("access-control-allow-credentials") if head else None) or "").strip().lower() == "true"
    evidence = seen.header("Access-Control-Allow-Origin")
    if credentials and (origin == "*" or origin == seen.origin):
        return unmet(f"origin {printable(origin, 60)} is allowed with credentials", evidence)
    if origin == "*":
        return info("any origin may read the stream, without credentials", evidence)
    return met(f"origin {printable(origin, 60)}, credentials {'allowed' if credentials else 'not allowed'}")


@per_stream(
    "security.sse-injection",
    reads=("injection",),
    wants=lambda seen: seen.streams,
    expected="text that looks like event-stream fields arrives as text",
)
def sse_injection(seen: Observed, case: Case) -> Finding | None:
    if seen.said is None:
        return None
    if not seen.upstream:
        return inconclusive("the mock saw no request: the prompt's directive did not reach it", MOCK)
    ordinary = {line.field for one in case.of(PLAIN) for line in one.transcript.lines} | _EXPECTED_FIELDS
    forged = [line for line in seen.transcript.lines if line.field is not None and line.field not in ordinary]
    if forged:
        name = printable((forged[0].field or b"").decode("utf-8", "replace"), 40)
        return unmet(f"text became the field {name!r}", seen.at(forged[0].offset))
    text = seen.transcript.text
    if case.dialect is not None and case.dialect.terminal is None:
        # Where no end marker is agreed on, a token that looks like one is text like any other.
        text = "".join(event.data for event in seen.transcript.events if event.type not in _CONTROL_EVENTS)
    if text == seen.said:
        return met("it arrives as text")
    got, sent = len(text), len(seen.said)
    return unmet(f"text was taken for structure: {got:,} of {sent:,} characters arrived as text", seen.at(0))
