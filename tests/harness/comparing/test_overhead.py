"""`overhead` against real servers: two mocks of which one answers later, and paths that give no stream."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streamgauge.comparing.overhead import OverheadReport, overhead
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.command import streamgauge
from tests.builders.wire_server import Do, WireServer

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def fast() -> Iterator[str]:
    with MockServer(MockConfig(tokens=3, ttft="5ms", itl="1ms")) as mock:
        yield mock.url + CHAT


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    with MockServer(MockConfig(tokens=3, ttft="45ms", itl="1ms")) as mock:
        yield mock.url + CHAT


def test_a_path_that_takes_40_ms_more_is_seen_on_warm_connections(fast: str, slow: str, tmp_path: Path) -> None:
    done = streamgauge("overhead", "--direct", fast, "--via", slow, "--max-pairs", "16", "--precision", "1us",
                       "--fail-on", "ttft > 10ms", "--fail-on", "e2e > 5s", "--json", tmp_path / "o.json")  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "The hop costs " in done.stdout
    report = msgspec.json.decode((tmp_path / "o.json").read_bytes(), type=OverheadReport)
    assert (report.pairs, report.stopped_by, report.reached) == (16, "16 pairs (--max-pairs)", False)
    assert [cost.metric for cost in report.costs] == ["ttft", "itl", "e2e"]
    assert report.costs[0].cost_ms.point > 20
    assert [limit.verdict for limit in report.limits] == ["above", "within"]
    assert not any("new connection" in note for note in report.notes)


def test_without_a_limit_a_cost_that_is_not_known_well_enough_is_not_a_pass(fast: str) -> None:
    report = overhead(fast, fast, precision="1ns", max_pairs=4)
    assert report.exit_code == 3
    assert report.costs[0].cost_ms.low is None
    assert overhead(fast, fast, precision="10s", max_pairs=100).exit_code == 0


def test_an_interruption_keeps_what_was_measured(fast: str) -> None:
    def interrupt(doing: str) -> None:
        if "TTFT" in doing:
            raise KeyboardInterrupt

    report = overhead(fast, fast, precision="1ns", progress=interrupt)
    assert (report.interrupted, report.exit_code, report.stopped_by) == (True, 130, "interrupted")
    assert report.pairs >= 12
    assert repr(report).startswith("<OverheadReport ttft ")


def test_connections_that_are_not_kept_are_named() -> None:
    with MockServer(MockConfig(tokens=2, ttft="1ms", itl="1ms", faults=("close-delimited",))) as mock:
        report = overhead(mock.url + CHAT, mock.url + CHAT, max_pairs=4)
    assert any("4 of 4 streams on the via path needed a new connection" in note for note in report.notes)


def test_an_answer_without_a_token_is_told_by_its_finish_reason(fast: str) -> None:
    with (
        MockServer(MockConfig(tokens=0, ttft="1ms", itl="1ms")) as mock,
        pytest.raises(CannotMeasure, match="the stream ended as ok, finish reason stop"),
    ):
        overhead(fast, mock.url + CHAT)


def test_an_end_marker_that_never_comes_is_learned_as_in_a_load_and_told(fast: str) -> None:
    """Some gateways end with the finish reason: `load` measured them, and here no pair was."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("no-terminal",))) as mock:
        report = overhead(mock.url + CHAT, mock.url + CHAT, max_pairs=4)
        mixed = overhead(fast, mock.url + CHAT, max_pairs=4)
    for one in (report, mixed):
        assert (one.pairs, one.lost_pairs) == (4, 0)
        assert len([note for note in one.notes if "prescribes an end marker" in note]) == 1


def test_where_it_is_in_doubt_what_a_token_is_no_time_to_it_is_told() -> None:
    """The first event of any kind was called the first token: 0.28 ms for a true 202."""
    events = b'event: metadata\ndata: {"run_id":"1"}\n\n' + b'event: data\ndata: {"content":"a"}\n\n' * 3
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + events
    with (
        WireServer(*[(Do.REQUEST, answer, Do.CLOSE)] * 8) as server,
        pytest.raises(CannotMeasure, match="are tokens is in doubt: the stream looked like event-text"),
    ):
        overhead(Target(url=server.url, method="POST"), server.url)


def test_streams_that_fail_end_the_measurement_with_their_reason(fast: str) -> None:
    with (
        MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("rst:2",))) as mock,
        pytest.raises(CannotMeasure, match="a stream failed in 5 pairs in a row"),
    ):
        overhead(fast, mock.url + CHAT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "0"}, "must be more than 0"),
        ({"max_time": "soon"}, "is not a duration"),
        ({"limits": ["ttft is fast"]}, "--fail-on"),
        ({"via": "http://"}, "is not a URL"),
    ],
)
def test_bad_input_is_a_usage_error(fast: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        overhead(fast, **{"via": fast, **options})  # type: ignore[arg-type]


def test_where_nothing_listens_is_cannot_measure(fast: str) -> None:
    with pytest.raises(CannotMeasure):
        overhead(fast, "http://127.0.0.1:1/v1/chat/completions")
    done = streamgauge("overhead", "--direct", fast)
    assert done.returncode == 2
    assert "--via" in done.stderr
