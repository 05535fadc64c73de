"""Load under real Locust, joined with the ledger of the mock that it ran against."""

import json
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import psutil
import pytest

from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.metrics.summary import Totals
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.listening import Listening
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir.runs import RecordReader
from tests.builders.ended import ended_well
from tests.e2e.conftest import command, free_port

Run = Callable[..., "CompletedProcess[str]"]
CHAT = "/v1/chat/completions"


def records(directory: Path) -> list[StreamRecord]:
    reader = RecordReader(directory)
    found = list(reader)
    assert reader.torn == 0
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_every_stream_that_the_mock_saw_is_recorded_with_its_tokens(
    streamgauge: Run, paced: str, tmp_path: Path, processes: int
) -> None:
    done = streamgauge(
        "load", paced + CHAT, "--users", "6", "--duration", "4s", "--processes", str(processes),
        "--mock", paced, "--out", tmp_path, "--no-report",
    )  # fmt: skip

    run = json.loads((tmp_path / "run.json").read_text())
    found = records(tmp_path)
    with MockControl(paced) as mock:
        ledger = {record.id: mock.entries(record.id) for record in found}
        streams = mock.recent(10_000)
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert run["status"] == "complete"
    assert run["summary"]["streams"]["ok"] > 6
    assert run["summary"]["ttft_ms"]["count"] == sum(bool(record.token_reads) for record in found)
    assert (len({record.worker for record in found}) > 1) is (processes > 1)
    # One more stream at the mock: the one that load starts with, to see that the endpoint streams.
    assert len(streams) == len(found) + 1
    assert all(len(entries) == 1 for entries in ledger.values())
    assert all(
        len(record.token_reads) == ledger[record.id][0].tokens_written for record in found if record.outcome == "ok"
    )


