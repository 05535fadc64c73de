"""A SignalR hub is asked as its own client asks, and whatever it does becomes an outcome."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.hub_transport import MOST_ANSWER_BYTES, MOST_TOKEN_CHARS, TAKEN_S
from streamgauge.endpoint.target import Target
from streamgauge.protocol.dialects.by_pointer import StreamTable
from streamgauge.protocol.dialects.signalr import HubTable
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.connection import Close
from streamgauge.transport.exchange import Driver
from streamgauge.wire import End
from tests.builders.signalr_hub import CLOSE, COMPLETION, NEGOTIATED, Do, Hub, Script, Step, hub


@pytest.fixture(params=[lambda: None, epoll_driver, native_driver], ids=["blocking", "epoll", "native"], autouse=True)
def waits(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with each driver; where the native reader is absent, its tests block."""
    global waiting
    waiting = request.param()
    yield
    waiting = None


waiting: Driver | None = None


def ask(running: Hub, *, keep: bool = True, leave: Close | None = None, **options: Any) -> Transcript:
    given = Target(url=running.url, signalr=options.pop("signalr", HubTable("Ask")), timeout="5s")
    target = Target(**{name: getattr(given, name) for name in given.__struct_fields__} | options)
    with StreamClient.to(target, driver=waiting) as client:
        leaving = None if leave is None else lambda reader: leave if reader.token_events else None
        return client.run(target.request("Hi"), dialect=target.reader(), keep=keep, on_token=leaving)


def outcome_of(*method: Step, **options: Any) -> tuple[Outcome, str | None, str]:
    with hub(Script(method)) as running:
        transcript = ask(running, **options)
        return transcript.outcome, transcript.detail, transcript.text


@pytest.mark.parametrize("keep", [True, False])
def test_a_stream_starts_with_its_invocation_and_ends_with_its_completion(*, keep: bool) -> None:
    with hub(Script(("Hel", 0.05, "lo", COMPLETION, Do.SILENCE))) as running:
        transcript = ask(running, keep=keep, headers={"X-Api-Key": "abc"})

    assert (transcript.outcome, transcript.detail, transcript.text) == (Outcome.OK, None, "Hello")
    assert (transcript.capture.end, transcript.capture.method, transcript.capture.url) == (
        End.COMPLETE, "POST", running.url)  # fmt: skip
    assert running.invocations == [{"type": 4, "invocationId": "0", "target": "Ask", "arguments": ["Hi"]}]
    assert [(method, path) for method, path, _ in running.requests] == [
        ("POST", "/hub/negotiate?negotiateVersion=1"),
        ("GET", "/hub?id=to%2Fken%2B1"),
        ("POST", "/hub?id=to%2Fken%2B1"),
        ("POST", "/hub?id=to%2Fken%2B1"),
    ]
    assert {headers["X-Api-Key"] for _, _, headers in running.requests} == {"abc"}
    record = record_of(transcript, "a", url="")
    assert len(record.token_reads) == 2
    assert all(at_ns >= 0 for at_ns in record.reads.at_ns)
    assert record.reused
    assert record.headers_ns is None


def test_the_query_of_the_hub_is_kept() -> None:
    with hub() as running:
        assert ask(running, url=f"{running.url}?tenant=7").outcome is Outcome.OK
    assert [path for _, path, _ in running.requests][:2] == [
        "/hub/negotiate?tenant=7&negotiateVersion=1", "/hub?tenant=7&id=to%2Fken%2B1"]  # fmt: skip


def test_arguments_carry_the_prompt_where_they_say() -> None:
    with hub() as running:
        ask(running, signalr=HubTable("Ask", [7, {"text": 'say "{{prompt}}"'}, None]))
    assert running.invocations[0]["arguments"] == [7, {"text": 'say "Hi"'}, None]


def test_an_unfinished_event_before_the_invocation_is_completed_behind_it() -> None:
    """The hub greets its clients when they connect, and a part of that is on its way when the method is called."""
    before: list[Step] = [{}, {"type": 1, "target": "Welcome", "arguments": []}, b'data: {"ty']
    with hub(Script((b'pe":6}\x1e\r\n\r\n', "Hello", COMPLETION), handshake=before)) as running:
        transcript = ask(running)
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "Hello")
    assert '{"type":6}\x1e' in [event.data for event in transcript.events]


def test_several_records_in_an_event_are_messages_each() -> None:
    item = b'{"type":2,"invocationId":"0","item":"a"}\x1e'
    with hub(Script((b"data: " + item * 3 + b'{"type":3,"invocationId":"0"}\x1e\r\n\r\n',))) as running:
        transcript = ask(running)
    assert (transcript.outcome, len(transcript.tokens)) == (Outcome.OK, 3)


@pytest.mark.parametrize(
    ("method", "expected", "says"),
    [
        (("a", {**COMPLETION, "error": "no model"}), Outcome.ERROR_EVENT, "no model"),
        (({**COMPLETION, "error": "Method does not exist."},), Outcome.ERROR_EVENT, "Method does not exist."),
        (("a", {**CLOSE, "error": "shutting down"}), Outcome.ERROR_EVENT, "shutting down"),
        (("a", CLOSE), Outcome.TRUNCATED, "a Completion message"),
        (("a", Do.END), Outcome.TRUNCATED, "a Completion message"),
        (("a", Do.CUT), Outcome.TRUNCATED, "before the final chunk"),
        ((COMPLETION,), Outcome.EMPTY, "without a single token"),
        (("a", {"type": 3, "invocationId": "other"}, Do.END), Outcome.TRUNCATED, "a Completion message"),
        (("a", b"data: what\x1e\r\n\r\n", COMPLETION), Outcome.PROTOCOL_ERROR, "not JSON"),
        (("a", b'data: {"type":6}\r\n\r\n', COMPLETION), Outcome.PROTOCOL_ERROR, "lacks its end"),
        (("a", {"type": 2, "invocationId": "0", "item": 7}, COMPLETION), Outcome.PROTOCOL_ERROR, "[stream] text"),
        (("a", {"type": 2, "invocationId": "0", "item": {"error": "gone"}}, COMPLETION), Outcome.ERROR_EVENT, "gone"),
    ],
)
def test_the_hub_says_how_a_stream_went(method: tuple[Step, ...], expected: Outcome, says: str) -> None:
    outcome, detail, _ = outcome_of(*method)
    assert outcome is expected
    assert says in (detail or "")


