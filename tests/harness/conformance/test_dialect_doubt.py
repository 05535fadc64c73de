"""A dialect that was guessed, and what comes after the first event: a wrong guess must not blame the endpoint."""

import json
from dataclasses import replace
from typing import Any

import pytest

from streamgauge.conformance import profiles
from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import asks, judge_case
from streamgauge.conformance.result import Verdict
from streamgauge.protocol.dialects.choice import SETTLE
from streamgauge.protocol.outcome import Outcome
from streamgauge.wire import End
from tests.harness.conformance.tapes import Tape, chunk, headers
from tests.harness.conformance.tapes_dialects import GOOD as CHAT
from tests.harness.conformance.tapes_dialects import chat
from tests.harness.conformance.tapes_vendors import COHERE, GEMINI, OLLAMA, RESPONSE, TOOL
from tests.harness.conformance.tapes_vendors import GOOD as MESSAGE

UNMET = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)
NDJSON = headers(content_type="application/x-ndjson")


def data(*values: Any, name: str | None = None) -> bytes:
    event = f"event: {name}\n" if name else ""
    return b"".join(f"{event}data: {json.dumps(value)}\n\n".encode() for value in values)


TOKENS = [{"token": word, "done": False} for word in ("a", "b", "c")]
CHUNK = data(chunk())
# Streams that no dialect fits, the dialect in which they are read all the same, and the words of the doubt.
UNCERTAIN = {
    "openai for one event, then somebody's JSON": (
        CHUNK + data(*({"kind": "piece", "body": n} for n in range(5))), "openai-chat", "nothing that it knows"),
    "an event named token, then others": (
        data({"code": 1}, name="token") + data({"x": 1}, {"y": 2}, name="piece"), "event-json",
        "nothing that it knows"),
    "gemini's usage first, then something else": (
        data({"usageMetadata": {}}, {"output": "x"}, {"output": "y"}), "gemini", "nothing that it knows"),
    "half openai, half token-done": (CHUNK * 2 + data(*TOKENS[:2]), "openai-chat", "looks like token-done"),
    "another vendor's JSON": (
        data(*({"output": {"text": word}} for word in "abc")), "raw-text",
        '3 of 3 payloads are JSON of another shape (the text may be at text = "/output/text")'),
    "another vendor's named JSON": (
        data(*({"output": {"text": word}} for word in "abc"), name="piece"), "event-text",
        "3 of 3 payloads are JSON"),
    "Gradio": (
        data(["H"], ["He"], name="generating") + data(None, name="heartbeat") + data(["Hey"], name="complete"),
        "event-text", "3 of 3 payloads are JSON"),
}  # fmt: skip
# Foreign events, defects and habits that are no reason to doubt the dialect.
CERTAIN = {
    "openai": (CHAT, "openai-chat"),
    "openai, one payload broken": (CHUNK + b'data: {"choices":[{"delta":\n\n' + CHUNK * 2, "openai-chat"),
    "openai, ended as another would": (CHUNK * 4 + data({"done": True}), "openai-chat"),
    "openai, an error": (CHUNK + data({"error": {"message": "boom"}}), "openai-chat"),
    "openai, one event": (CHUNK, "openai-chat"),
    "openai behind a comment as data": (b"data: : OPENROUTER PROCESSING\n\n" * 2 + CHUNK * 4, "openai-chat"),
    "openai behind a ping": (data({}, name="ping") + CHUNK, "openai-chat"),
    "openai behind metadata": (data({"run_id": "1"}, name="metadata") + CHUNK * 2, "openai-chat"),
    "openai behind a keepalive": (data({"type": "keepalive"}) * 5 + CHUNK, "openai-chat"),
    "anthropic": (MESSAGE, "anthropic"),
    "anthropic, tools": (b"".join(TOOL), "anthropic"),
    "responses": (b"".join(RESPONSE), "openai-responses"),
    "gemini": (GEMINI, "gemini"),
    "cohere": (b"".join(COHERE), "cohere"),
    "token-done": (data(*TOKENS, {"token": "", "done": True}), "token-done"),
    "token-done behind one chunk": (CHUNK + data(*TOKENS, {"token": "", "done": True}), "token-done"),
    "openai behind anthropic's first event": (
        data({"type": "message_start", "message": {}}) + CHUNK * 5 + b"data: [DONE]\n\n", "openai-chat"),
    "token-done behind a JSON string": (data("start", *TOKENS), "token-done"),
    "raw text that says {}": (b"data: {}\n\ndata: a\n\ndata: b\n\n", "raw-text"),
    "text": (b"data: 1\n\ndata: 2\n\n", "raw-text"),
    "named text behind metadata": (
        data({"id": 1}, name="metadata") + b"event: token\ndata: a\n\n" * 2, "event-text"),
}  # fmt: skip
# Streams without evidence.
UNDECIDED = {
    "only an error": data({"error": {"message": "engine died"}}) + b"data: [DONE]\n\n",
    "a named error": data({"message": "engine died"}, name="error"),
    "pings and an error": data({"type": "ping"}, name="ping") + data({"type": "error", "errorText": "engine died"}),
}


def case_of(*tapes: Tape) -> Case:
    """As `observe` settles a case whose dialect the user did not name."""
    observed = [tape.play() for tape in tapes]
    happy = observed[0].transcript
    doubt = happy.dialect_doubt
    return Case(
        observed=observed,
        method="POST",
        dialect=happy.dialect,
        doubt=doubt,
        profile=profiles.of_dialect(None if doubt else happy.dialect),
    )