def test_what_is_reported_agrees_with_the_ledger_of_the_same_run(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    streamgauge(
        "load", paced + CHAT, "--users", "5", "--duration", "4s", "--mock", paced, "--out", tmp_path, "--no-report"
    )

    truth = json.loads((tmp_path / "run.json").read_text())["truth"]
    assert truth["streams"] == truth["ttft_error_ms"]["count"] > 10
    # The start lies before the arrival at the mock and the arrival here after its write: never less than the truth.
    assert truth["ttft_ms"]["p50"] >= truth["true_ttft_ms"]["p50"]
    assert truth["itl_ms"]["count"] <= truth["true_itl_ms"]["count"]
    assert truth["itl_ms"]["p50"] == pytest.approx(truth["true_itl_ms"]["p50"], rel=0.25)


def test_a_load_of_openai_s_older_completions_equals_the_ledger(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    url = f"{paced}/v1/completions"
    streamgauge("load", url, "--users", "4", "--duration", "3s", "--mock", paced, "--out", tmp_path, "--no-report")

    run = json.loads((tmp_path / "run.json").read_text())
    done = [record for record in records(tmp_path) if record.outcome == "ok"]
    with MockControl(paced) as mock:
        ledger = {record.id: mock.entries(record.id) for record in done}
    assert len(done) > 4
    assert run["truth"]["ttft_error_ms"]["count"] >= len(done)
    assert run["truth"]["ttft_ms"]["p50"] >= run["truth"]["true_ttft_ms"]["p50"]
    for record in done:
        (entry,) = ledger[record.id]
        assert (record.dialect, entry.dialect) == ("openai-completions", "openai-completions")
        assert record.tokens_source == "usage"
        assert len(record.token_reads) == record.output_tokens == entry.tokens_written


def wait_for_records(directory: Path, count: int) -> int:
    """How many streams have ended well as soon as that is enough, or after 30 s."""
    reader = RecordReader(directory)
    seen = 0
    for _ in range(300):
        seen += sum(record.outcome == "ok" for record in reader.new())
        if seen >= count:
            break
        time.sleep(0.1)
    return seen


def test_ctrl_c_keeps_and_reports_what_was_measured(paced: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("load", paced + CHAT, "--users", "4", "--duration", "60s", "--out", tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    seen = wait_for_records(tmp_path, 8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)

    run = json.loads((tmp_path / "run.json").read_text())
    assert seen >= 8
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert run["status"] == "interrupted"
    assert run["summary"]["streams"]["ok"] >= 8
    assert run["summary"]["ttft_ms"]["count"] >= 8
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert len(records(tmp_path)) == sum(run["summary"]["streams"].values())


def test_in_the_background_of_a_script_a_load_ends_in_order_too(paced: str, tmp_path: Path) -> None:
    """There a shell has SIGINT ignored, in all that it starts."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    process = subprocess.Popen(
        [
            *ignoring,
            *command("load", paced + CHAT, "--users", "4", "--duration", "60s", "--out", tmp_path, "--no-report"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    seen = wait_for_records(tmp_path, 4)
    process.terminate()
    out, err = process.communicate(timeout=100)

    assert seen >= 4
    assert process.returncode == 130, err
    (account,) = json.loads((tmp_path / "run.json").read_text())["workers"]
    assert account["ended"]
    assert account["started"] == account["recorded"] == len(records(tmp_path))
    assert "did not end in order" not in out


def test_a_missed_slo_fails_and_a_met_one_does_not(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("of an earlier run")
    common = ("load", paced + CHAT, "--users", "2", "--duration", "2s", "--out", tmp_path, "--no-report")

    met = streamgauge(*common, "--slo", "ttft p50 < 20s", "--slo", "error_rate <= 0%")
    missed = streamgauge(*common, "--slo", "ttft p50 < 1ms")

    assert (met.returncode, missed.returncode) == (0, 1)
    assert "SLO missed" in missed.stderr
    assert not (tmp_path / "report.html").exists(), "with --no-report"
    assert json.loads((tmp_path / "run.json").read_text())["summary"]["goodput"] == 0


def test_the_scenario_file_runs_under_plain_locust(paced: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "locust", "-f", "scenarios/chat.py", "--host", paced, "--headless", "--users", "2",
            "--spawn-rate", "2", "--run-dir", str(tmp_path),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    seen = wait_for_records(tmp_path, 2)
    process.terminate()
    out, _ = process.communicate(timeout=100)

    assert seen >= 2, out
    assert ended_well(process.returncode, out), out
    assert "/v1/chat/completions" in out


def test_under_plain_locust_a_host_that_is_no_url_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", "scenarios/chat.py", "--host", "http://[", "--headless",
            "--users", "1", "--run-time", "60s", "--run-dir", str(tmp_path),
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "--host: 'http://[' is not a URL that can be requested" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_locusts_web_ui_shows_the_streams_that_are_recorded(paced: str, tmp_path: Path, processes: int) -> None:
    port, master = free_port(), str(free_port())
    ui = f"http://127.0.0.1:{port}"
    distributed = ["--processes", str(processes), "--master-bind-port", master, "--master-port", master]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "locust", "-f", "scenarios/chat.py", "--host", paced, "--web-host", "127.0.0.1",
            "--web-port", str(port), "--run-dir", str(tmp_path / "run"),
            *(distributed if processes > 1 else []),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def until(enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll as the page does."""
        stats: dict[str, Any] = {}
        for _ in range(300):
            try:
                stats = httpx.get(f"{ui}/stats/requests", timeout=5).json()
                if enough(stats):
                    return stats
            except httpx.TransportError:
                assert process.poll() is None, "Locust ended"
            time.sleep(0.1)
        raise AssertionError(stats)

    def row(stats: dict[str, Any]) -> dict[str, Any]:
        (table,) = stats["extended_stats"]
        return table["data"][0] if table["data"] else {"streams": 0, "tokens_per_s": None}

    try:
        until(lambda stats: stats["state"] == "ready" and stats.get("worker_count", 1) == processes)
        page = httpx.get(ui, timeout=5).text
        httpx.post(f"{ui}/swarm", data={"user_count": "2", "spawn_rate": "2", "host": paced}, timeout=10)
        until(lambda stats: row(stats)["streams"] > 4 and bool(row(stats)["tokens_per_s"]))
        httpx.post(f"{ui}/stop", timeout=20).raise_for_status()
        run = tmp_path / "run"
        stopped = until(
            lambda stats: (
                stats["state"] == "stopped"
                and row(stats)["streams"] == len(records(run))
                and any(each["name"] == CHAT and each["num_requests"] for each in stats["stats"])
            )
        )
    finally:
        process.terminate()
        process.wait(20)

    found = records(tmp_path / "run")
    assert "extended_tabs" in page
    assert "TTFT p50 (ms)" in page
    assert row(stopped)["name"] == "ChatUser"
    assert row(stopped)["ok"] == sum(record.outcome == "ok" for record in found) > 4
    assert len({record.worker for record in found}) == processes
    totals = Totals()
    for record in found:
        totals.add(record)
    summary = totals.summary()
    assert summary.ttft_ms is not None
    assert summary.itl_ms is not None
    assert row(stopped)["ttft_p50_ms"] == pytest.approx(summary.ttft_ms.p50, rel=0.01)
    assert row(stopped)["itl_p99_ms"] == pytest.approx(summary.itl_ms.p99, rel=0.01)


def test_prompts_and_answers_have_the_lengths_that_were_asked_for(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    done = streamgauge(
        "load", paced + CHAT, "--users", "4", "--duration", "3s", "--processes", "2", "--out", tmp_path,
        "--prompt-tokens", "U(20,60)", "--output-tokens", "U(3,9)", "--prefix-tokens", "10*2", "--nonce",
        "--no-report",
    )  # fmt: skip

    found = [record for record in records(tmp_path) if record.outcome == "ok"]
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert len(found) > 8
    assert len({record.worker for record in found}) == 2
    # The mock counts words, and says so in its usage: the other end's view of both lengths.
    assert [record.usage_prompt_tokens for record in found] == [record.asked_prompt_tokens for record in found]
    assert [record.output_tokens for record in found] == [record.asked_output_tokens for record in found]
    assert len({record.asked_prompt_tokens for record in found}) > 4
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["prompts"]["prompt_tokens"] == "U(20,60)"


def test_a_load_that_cannot_be_asked_as_planned_does_not_begin(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text('{"message": "{{prompt}}"}')
    done = streamgauge(
        "load", paced + CHAT, "--body", tmp_path / "app.json", "--output-tokens", "5", "--out", tmp_path / "run"
    )
    without_place = streamgauge("load", paced + "/chat?x=1", "--nonce", "--out", tmp_path / "run")
    assert (done.returncode, without_place.returncode) == (2, 2)
    assert "no field for the answer's length" in done.stderr
    assert "no place for a prompt" in without_place.stderr
    assert not (tmp_path / "run").exists()


def test_locust_does_not_outlive_a_command_that_is_killed(paced: str, tmp_path: Path) -> None:
    load = subprocess.Popen(
        command("load", paced + CHAT, "--users", "1", "--duration", "10m", "--out", tmp_path),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not (tmp_path / "accounts").is_dir():
        time.sleep(0.1)
    (worker,) = psutil.Process(load.pid).children()
    load.kill()
    load.wait()
    worker.wait(20)
    assert not worker.is_running()


def test_a_mock_behind_tls_is_believed_as_the_target_is(streamgauge: Run, tmp_path: Path) -> None:
    listening = Listening(tls="self-signed")
    with MockServer(MockConfig(tokens=5, ttft="20ms", itl="5ms", listening=listening)) as server:
        url = server.url
        done = streamgauge(
            "load", url + CHAT, "--users", "2", "--duration", "1s", "--mock", url, "--insecure", "--out", tmp_path,
            "--no-report",
        )  # fmt: skip
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert json.loads((tmp_path / "run.json").read_text())["truth"]["streams"] > 0


UNKNOWN = b"".join(b'data: {"piece": {"words": "w%d"}}\n\n' % number for number in range(5))


class _Unknown(socketserver.StreamRequestHandler):
    """Streams of a shape that no dialect has."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        self.wfile.write(head + UNKNOWN)


@pytest.mark.parametrize("slos", [("--slo", "ttft p95 < 500ms"), ()])
def test_figures_of_an_unknown_shape_are_invalid_and_no_objective_is_decided(
    streamgauge: Run, tmp_path: Path, slos: tuple[str, ...]
) -> None:
    """The exit code is not 0 and junit.xml has an error, with or without an objective."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Unknown) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/s?message=x"
        done = streamgauge("load", url, "--users", "1", "--duration", "1s", *slos, "--out", tmp_path)
        server.shutdown()

    run = json.loads((tmp_path / "run.json").read_text())
    assert done.returncode == 3, done.stderr
    assert "5 of 5 payloads are JSON of another shape" in run["dialect_doubt"]
    assert run["summary"]["validity"]["verdict"] == "INVALID"
    assert [result["verdict"] for result in run["summary"]["slo_results"]] == ["undecided"] * bool(slos)
    assert 'name="the figures are valid"' in (tmp_path / "junit.xml").read_text()
    assert "5 of 5 payloads are JSON of another shape" in done.stdout
