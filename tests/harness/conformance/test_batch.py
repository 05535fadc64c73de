"""Several targets at once."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from streamgauge.conformance.batch import CheckOptions, check_all
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.selection import select
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.errors import ExitCode
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

ASKED = CheckOptions(select(("framing.no-bom",)), pace=Pace(tokens=4, ttft="1ms", itl="1ms"))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: x\n\ndata: [DONE]\n\n"
TARGETS = 4


class Together(socketserver.ThreadingTCPServer):
    """Answers no first request before every target has made one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.arrived = threading.Barrier(TARGETS)
        self.met = False


class Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Together)
        head = b""
        while b"\r\n\r\n" not in head and (data := self.request.recv(65_536)):
            head += data
        if not self.server.met:
            self.server.arrived.wait(30)
            self.server.met = True
        self.request.sendall(ANSWER)


@pytest.fixture
def together() -> Iterator[str]:
    with Together() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def subject(url: str, name: str) -> CheckedTarget:
    return CheckedTarget(url=url, name=name, dialect="raw-text", method="GET")


def test_targets_are_asked_at_the_same_time_and_reported_in_their_order(together: str) -> None:
    """One after the other would wait for ever at the first."""
    subjects = [subject(f"{together}/{n}", f"target {n}") for n in range(TARGETS)]

    report = check_all(subjects, ASKED)

    assert [row.name for row in report.targets] == [f"target {n}" for n in range(TARGETS)]
    assert [checks.results[0].verdict for checks in report.measured] == [Verdict.PASS] * TARGETS
    assert report.exit_code is ExitCode.OK


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as server:
        yield f"{server.url}/v1/chat/completions"


def test_an_interrupted_run_keeps_what_was_measured(mock: str) -> None:
    """Ctrl-C during the second of three targets."""
    subjects = [CheckedTarget(url=mock, name=name) for name in ("one", "two", "three")]

    def progress(index: int, _what: str, _done: int, _total: int) -> None:
        if index == 1:
            raise KeyboardInterrupt

    report = check_all(subjects, ASKED, jobs=1, progress=progress)

    assert report.interrupted
    assert [(row.name, row.reason) for row in report.targets] == [
        ("one", None),
        ("two", "interrupted"),
        ("three", "interrupted"),
    ]
    assert report.exit_code is ExitCode.INTERRUPTED


def test_each_target_tells_its_progress(mock: str) -> None:
    told: list[tuple[int, int, int]] = []

    check_all(
        [CheckedTarget(url=mock, name="one"), CheckedTarget(url=mock, name="two")],
        ASKED,
        progress=lambda index, _what, done, total: told.append((index, done, total)),
    )

    for number in (0, 1):
        last = [(done, total) for index, done, total in told if index == number][-1]
        assert last[0] == last[1]


def test_no_target_could_be_measured() -> None:
    """Exit 3 only then."""
    nobody = [subject(f"http://127.0.0.1:1/{n}", f"target {n}") for n in range(2)]

    report = check_all(nobody, ASKED)

    assert report.exit_code is ExitCode.CANNOT_MEASURE
    assert all("cannot connect" in (row.reason or "") for row in report.targets)


@pytest.mark.parametrize(
    ("query", "upstream", "verdict"),
    [
        ("", False, Verdict.INCONCLUSIVE),
        ("?message=x", False, Verdict.WARN),
        ("?message={{prompt}}", False, Verdict.WARN),
        ("", True, Verdict.WARN),
    ],
    ids=["guessed", "in the URL", "said", "seen by the mock"],
)
def test_nothing_is_blamed_for_where_the_harness_put_the_prompt(
    mock: str, query: str, upstream: bool, verdict: Verdict
) -> None:
    """An endpoint that was asked with ?message= on a guess may read no prompt at all, unless its upstream saw it."""
    base = mock.removesuffix("/v1/chat/completions")
    asked = ASKED._replace(selected=select(("security.prompt-not-in-url",)))

    report = check_all([CheckedTarget(url=f"{base}/stream{query}", mock=base if upstream else None)], asked)

    assert [one.verdict for checks in report.measured for one in checks.results] == [verdict]
