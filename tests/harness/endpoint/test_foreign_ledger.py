"""A mock whose control API lies: an answer is one message, or a ledger with which everything can calculate."""

import json
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.clocks import Offset
from streamgauge.conformance.cases import Case, Observed, Position
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.diagnosis.abandonment import abandonment
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.diagnosis.cancellation import PHASES, judge_cancellation, overall
from streamgauge.endpoint.mock_ledger import PINGS, LedgerEntry, MockControl
from streamgauge.errors import CannotMeasure
from streamgauge.metrics.comparison import Ledgered, compare_with_ledger
from streamgauge.protocol.outcome import Outcome
from streamgauge.units import SECOND
from tests.builders.foreign_numbers import fragments, places, with_number
from tests.builders.made import made
from tests.builders.tapes import stream

ENTRY = {
    "seq": 1, "id": "s", "method": "POST", "path": "/v1/chat/completions", "dialect": "openai-chat",
    "arrival_ns": 1_000_000_000_000_000_000, "head_ns": 1_000_000_000_001_000_000,
    "writes": {"t_ns": [1_000_000_000_002_000_000, 1_000_000_000_003_000_000], "bytes": [100, 100], "token": [0, 1]},
    "tokens_planned": 2, "tokens_written": 2, "write_blocked_ns": 5,
    "disconnect": {"t_ns": 1_000_000_000_004_000_000, "kind": "fin", "tokens_before": 2, "tokens_after": 1},
    "end_ns": 1_000_000_000_005_000_000, "end": "complete", "status": 200, "prompt_tokens": 3,
    "received": {"max_tokens": 7, "tools": 0, "message_count": 1, "include_usage": True,
                 "messages": [{"role": "user", "characters": 5, "sha256": "00", "text": "hello"}]},
}  # fmt: skip
STREAM = stream(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n")
OFFSET = Offset(1_000, 1_000)


class Lying:
    """A control API that gives one answer to everything."""

    def __init__(self) -> None:
        self.body = b""
        self.asked = 0
        lying = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lying.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(lying.body)))
                self.end_headers()
                self.wfile.write(lying.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def entries(self, body: bytes) -> list[LedgerEntry]:
        self.body = body
        with MockControl(f"http://127.0.0.1:{self.server.server_port}") as mock:
            return mock.entries("s")

    def clock(self, body: bytes, enough_ns: int = 0) -> Offset:
        self.body, self.asked = body, 0
        with MockControl(f"http://127.0.0.1:{self.server.server_port}") as mock:
            return mock.clock(enough_ns)


@pytest.fixture(scope="module")
def lying() -> Iterator[Lying]:
    mock = Lying()
    yield mock
    mock.server.shutdown()
    mock.server.server_close()


def use(entries: list[LedgerEntry]) -> None:
    """Call every function that calculates with a ledger."""
    truth = {entry.id: Ledgered(entry.arrival_ns, entry.token_ns()) for entry in entries}
    record = made(200, 220, outcome=Outcome.CANCELLED)
    compare_with_ledger([record], truth, direct=True)
    upstream = upstream_of(entries, OFFSET)
    assert upstream is not None
    abandonment([record], {"s": upstream})
    overall([judge_cancellation(STREAM, upstream, path="direct", phase=phase, method="FIN") for phase in PHASES])
    observed = [
        Observed(scenario=scenario, transcript=STREAM, method="POST", url="http://x/", prompt="hi",
                 curl="curl http://x/", upstream=upstream)
        for scenario in SCENARIOS
    ]  # fmt: skip
    case = Case(observed=observed, method="POST", dialect=STREAM.dialect, position=Position.SANDWICH)
    results = judge_case(case, [check for check in CHECKS.values() if check.group in ("cancel", "fidelity", "limits")])
    assert [(one.id, one.actual) for one in results if one.verdict is Verdict.ERROR] == []


def test_an_honest_ledger_is_used(lying: Lying) -> None:
    use(lying.entries(json.dumps({"streams": [ENTRY]}).encode()))


@given(st.sampled_from(list(places(ENTRY))), fragments)
def test_whatever_number_a_ledger_has_it_is_refused_or_used(
    lying: Lying, place: tuple[str | int, ...], number: str
) -> None:
    body = b'{"streams": [' + with_number(json.dumps(ENTRY), place, number) + b"]}"
    with suppress(CannotMeasure):
        use(lying.entries(body))


@settings(max_examples=30)
@given(fragments)
def test_whatever_the_clock_says_it_is_refused_or_an_offset(lying: Lying, number: str) -> None:
    with suppress(CannotMeasure):
        assert abs(lying.clock(f'{{"realtime_ns": {number}}}'.encode("utf-8", "surrogatepass")).offset_ns) < 2**62


def test_a_clock_is_asked_until_the_error_is_small_enough(lying: Lying) -> None:
    answer = b'{"realtime_ns": 1800000000000000000}'

    assert lying.clock(answer, enough_ns=3600 * SECOND).error_ns > 0
    assert lying.asked == 1
    assert lying.clock(answer).error_ns > 0
    assert lying.asked == PINGS


def test_a_lie_is_one_message(lying: Lying) -> None:
    with pytest.raises(CannotMeasure, match=r"does not answer as a mock's control API: .*realtime_ns") as caught:
        lying.clock(b'{"realtime_ns": 9223372036854775808}')
    assert "--mock takes the address" in (caught.value.hint or "")
