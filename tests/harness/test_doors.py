"""The five functions of `streamgauge`, as a script, a test or a notebook calls them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streamgauge
from streamgauge.loadgen.progress import LoadEvent
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=8, ttft="20ms", itl="2ms")) as server:
        yield server


@pytest.fixture
def url(mock: MockServer) -> str:
    return mock.url + CHAT


@pytest.fixture
def target(mock: MockServer, url: str) -> streamgauge.Target:
    return streamgauge.Target(url=url, mock=mock.url)


def test_probe_gives_a_stream(url: str) -> None:
    stream = streamgauge.probe(url, prompt="Hello")
    assert (stream.ok, len(stream.tokens), stream.dialect, stream.status) == (True, 8, "openai-chat", 200)
    assert stream.ttft_ns is not None
    assert stream.ttft_ns >= 20_000_000
    assert stream.url == url
    assert repr(stream).startswith("<Stream ok, TTFT ")


def test_probe_of_a_failing_endpoint_is_an_outcome(mock: MockServer) -> None:
    stream = streamgauge.probe(streamgauge.Target(url=mock.url + "/nothing", method="POST", body="{}"))
    assert (stream.outcome, stream.status) == ("http_error", 404)
    assert repr(stream).startswith("<Stream http_error (")


def test_check_gives_every_result(target: streamgauge.Target) -> None:
    found = streamgauge.check(target, only=["framing.*"], skip=["framing.no-bom"])
    assert {result.group for result in found.results} == {"framing"}
    assert "framing.no-bom" not in [result.id for result in found.results]
    assert not [result for result in found.results if result.verdict == "fail"]
    assert repr(found).startswith(f"<ChecksFile {target.url} (openai-chat): ")
    assert repr(found.results[0]).startswith(f"<CheckResult {found.results[0].id} ")


def test_check_takes_a_schema_as_a_value(url: str) -> None:
    found = streamgauge.check(url, only=["*schema*"], schema={"type": "string"})
    assert [result.verdict for result in found.results] == ["fail"]


def test_cancel_gives_a_row_for_each_close(target: streamgauge.Target) -> None:
    doing: list[str] = []
    left = streamgauge.cancel(target, progress=doing.append)
    assert [row.verdict for row in left.rows] == ["pass"] * 4
    assert [row.closes for row in left.rows] == [3] * 4
    assert len(doing) == 12
    assert ": 4 closes: 4 pass; " in repr(left)
    assert repr(left.rows[0]).startswith("<CancelRow pass: before the first token, FIN: noticed after ")


def test_diagnose_names_the_hop_that_buffers(mock: MockServer, url: str) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url, hold_bytes=4096)) as proxy:
        found = streamgauge.diagnose(streamgauge.Target(url=proxy.url + CHAT, mock=mock.url), direct=url)
    assert (found.buffered, found.pattern) == (True, streamgauge.Pattern.BLOCK_BUFFERED)
    assert [path.label for path in found.paths] == ["via", "direct"]
    assert repr(found) == f"<DiagnosisFile {found.answer}>"


def test_load_works_in_a_thread(target: streamgauge.Target, tmp_path: Path) -> None:
    events: list[LoadEvent] = []
    results: list[Any] = []

    def work() -> None:
        results.append(
            streamgauge.load(
                target,
                users=2,
                duration="1s",
                slos=["ttft p50 < 5s"],
                directory=tmp_path / "run",
                progress=events.append,
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    [result] = results
    assert result.passed
    assert result.run.status == "complete"
    assert result.summary.ttft_ms.p50 >= 20
    assert [objective.verdict for objective in result.summary.slo_results] == ["met"]
    records = list(result.records())
    assert {len(record.token_reads) for record in records if record.outcome == "ok"} == {8}
    assert len(records) == result.totals.started
    before, *during = events
    assert isinstance(before, streamgauge.Expected), "it comes before the run"
    assert "ttft p50 < 5000ms needs 5" in str(before)
    assert during
    assert all(isinstance(event, streamgauge.Running) and str(event) for event in during)
    assert repr(result).startswith("<LoadResult complete: ")


_LOAD = """
import sys, streamgauge
result = streamgauge.load(sys.argv[1], users=1, duration="1s", directory=sys.argv[2])
print(len(list(result.records())) > 0, sorted({"gevent", "locust"} & set(sys.modules)))
"""


def test_load_keeps_gevent_out_of_the_process_that_calls_it(url: str, tmp_path: Path) -> None:
    """In a process of its own: another test may have imported gevent into this one."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, url, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True []"


def test_a_limit_ends_a_load_and_the_result_says_so(target: streamgauge.Target, tmp_path: Path) -> None:
    events: list[LoadEvent] = []
    result = streamgauge.load(
        target, users=2, duration="30s", abort_if=["ttft p50 > 1ms for 1s"], directory=tmp_path, progress=events.append
    )
    assert result.run.status.startswith("stopped: ttft p50")
    assert not result.passed
    assert isinstance(events[-1], streamgauge.Stopping)
    assert str(events[-1]).startswith("stopping, ttft p50")


def test_a_callback_that_raises_leaves_no_process(target: streamgauge.Target, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def enough(_: LoadEvent) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        streamgauge.load(target, users=2, duration="30s", directory=tmp_path, progress=enough)
    assert str(tmp_path) not in _command_lines()


def _command_lines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("door", "options"),
    [("probe", {}), ("check", {}), ("load", {"duration": "1s"}), ("diagnose", {})],
)
def test_where_nothing_listens_is_cannot_measure(door: str, options: dict[str, Any], tmp_path: Path) -> None:
    if door == "load":
        options = {**options, "directory": tmp_path}
    with pytest.raises(streamgauge.CannotMeasure) as caught:
        getattr(streamgauge, door)("http://127.0.0.1:1/v1/chat/completions", **options)
    assert caught.value.hint


def test_bad_input_is_a_usage_error(url: str) -> None:
    for call in (
        lambda: streamgauge.probe("http://"),
        lambda: streamgauge.check(url, only=["no-such-check"]),
        lambda: streamgauge.check(url, via="proxy"),
        lambda: streamgauge.load(url, users=2, rate="3/s"),
        lambda: streamgauge.load(url, slos=["ttft is fast"]),
        lambda: streamgauge.cancel(url),
        lambda: streamgauge.diagnose(url, direct="http://"),
    ):
        with pytest.raises(streamgauge.UsageError):
            call()


def test_an_option_that_does_not_exist_is_named(url: str) -> None:
    options: dict[str, Any] = {"user": 3}
    with pytest.raises(TypeError, match=r"load\(\) has no option user"):
        streamgauge.load(url, **options)


def test_ctrl_c_ends_a_load_and_keeps_what_was_measured(target: streamgauge.Target, tmp_path: Path) -> None:
    def interrupt(event: LoadEvent) -> None:
        if isinstance(event, streamgauge.Running) and event.totals.token_events:
            raise KeyboardInterrupt

    result = streamgauge.load(target, users=2, duration="30s", directory=tmp_path, progress=interrupt)
    assert (result.run.status, result.ended.interrupted, result.passed) == ("interrupted", True, False)
    assert result.summary.ttft_ms is not None


def test_a_target_shows_no_secret() -> None:
    target = streamgauge.Target(url="http://u:pw@h/?key=abc", headers={"Authorization": "Bearer abc"}, model="m")
    assert "abc" not in repr(target)
    assert "pw" not in repr(target)
    assert "model='m'" in repr(target)
    assert "timeout" not in repr(target), "only fields that are not at their default"
