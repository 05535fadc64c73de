"""The five guides' endpoints as real ASP.NET Core programs, in the sandwich: what the harness says of each.

They are not part of the project: STREAMGAUGE_ASPNET names the folder that holds their `run` script.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamgauge import load, probe
from streamgauge.conformance.permissions import Allowed
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.run import check
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.selection import select
from streamgauge.diagnosis.cancel_matrix import run_matrix
from streamgauge.endpoint.client import StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.upstream import marked
from streamgauge.protocol.dialects.signalr import HubTable
from streamgauge.protocol.outcome import Outcome
from tests.e2e.conftest import free_port

FOLDER = os.environ.get("STREAMGAUGE_ASPNET")
pytestmark = pytest.mark.skipif(not FOLDER, reason="STREAMGAUGE_ASPNET does not name the guides' programs")

# The OpenAI .NET SDK says nothing of an answer without [DONE].
CUT = "termination.truncation-distinguishable"
# What the profile aspnet, which `Server: Kestrel` selects, makes a MUST.
EMPTY = "errors.machine-readable"
NO_DONE = "custom.explicit-done-event"
# Every error of the model becomes 500 or 502, except S3's 429.
ALL_5XX = {"errors.rate-limit-kept", "errors.caller-fault-kept"}
PACE = Pace(tokens=16, ttft="5ms", itl="5ms")


@pytest.fixture(scope="module")
def guides(mock: str) -> Iterator[str]:
    """The guides' endpoints with the mock as their model."""
    assert FOLDER is not None
    port = free_port()
    process = subprocess.Popen(
        [str(Path(FOLDER) / "run"), "guides"],
        env={**os.environ, "UPSTREAM": f"{mock}/v1", "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, "the guides' programs ended at once"
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("route", "dialect", "fails"),
    [
        # A model that refuses the prompt for its length makes them answer 500.
        (
            "/s0/chat/stream",
            "event-text",
            {"http.validation-before-stream", "errors.mid-stream-event", CUT, EMPTY, NO_DONE, *ALL_5XX},
        ),
        (
            "/s1/api/chat/stream",
            "token-done",
            {"http.validation-before-stream", "errors.mid-stream-event", CUT, EMPTY, *ALL_5XX},
        ),
        (
            "/s1/api/chat/stream?message=x",
            "json-string",
            {"http.validation-before-stream", "errors.mid-stream-event", CUT, EMPTY, NO_DONE, *ALL_5XX},
        ),
        (
            "/s3/api/chat/stream?prompt=x",
            "token-done",
            {"errors.mid-stream-event", CUT, NO_DONE, "errors.caller-fault-kept"},
        ),
        ("/s4/api/chat/stream", "event-json", {"http.validation-before-stream", "errors.mid-stream-event", CUT, EMPTY}),
        (
            "/s2/relay",
            "raw-text",
            {
                "http.validation-before-stream",
                "framing.known-fields",
                "framing.data-prefix-every-line",
                "text.newline-roundtrip",
                "errors.pre-stream-status",
                "errors.mid-stream-event",
                CUT,
                "errors.distinguishable-from-content",
                "cancel.upstream-aborted",
                "cancel.before-first-token",
                "security.sse-injection",
                "errors.message-framed",
                "security.no-raw-provider-error",
                EMPTY,
                NO_DONE,
            },
        ),
    ],
)
def test_a_guides_endpoint_fails_what_it_was_measured_to_get_wrong(
    mock: str, guides: str, route: str, dialect: str, fails: set[str]
) -> None:
    with StreamClient() as client, MockControl(mock) as control:
        target = settle(client, Target(url=guides + route))
        checks = check(client, target, select(), mock=control, pace=PACE)

    assert checks.dialect == dialect
    assert {one.id for one in checks.results if one.verdict is Verdict.FAIL} == fails
    warned = {one.id for one in checks.results if one.verdict is Verdict.WARN}
    assert warned >= {"errors.content-filter", "errors.context-length"}
    (retries,) = (one for one in checks.results if one.id == "errors.retry-amplification")
    assert "4 requests reached the upstream" in retries.actual  # the SDK's own, which every guide leaves as they are
    assert not [one.id for one in checks.results if one.verdict is Verdict.ERROR]


@pytest.mark.parametrize("route", ["/s1/limited/api/chat/stream", "/s3/api/chat/stream?prompt=x"])
def test_ten_streams_at_once_are_the_limit_of_all_users_together(mock: str, guides: str, route: str) -> None:
    """And the framework says 503 where it should say 429."""
    allowed = Allowed(streams=16, second_key="another-user")
    with StreamClient() as client, MockControl(mock) as control:
        target = settle(client, Target(url=guides + route))
        checks = check(client, target, select(("limits",)), mock=control, allowed=allowed)

    verdicts = {one.id: one.verdict for one in checks.results}
    assert verdicts["limits.concurrency-429"] is Verdict.WARN
    assert verdicts["limits.per-user-not-global"] is Verdict.WARN
    assert verdicts["limits.parallel-isolation"] is Verdict.PASS


def test_cancelling_reaches_the_model_where_the_token_is_threaded_through(mock: str, guides: str) -> None:
    with StreamClient() as client, MockControl(mock) as control:
        target = settle(client, Target(url=f"{guides}/s0/chat/stream"))
        rows = run_matrix(client, target, control, "endpoint")

    assert {row.verdict for row in rows} == {"pass"}


def test_a_signalr_hub_is_measured_as_its_model_wrote(mock: str, guides: str) -> None:
    """TTFT counts from the invocation: the model's own, and what the hub adds."""
    target = Target(url=f"{guides}/s2/hub", signalr=HubTable("Ask"), mock=mock)
    probe(target, prompt="[[mock tokens=2]]")  # the first call of a program compiles it
    spec, stream_id = marked(target, "", tokens=20, ttft="200ms", itl="20ms")
    with StreamClient.to(target) as client, MockControl(mock) as control:
        transcript = client.run(spec, dialect=target.reader())
        (entry,) = control.entries(stream_id)

    assert (transcript.outcome, transcript.detail) == (Outcome.OK, None)
    assert transcript.text == "".join(text for _, text in transcript.tokens)
    assert len(transcript.tokens) == entry.tokens_written == 20
    arrived_ns = [transcript.time_of(event) for event, _ in transcript.tokens]
    assert all(read_ns >= written_ns for read_ns, written_ns in zip(arrived_ns, entry.token_ns(), strict=True))
    assert transcript.capture.start_ns <= entry.arrival_ns


@pytest.mark.parametrize(
    ("prompt", "method", "outcome", "says"),
    [
        ("[[mock fault=rst:5]]", "Ask", Outcome.ERROR_EVENT, "An error occurred"),
        ("[[mock tokens=5]]", "Nothing", Outcome.ERROR_EVENT, "Method does not exist"),
    ],
)
def test_a_hub_s_failure_is_its_own(guides: str, prompt: str, method: str, outcome: Outcome, says: str) -> None:
    stream = probe(Target(url=f"{guides}/s2/hub", signalr=HubTable(method)), prompt=prompt)
    assert stream.outcome == outcome.value
    assert says in (stream.detail or "")


def test_cancelling_a_hub_s_method_reaches_the_model(mock: str, guides: str) -> None:
    target = Target(url=f"{guides}/s2/hub", signalr=HubTable("Ask"))
    with StreamClient.to(target) as client, MockControl(mock) as control:
        rows = run_matrix(client, target, control, "endpoint")
    assert {(row.method, row.verdict) for row in rows} == {
        ("INVOCATION", "pass"), ("FIN", "pass"), ("RST", "pass")}  # fmt: skip


def test_a_hub_carries_a_load(mock: str, guides: str, tmp_path: Path) -> None:
    target = Target(url=f"{guides}/s2/hub", signalr=HubTable("Ask"), mock=mock)
    result = load(target, users=3, duration="4s", directory=tmp_path / "run")
    truth = json.loads((result.directory / "run.json").read_text())["truth"]
    assert result.run.dialect == "signalr"
    assert truth["streams"] > 5
    assert truth["ttft_ms"]["p50"] >= truth["true_ttft_ms"]["p50"]