PIECES = data(*({"output": {"text": word}} for word in "abc"))
# Streams in doubt that fail, whichever dialect it is.
FAILING = {
    "an error behind JSON of no known shape": (
        Tape(body=PIECES + data({"message": "boom"}, name="error")), "error_event: boom"),
    "silence behind JSON of no known shape": (
        Tape(body=PIECES, end=End.TIMEOUT, detail="no content came for 4.0 s"), "no content came for 4.0 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_no_doubt_lets_an_endpoint_pass_that_only_ever_fails(name: str) -> None:
    """`passed`, with exit code 0: nearly every check was inconclusive, and none was left to fail."""
    tape, told = FAILING[name]
    case = case_of(tape, replace(tape, scenario="happy-2"))

    assert case.doubt is not None
    assert case.unfinished is not None
    assert case.unfinished.startswith("no ordinary stream ended well, ")
    assert told in case.unfinished


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_endpoint_that_shows_nothing_but_its_error_has_not_passed(name: str) -> None:
    case = replace(case_of(Tape(body=UNDECIDED[name])), doubt="the dialect is not known")

    assert case.unfinished is not None
    assert case.unfinished.endswith("(error_event: engine died)")


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_doubt_alone_leaves_a_run_whole(name: str) -> None:
    body, _, _ = UNCERTAIN[name]

    assert case_of(Tape(body=body)).unfinished is None


def test_an_endpoint_whose_every_answer_fails_behind_some_text_has_not_passed_either() -> None:
    failed = Tape(body=CHUNK * 3 + data({"error": {"message": "boom"}}))
    case = case_of(failed, replace(failed, scenario="happy-2"))

    assert case.doubt is None
    assert (case.unfinished or "").startswith("no ordinary stream ended well, ")
    assert case_of(failed, Tape(scenario="happy-2", body=CHAT)).unfinished is None


def test_one_ordinary_stream_that_ends_well_is_enough_in_doubt() -> None:
    failed = Tape(scenario="happy-2", body=PIECES + data({"message": "boom"}, name="error"))

    assert case_of(Tape(body=PIECES), failed).unfinished is None


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_doubt_says_what_contradicts_the_choice(name: str) -> None:
    body, guessed, told = UNCERTAIN[name]
    case = case_of(Tape(body=body))

    assert case.dialect_name == guessed
    assert case.doubt is not None
    assert case.doubt.startswith(f"the stream looked like {guessed} because ")
    assert told in case.doubt
    assert case.doubt.endswith(f"; {SETTLE}")


@pytest.mark.parametrize("name", UNCERTAIN)
def test_under_doubt_no_check_of_the_dialect_fails(name: str) -> None:
    """What the bytes alone show is judged all the same."""
    body = UNCERTAIN[name][0]
    case = case_of(Tape(body=body), Tape(body=body, scenario="happy-2"), Tape(body=body, scenario="mid-error"))

    results = judge_case(case, CHECKS.values())

    of_bytes = {"http", "headers", "framing", "security"}
    assert [one.id for one in results if one.verdict in UNMET and one.group not in of_bytes] == []
    doubted = [one for one in results if one.verdict is Verdict.INCONCLUSIVE and one.actual == case.doubt]
    assert doubted
    assert all("--dialect" in (one.needs or "") for one in doubted)
    assert any(one.verdict is Verdict.PASS and one.group == "framing" for one in results)


@pytest.mark.parametrize("name", CERTAIN)
def test_foreign_events_and_defects_make_no_doubt(name: str) -> None:
    body, guessed = CERTAIN[name]
    case = case_of(Tape(body=body))

    assert (case.dialect_name, case.doubt) == (guessed, None)


def test_a_dialect_that_was_named_is_never_doubted() -> None:
    named = Tape(body=UNCERTAIN["another vendor's JSON"][0], dialect="openai-chat").play()
    assert named.transcript.dialect_doubt is None


@pytest.mark.parametrize("name", UNDECIDED)
def test_a_stream_of_errors_and_heartbeats_decides_nothing_and_has_no_token(name: str) -> None:
    transcript = Tape(body=UNDECIDED[name]).play().transcript

    assert transcript.dialect is None
    assert transcript.tokens == []
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "engine died")


@pytest.mark.parametrize("body", [b'{"piece": 1}\n{"piece": 2}\n', b"".join(OLLAMA)])
def test_lines_of_json_that_nobody_knows_are_doubted(body: bytes) -> None:
    case = case_of(Tape(body=body, headers=NDJSON))
    assert (case.doubt is None) == (case.dialect_name == "ollama")


def test_nothing_is_asked_for_checks_that_a_doubt_answers() -> None:
    case = case_of(Tape(body=UNCERTAIN["another vendor's JSON"][0]))
    assert not asks(case, CHECKS["flush.lockstep"])
    assert asks(case, CHECKS["http.method-not-allowed"])


def test_a_stream_of_one_dialect_inside_of_another_s_words_is_believed() -> None:
    """A model that talks about other vendors' JSON changes nothing."""
    said = json.dumps({"token": "x", "done": True})
    assert case_of(Tape(body=chat(chunk(said), chunk(said), "[DONE]"))).doubt is None


def test_of_lines_with_only_an_error_nothing_of_event_streams_is_demanded() -> None:
    body = b'{"error": "engine died"}\n'
    case = case_of(Tape(body=body, headers=NDJSON))
    case.doubt = "the dialect is not known"

    results = judge_case(case, CHECKS.values())

    assert case.dialect is None
    assert [one.id for one in results if one.verdict in UNMET and one.group in ("headers", "framing", "custom")] == []
