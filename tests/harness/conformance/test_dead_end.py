"""An endpoint that stops answering in the middle of a check: the rest is not waited for, and nothing is guessed."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.cases import Case
from streamgauge.conformance.dead_end import IN_A_ROW, DeadEnd, NoLongerAnswers, is_silent
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.errors import ExitCode
from streamgauge.wire import End
from tests.builders.listening import Listening
from tests.builders.tapes import chunk, head, read

HEAD = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Connection: close")
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WAIT_S = 0.5


class TaskAndQueue(Listening):
    """Sends the head of each response; the rest comes from a worker, which dies after so many answers.

    With `revives`, another worker takes its place at each request after so many silent ones.
    """

    def __init__(self, answers: int, revives: int | None = None) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._answers, self._revives = answers, revives
        self.silent = 0

    def serve(self, connection: socket.socket) -> None:
        request = connection.recv(65536)
        if not request.startswith(b"POST /v1/chat/completions "):
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            return
        connection.sendall(HEAD)
        with self._lock:
            self._answers -= 1
            answers = self._answers >= 0 or (self._revives is not None and self.silent >= self._revives)
            self.silent += not answers
        if answers:
            connection.sendall(chunk(TOKEN) + chunk(END) + b"0\r\n\r\n")
        else:
            connection.settimeout(30)
            connection.recv(65536)


@pytest.fixture
def client() -> Iterator[StreamClient]:
    with StreamClient(read_timeout_s=WAIT_S) as made:
        yield made


CHECKS = select(("*",))


def target_of(server: TaskAndQueue) -> Target:
    return Target(url=f"http://127.0.0.1:{server.port}/v1/chat/completions")


def test_the_rest_is_undecided_when_the_endpoint_no_longer_answers(client: StreamClient) -> None:
    with TaskAndQueue(answers=4) as server:
        began = time.monotonic()
        case = run.observe(client, target_of(server), CHECKS)
        took = time.monotonic() - began

    results = judge_case(case, CHECKS)
    late = [one for one in results if "no longer answers" in one.actual]
    assert case.dead_end is not None
    assert {one.verdict for one in late} == {Verdict.INCONCLUSIVE}
    assert len(late) > 1
    # The requests under way, those in a row before the probe, and the probe.
    assert server.silent <= 12
    assert took < 12 * WAIT_S
    # The first hang counts against the endpoint, the others do not.
    silent = [seen for seen in case.observed if is_silent(seen.transcript)]
    assert len([seen for seen in silent if seen.crowded is None]) == 1
    assert any(one.verdict is Verdict.PASS for one in results)


def test_a_check_that_could_not_be_finished_is_not_a_pass(client: StreamClient) -> None:
    with TaskAndQueue(answers=4) as server:
        checks = run.check(client, target_of(server), CHECKS)

    assert Case(reference=Case(out_of_time=True)).unfinished == "the time of the whole check was over"
    row = TargetChecks(name="x", target="x", checks=checks, failing=[])  # what was found counts by itself
    assert (checks.unfinished or "").startswith("the endpoint no longer answers")
    assert (
        ChecksReport(streamgauge="1", started="now", fail_on="fail", targets=[row]).exit_code is ExitCode.CANNOT_MEASURE
    )


def test_an_endpoint_that_answers_the_probe_is_checked_to_the_end(client: StreamClient) -> None:
    with TaskAndQueue(answers=4, revives=IN_A_ROW) as server:
        case = run.observe(client, target_of(server), CHECKS)

    assert case.dead_end is None
    assert not any("no longer answers" in one.actual for one in judge_case(case, CHECKS))


ANSWERED = read([(0, HEAD + chunk(TOKEN))], None)


@pytest.mark.parametrize("between", [ANSWERED, None])
def test_only_silence_in_a_row_leads_to_a_probe(between: object) -> None:
    """And a probe that is answered starts the count again."""
    probes = []

    def probe() -> bool:
        probes.append(1)
        return len(probes) < 2

    watch = DeadEnd(probe)
    silent = read([(0, HEAD)], End.TIMEOUT)
    for _ in range(IN_A_ROW - 1):
        watch.after(silent)
    if between is not None:
        watch.after(ANSWERED)
    watch.after(silent)
    assert len(probes) == (between is None)
    for _ in range(2 * IN_A_ROW):
        watch.after(silent)
    assert len(probes) == 2
    with pytest.raises(NoLongerAnswers, match="no longer answers"):
        watch.before()