def test_a_token_event_may_be_an_object_whose_text_the_target_file_names() -> None:
    items: list[Step] = [{"type": 2, "invocationId": "0", "item": {"delta": text, "n": 1}} for text in ("a", "b")]
    assert outcome_of(*items, COMPLETION, stream=StreamTable(text="/delta")) == (Outcome.OK, None, "ab")


@pytest.mark.parametrize(
    ("method", "expected"), [(("a", Do.SILENCE), Outcome.STALLED), ((Do.SILENCE,), Outcome.TIMEOUT)]
)
def test_silence_ends_a_stream_and_pings_do_not_hide_it(method: tuple[Step, ...], expected: Outcome) -> None:
    ping = b'data: {"type":6}\x1e\r\n\r\n'
    began = time.monotonic()
    outcome, _, _ = outcome_of(*method[:-1], *(step for _ in range(40) for step in (ping, 0.1)), timeout="1s")
    assert outcome is expected
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("script", "expected", "says"),
    [
        (Script(status=401), Outcome.HTTP_ERROR, "HTTP 401"),
        (Script(negotiated=[]), Outcome.PROTOCOL_ERROR, "negotiate: the answer is not a JSON object"),
        (Script(negotiated={"error": "not allowed"}), Outcome.PROTOCOL_ERROR, "not allowed"),
        (Script(negotiated={"url": "http://a.test/", "accessToken": "s"}), Outcome.PROTOCOL_ERROR, "another server"),
        (Script(negotiated={"connectionToken": "x" * (MOST_TOKEN_CHARS + 1)}), Outcome.PROTOCOL_ERROR, "no connection"),
        (Script(negotiated={"connectionToken": 7}), Outcome.PROTOCOL_ERROR, "no connection token"),
        (Script(negotiated={"connectionToken": "x" * 4 * MOST_ANSWER_BYTES}), Outcome.PROTOCOL_ERROR, "the answer "),
        (
            Script(negotiated={**NEGOTIATED, "availableTransports": [{"transport": "WebSockets"}]}),
            Outcome.PROTOCOL_ERROR,
            "does not offer the transport ServerSentEvents",
        ),
        (Script(negotiated={"connectionToken": "unknown"}), Outcome.HTTP_ERROR, "HTTP 404"),
        (Script(stream_status=503), Outcome.HTTP_ERROR, "HTTP 503"),
        (Script(posts={"handshake": 500}), Outcome.HTTP_ERROR, "HTTP 500"),
        (Script(posts={"invocation": 404}), Outcome.HTTP_ERROR, "HTTP 404"),
        (Script(handshake=({"error": "no json"},)), Outcome.ERROR_EVENT, "no json"),
        (Script(handshake=({**CLOSE, "error": "full"},)), Outcome.ERROR_EVENT, "full"),
        (Script(handshake=(Do.END,)), Outcome.PROTOCOL_ERROR, "did not answer the handshake"),
        (Script(handshake=(Do.CUT,)), Outcome.TRUNCATED, "did not answer the handshake"),
        (Script(handshake=(b": " + b"x" * MOST_ANSWER_BYTES + b"\n",)), Outcome.PROTOCOL_ERROR, "larger than"),
        (Script(handshake=(b":\n", 0.1) * 100), Outcome.TIMEOUT, "did not answer the handshake"),  # not even dripping
        (Script(handshake=()), Outcome.TIMEOUT, "did not answer the handshake"),
        (
            Script(stream_headers={"Content-Type": "text/event-stream", "Content-Encoding": "br"}),
            Outcome.PROTOCOL_ERROR,
            "compresses",
        ),
    ],
)  # fmt: skip
def test_a_hub_that_gives_no_stream_says_why(script: Script, expected: Outcome, says: str) -> None:
    with hub(script) as running:
        transcript = ask(running, timeout="1s")
    assert transcript.outcome is expected
    assert says in f"{transcript.detail} {transcript.capture.detail}"


def test_nothing_is_sent_to_the_server_that_a_negotiation_names() -> None:
    with hub() as other, hub(Script(negotiated={"url": "elsewhere", "accessToken": "x"})) as running:
        ask(running)
        assert (len(running.requests), other.requests) == (1, [])


def test_a_post_that_is_never_answered_does_not_hold_the_stream() -> None:
    with hub(Script(posts={"invocation": 0})) as running:
        transcript = ask(running)
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "Hello")
    first_ns = transcript.time_of(transcript.tokens[0][0]) - transcript.capture.start_ns
    assert first_ns < TAKEN_S * 1e9  # by the kernel's stamp, however late it was read


def test_nothing_listens() -> None:
    with hub() as running:
        pass
    assert ask(running).outcome is Outcome.CONNECT_ERROR


@pytest.mark.parametrize("how", [Close.FIN, Close.RST, Close.INVOCATION])
def test_a_user_leaves(how: Close) -> None:
    with hub(Script(("a", Do.SILENCE))) as running:
        transcript = ask(running, leave=how)
        assert running.cancelled.is_set() is (how is Close.INVOCATION)
    assert transcript.outcome is Outcome.CANCELLED
