"""security.*: whether secrets or internals leak out, and whether text or foreign origins get in."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from streamgauge.conformance.applies import custom, resumable
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import BLANKS, HAPPY, PLAIN, WHITE_SPACE, Case, Observed, first_difference, printable
from streamgauge.conformance.checks.errors import FAULTED, REFUSALS
from streamgauge.conformance.checks.resume import Rest, pair, rest_of
from streamgauge.conformance.finding import Finding, inconclusive, info, met, not_applicable, unmet, worst
from streamgauge.conformance.other_text import changes_any_text
from streamgauge.conformance.permissions import MOCK, PLACE
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.result import Evidence
from streamgauge.conformance.sources import CORS, LAST_EVENT_ID, PARSING, guides, issue, rfc, wpt
from streamgauge.conformance.wants import answer, stream
from streamgauge.leaks import mask, possible
from streamgauge.protocol.dialects.base import Kind, Media
from streamgauge.secrets import is_secret

# Bounded, as in harness/leaks.py.
TRACES: Final = (
    ("a .NET stack trace", re.compile(r"   at [\w.`<>]{1,300}\([^)]{0,300}\)|\bSystem\.[\w.]{0,100}Exception\b")),
    ("a Python traceback", re.compile(r"Traceback \(most recent call last\)|\bFile \"[^\"]{1,300}\", line \d+")),
    (
        "a Java stack trace",
        re.compile(r"\bat [\w.$]{1,300}\(\w{1,100}\.java:\d+\)|\b(?:java|javax)\.[\w.]{0,100}Exception\b"),
    ),
    (
        "a JavaScript stack trace",
        re.compile(r"\bat (?:[\w.<>]{1,200} )?\(?(?:file://|/|node:)[^\s)]{1,300}:\d+:\d+\)?"),
    ),
    ("a source file's path", re.compile(r"/[\w.-]{1,100}\.(?:cs|py|go|java|ts|rb|rs):(?:line )?\d+")),
)
_CONTROL_EVENTS: Final = ("done", "error")
_EXPECTED_FIELDS: Final = frozenset({b"data", b"event"})


def _texts(seen: Observed) -> Iterator[tuple[str, str, int | None]]:
    """Every part of an answer that could contain a leak: its place, its text and its offset."""
    head = seen.head
    for name, value in head.headers if head else ():
        yield f"header {name}", value, None
    yield "the body", seen.transcript.body.decode("utf-8", "replace"), 0
    # A secret may be split over several tokens, so the joined text is searched too.
    yield "the text", seen.transcript.text, None


def _found(seen: Observed, where: str, text: str, match: re.Match[str], offset: int | None) -> Evidence:
    if offset is None:
        return seen.note(f"{where}: {mask(match[0])}")
    return seen.at(len(text[: match.start()].encode("utf-8", "replace")), where)


@per_stream(
    Requirement(
        "security.no-secret-leak",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "No API key, credential or connection string appears in any header or event, error messages included.",
        references=(
            guides("keys stay on the server"),
            (
                "OWASP API Security Top 10 2023, API8 Security Misconfiguration: "
                "https://owasp.org/API-Security/editions/2023/en/0xa8-security-misconfiguration/"
            ),
        ),
        breaks="Whoever sees the answer can use the key: revoke it.",
        fix="Map failures to messages of your own, and log the details on the server under the request's id.",
    ),
    scenarios=(*HAPPY, *REFUSALS, *FAULTED),
    watches=True,
    wants=answer,
    expected="no key, token or connection string in any header, event or error",
)
def no_secret_leak(seen: Observed, _case: Case) -> Finding:
    for where, text, offset in _texts(seen):
        for secret in possible(text):
            if match := secret.pattern.search(text):
                reason = f"{where} contains text that looks like {secret.name}"
                return unmet(reason, _found(seen, where, text, match, offset))
    return met("nothing looks like a secret")


@per_stream(
    Requirement(
        "security.no-stack-trace",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "No answer contains a stack trace, a path of a source file, the name of an exception's type or a "
        "developer's error page.",
        references=(
            guides("a message for the client, the details for the log"),
            "OWASP, Improper Error Handling: https://owasp.org/www-community/Improper_Error_Handling",
        ),
        breaks="An attacker learns which software runs where.",
        fix="Turn the developer's error page off in production, and answer failures with a message of your own.",
    ),
    scenarios=(*REFUSALS, "mid-error", "mid-cut", "wrong-method", *HAPPY),
    wants=answer,
    expected="no stack trace, source path or exception type",
)
def no_stack_trace(seen: Observed, _case: Case) -> Finding:
    # A trace is recognised by its line breaks and quotes, which JSON escapes.
    for where, text, offset in _texts(seen):
        readable = text.replace("\\n", "\n").replace('\\"', '"')
        for name, pattern in TRACES:
            if match := pattern.search(readable):
                place = offset if readable == text else None
                return unmet(f"{where} contains {name}", _found(seen, where, readable, match, place))
    return met("no stack trace")


@whole_case(
    Requirement(
        "security.prompt-not-in-url",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Neither the prompt nor a credential is passed in the URL.",
        references=(
            rfc(9110, "17.9", "Disclosure of Sensitive Information in URIs"),
            rfc(9110, "9.3.1", "GET"),
        ),
        breaks="Access logs, histories and Referer headers keep what users typed.",
        fix=(
            "Take the prompt in the body of a POST, and the credential in a header; stream with fetch in place "
            "of EventSource."
        ),
    ),
    scenarios=HAPPY,
    expected="prompt and credentials outside the URL",
    broken_by=BrokenBy(shape="raw-text"),
)
def prompt_not_in_url(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.of(HAPPY)[:1]:
        for name, value in parse_qsl(urlsplit(seen.url).query, keep_blank_values=True):
            if is_secret(name):
                found.append(unmet(f"a credential is passed in the URL, as {printable(name, 40)}", seen.note(seen.url)))
            elif seen.prompt and seen.prompt in value and case.place_guessed:
                why = f"{printable(name, 40)} in the URL is only a guess of where the prompt goes"
                found.append(inconclusive(why, PLACE))
            elif seen.prompt and seen.prompt in value:
                found.append(unmet(f"the prompt is passed in the URL, as {printable(name, 40)}", seen.note(seen.url)))
    return worst(found, met("the URL holds neither prompt nor credential"))


@per_stream(
    Requirement(
        "security.cors-no-wildcard-credentials",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "Credentials are not allowed to every origin: neither to * nor to any Origin that a request states.",
        references=(
            CORS,
            wpt("eventsource-cross-origin"),
        ),
        breaks="Any site can read the stream of a user who is logged in.",
        fix="Allow a list of origins, and credentials only to those.",
    ),
    scenarios=("cors", "gzip"),
    wants=answer,
    expected="no wildcard or reflected origin together with credentials",
)
def cors_no_wildcard_credentials(seen: Observed, _case: Case) -> Finding | None:
    if seen.origin is None:
        return None
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
    Requirement(
        "security.sse-injection",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "Text of a model or a user cannot become a field or an event of the stream.",
        references=(
            PARSING,
            issue("fastapi/fastapi", 15187),
            "Hono, GHSA-p6xx-57qc-3wxr: https://github.com/advisories/GHSA-p6xx-57qc-3wxr",
            "h3, GHSA-4hxc-9384-m385: https://github.com/advisories/GHSA-4hxc-9384-m385",
        ),
        breaks="A prompt can end the stream, or forge events that the client trusts, tool calls among them.",
        fix="Put tokens into JSON; never build a data line from text that may hold a line break.",
    ),
    scenarios=("injection",),
    wants=stream,
    expected="text that looks like event-stream fields arrives as text",
)
def sse_injection(seen: Observed, case: Case) -> Finding | None:
    if seen.expected_text is None:
        return None
    if not seen.upstream:
        return inconclusive("the mock got no request: the prompt's directive did not reach it", MOCK)
    ordinary = {line.field for one in case.of(PLAIN) for line in one.transcript.lines} | _EXPECTED_FIELDS
    forged = [line for line in seen.transcript.lines if line.field is not None and line.field not in ordinary]
    if forged:
        name = printable((forged[0].field or b"").decode("utf-8", "replace"), 40)
        return unmet(f"text became the field {name!r}", seen.at(forged[0].offset))
    text = seen.received_text
    if case.dialect is not None and case.dialect.terminal is None and not case.dialect.json_payload:
        # Without an agreed end marker, a token that looks like a marker is ordinary text.
        text = seen.part("".join(event.data for event in seen.transcript.events if event.type not in _CONTROL_EVENTS))
    # Lost blanks are for text.whitespace-roundtrip, and breaks lost from JSON for text.newline-roundtrip.
    in_json = case.dialect is not None and case.dialect.json_payload and case.doubt is None
    difference = first_difference(text, seen.expected_text, WHITE_SPACE if in_json else BLANKS)
    if difference is None:
        return met("the hostile text arrives as text")
    if doubt := changes_any_text(case):
        return doubt
    return unmet(f"text was taken for structure: {difference}", seen.at(seen.event_at(difference.at)))


# Words that only a provider or its client library uses.
PROVIDER: Final = (
    ("an organisation's id", re.compile(r"\borg-[A-Za-z0-9]{8,}")),
    ("a provider's words", re.compile(r"Incorrect API key provided|platform\.openai\.com/|console\.anthropic\.com/")),
    (
        "a provider's host",
        re.compile(
            r"\bapi\.(?:openai|anthropic)\.com\b|\bgenerativelanguage\.googleapis\.com\b|\.openai\.azure\.com\b"
        ),
    ),
    (
        "an exception of a client library",
        re.compile(
            r"\b(?:ClientResultException|HttpRequestException|RpcException)\b"
            r"|\b(?:openai|anthropic|httpx|aiohttp|google\.\w+)\.\w+(?:Error|Exception)\b"
        ),
    ),
)
# What the mock says when it is asked to fail: stated here again, because the two sides share no code. A test compares
# them.
MOCK_WORDS: Final = ("the upstream model failed", "streamgauge-second line")


def application(case: Case) -> str | None:
    """For endpoints with their own shape. With a provider's dialect they would pass on the provider's errors too."""
    if case.dialect is not None and case.dialect.media is Media.TEXT:
        return None
    return custom(case)


@per_stream(
    Requirement(
        "security.no-raw-provider-error",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "The provider's own error messages, and the exceptions of the library that calls it, stay on the server.",
        references=(
            guides("no raw exceptions of the provider to the client"),
            "OWASP, Improper Error Handling: https://owasp.org/www-community/Improper_Error_Handling",
        ),
        breaks="They reveal organisation ids, names of deployments and parts of prompts.",
        fix="Answer with a message of your own and the request's id, and write the exception to the log.",
    ),
    scenarios=(*REFUSALS, *FAULTED, *HAPPY),
    applies=application,
    wants=answer,
    expected="a message of the application's own",
)
def no_raw_provider_error(seen: Observed, case: Case) -> Finding | None:
    if seen.scenario in HAPPY and not seen.failed_by_error:
        return None
    words = MOCK_WORDS if _is_behind(seen, case) else ()
    # A model's own text may mention a provider.
    for where, text, offset in _errors(seen) if seen.scenario in HAPPY else _texts(seen):
        for name, pattern in (*(("the model's own error text", re.compile(word)) for word in words), *PROVIDER):
            if match := pattern.search(text):
                return unmet(f"{where} contains {name}", _found(seen, where, text, match, offset))
    return met("no part of the provider's error came through")


def _errors(seen: Observed) -> Iterator[tuple[str, str, int | None]]:
    """The error events of a stream, in the form that `_texts` gives."""
    for index, delta in seen.transcript.deltas:
        if delta.kind is Kind.ERROR:
            yield "an error event", seen.transcript.events[index].data, None


def _is_behind(seen: Observed, case: Case) -> bool:
    """Whether an application stands between us and the mock: not the mock itself, nor a proxy that passes paths on."""
    if not case.has_mock or case.endpoint_is_mock or seen.upstream is None:
        return False
    return seen.upstream.path != urlsplit(seen.url).path


@whole_case(
    Requirement(
        "security.replay-scoped",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "An event's id continues a stream only for the user who received it.",
        references=(
            "frontmcp, a stream replayed to others: https://github.com/advisories/GHSA-84j6-jc92-77jm",
            LAST_EVENT_ID,
        ),
        breaks="Whoever guesses or sees an id reads another user's answer.",
        fix="Store replayable events under the user as well as the id, and answer 404 to everyone else.",
    ),
    scenarios=("replay",),
    applies=resumable,
    expected="a refusal, or an answer of the second user's own",
    broken_by=BrokenBy(fault="resume-unscoped", shape="token-done"),
)
def replay_scoped(case: Case) -> Finding:
    found = pair(case, "replay")
    if isinstance(found, Finding):
        return found
    cut, again = found
    note = again.note(f"Last-Event-ID: {cut.last_id}: {again.how_it_went()}")
    if again.status == 401:
        return inconclusive("the second key is refused with 401", "a --second-key that is known there")
    if not again.streams:
        return met(f"the second user gets {again.how_it_went()}", note)
    rest = rest_of(cut, again)
    if rest in (Rest.CONTINUED, Rest.GAP):
        return unmet("the second user gets the rest of the first user's stream", again.at(0), note)
    if rest is Rest.REPLAYED:
        if cut.upstream is None or again.upstream is None:
            return inconclusive("the second user gets the same text: the first user's, or generated again", MOCK)
        if again.upstream.requests <= cut.upstream.requests:
            return unmet("the second user gets the first user's stream again", again.at(0), note)
    return met("the second user gets a stream of its own")
