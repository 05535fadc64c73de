"""Load models under real Locust: judged by the schedule, by counts and by the mock's ledger, never by a clock."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from streamgauge.endpoint.mock_ledger import TOKEN_ENV, MockControl
from streamgauge.loadgen.schedule import Rate, arrivals
from streamgauge.metrics.summary import Window
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.proxy import ProxyConfig
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RecordReader
from streamgauge.units import MS, SECOND
from tests.builders.ended import ended_well

Run = Callable[..., "CompletedProcess[str]"]
CHAT = "/v1/chat/completions"


def records(directory: Path) -> list[StreamRecord]:
    return sorted(RecordReader(directory), key=lambda record: record.intended_ns or record.start_ns)


def manifest(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return found


def seen_by(mock_url: str) -> int:
    """Streams in the ledger, but for the one that load starts with."""
    with MockControl(mock_url) as mock:
        return len(mock.recent(10_000)) - 1


def test_two_processes_follow_one_schedule(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    done = streamgauge(
        "load", paced + CHAT, "--rate", "40/s", "--duration", "3s", "--warmup", "1s", "--drain", "10s",
        "--seed", "7", "--processes", "2", "--out", tmp_path,
    )  # fmt: skip

    found, run = records(tmp_path), manifest(tmp_path)
    schedule = [arrival.at_ns for arrival in arrivals(Rate(40), 4 * SECOND, seed=7)]
    intended = [record.intended_ns or 0 for record in found]
    assert ended_well(done.returncode, done.stderr), done.stderr
    # On a busy machine, a process can be late by more than its last gaps: those arrivals are dropped, and counted.
    due = [at - schedule[0] for at in schedule]
    started = [at - intended[0] for at in intended]
    dropped = [at for at in due if at not in set(started)]
    assert sorted([*started, *dropped]) == due
    assert not dropped or dropped[0] > 3 * SECOND
    assert len({record.worker for record in found}) == 2
    assert all(record.start_ns >= (record.intended_ns or 0) for record in found)
    assert {record.outcome for record in found} == {Outcome.OK}  # the drain let the last ones end
    assert len({record.id for record in found}) == len(found) == seen_by(paced)
    began = intended[0] - schedule[0]
    warm = sum(at - began < SECOND for at in intended)
    assert run["summary"]["warmup_streams"] == warm > 0
    assert run["summary"]["ttft_ms"]["count"] == run["summary"]["ttft_intended_ms"]["count"] == len(found) - warm
    counted = [run["open_loop"][name] for name in ("planned", "started", "dropped")]
    assert counted == [160, len(found), len(dropped)]
    assert "open loop" in done.stdout
    window = Window(began + SECOND, began + 4 * SECOND)
    came = [record.start_ns + at for record in found for at in record.token_ns]
    assert runs.window(tmp_path) == window
    assert run["summary"]["window_s"] == 3
    assert run["summary"]["window_tokens"] == sum(window.begin_ns <= at < window.end_ns for at in came) > 0


def test_a_stalled_server_shows_only_from_the_intended_start(streamgauge: Run, tmp_path: Path) -> None:
    """Each of two streams takes over 2 s; without them ending, 20 arrivals a second wait and then are dropped."""
    with MockServer(MockConfig(tokens=5, ttft="10ms", itl="1ms", faults=("stall:2s@2",))) as server:
        done = streamgauge(
            "load", server.url + CHAT, "--rate", "20/s", "--duration", "5s", "--drain", "10s", "--max-streams", "2",
            "--out", tmp_path,
        )  # fmt: skip
        seen = seen_by(server.url)

    found, run = records(tmp_path), manifest(tmp_path)
    loop, summary = run["open_loop"], run["summary"]
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert len(found) == seen == loop["started"]
    assert loop["started"] + loop["dropped"] == loop["planned"] == 100
    assert loop["dropped"] > 50
    assert loop["late"] == sum(record.start_ns - (record.intended_ns or 0) > 10 * MS for record in found) > 0
    assert max(_open_at_once(found)) == 2
    assert summary["ttft_intended_ms"]["max"] - summary["ttft_ms"]["max"] > 1_000
    assert summary["e2e_ms"]["p50"] > 2_000
    assert any("became a closed loop" in caveat for caveat in run["caveats"])
    assert "open loop became a closed loop" in done.stdout
    assert "became a closed loop" in (tmp_path / "report.md").read_text()


def _open_at_once(found: list[StreamRecord]) -> Iterator[int]:
    moments = [(record.start_ns, 1) for record in found]
    moments += [(record.start_ns + (record.closed_ns or 0), -1) for record in found]
    count = 0
    for _, change in sorted(moments):
        count += change
        yield count


def test_users_who_leave_are_cancelled_and_the_ledger_saw_them_go(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    done = streamgauge(
        "load", paced + CHAT, "--rate", "30/s", "--duration", "3s", "--drain", "10s", "--seed", "3",
        "--abandon", "50%@tokens:2..4", "--mock", paced, "--out", tmp_path,
    )  # fmt: skip

    found, run = records(tmp_path), manifest(tmp_path)
    outcomes = Counter(record.outcome for record in found)
    left = [record for record in found if record.outcome is Outcome.CANCELLED]
    with MockControl(paced) as mock:
        ends = Counter(mock.entries(record.id)[-1].disconnect is not None for record in left)
    story = run["abandonment"]
    assert ended_well(done.returncode, done.stderr), done.stderr
    others = [record for record in found if record.outcome not in (Outcome.OK, Outcome.CANCELLED)]
    assert others == []
    # Half of the users leave. A busy machine drops some arrivals.
    assert 0.25 < outcomes[Outcome.CANCELLED] / len(found) < 0.75
    assert all(len(record.token_reads) >= 2 for record in left)
    assert story["streams"] == story["joined"] == len(left)
    assert story["seen"] == ends[True] > 0
    assert story["seen"] + story["finished"] + story["unnoticed"] == len(left)
    assert story["propagation_ms"]["count"] == story["seen"]
    assert run["summary"]["goodput"] == 1  # who leaves is no failure
    assert "abandoned" in done.stdout
    assert "noticed by the upstream" in (tmp_path / "report.md").read_text()


def test_a_trace_is_replayed_with_its_lengths(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,prompt_tokens,output_tokens\n" + "".join(f"{n / 10},30,{n + 1}\n" for n in range(10)))
    run_dir = tmp_path / "run"

    done = streamgauge(
        "load", paced + CHAT, "--replay", trace, "--drain", "10s", "--mock", paced, "--out", run_dir, "--no-report"
    )

    found = records(run_dir)
    intended = [record.intended_ns or 0 for record in found]
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert [at - intended[0] for at in intended] == [n * 100 * MS for n in range(10)]
    assert [len(record.token_reads) for record in found] == list(range(1, 11))


def test_stages_change_the_number_of_users(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    done = streamgauge(
        "load", paced + CHAT, "--stages", "1:3s,6:3s", "--think-time", "exp(1ms)", "--out", tmp_path, "--no-report"
    )

    found = records(tmp_path)
    assert ended_well(done.returncode, done.stderr), done.stderr
    at_once = list(_open_at_once(found))
    assert at_once[:4] == [1, 0, 1, 0]
    assert max(at_once) == 6


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("--max-errors", "5"), "--max-errors 5"),
        (("--abort-if", "error_rate > 10% for 1s"), "error_rate > 10% for 1s"),
    ],
)
def test_a_limit_stops_the_run_and_says_so(streamgauge: Run, tmp_path: Path, limit: tuple[str, str], said: str) -> None:
    with MockServer(MockConfig(tokens=3, ttft="1ms", itl="1ms", faults=("rst:2@50%",))) as server:
        done = streamgauge("load", server.url + CHAT, "--rate", "20/s", "--duration", "10m", *limit, "--out", tmp_path)

    run = manifest(tmp_path)
    assert done.returncode == 1, done.stderr
    assert "stopped" in done.stderr
    assert run["status"].startswith("stopped: ")
    assert said in run["status"]
    assert run["open_loop"]["planned"] < 12_000
    assert "the run was stopped" in (tmp_path / "report.md").read_text()


def test_a_ledger_that_goes_away_costs_the_comparison_and_not_the_run(
    streamgauge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_ENV, "control-token-of-this-test")  # without one, the mock answers no forwarder
    config = MockConfig(tokens=20, ttft="60ms", itl="10ms", control_token="control-token-of-this-test")
    with MockServer(config) as mock:
        # A way to the mock's control API that can be closed while the endpoint goes on.
        ledger = BufferingProxy(ProxyConfig(upstream=mock.url, forward_control=True))
        ledger.start()

        def leave() -> None:
            until = time.monotonic() + 60
            while runs.window(tmp_path) is None and time.monotonic() < until:
                time.sleep(0.05)
            ledger.stop()

        leaving = threading.Thread(target=leave)
        leaving.start()
        done = streamgauge(
            "load", mock.url + CHAT, "--users", "2", "--duration", "2s", "--mock", ledger.url, "--out", tmp_path
        )
        leaving.join()

    assert ended_well(done.returncode, done.stderr), done.stderr
    assert "caveat: The ledger was not joined" in done.stderr
    assert manifest(tmp_path)["caveats"]
    assert (tmp_path / "report.html").exists()


def test_a_replay_says_what_it_understood_and_its_turns_wait_for_the_answers(
    streamgauge: Run, paced: str, tmp_path: Path
) -> None:
    """Two users of Baseten's export: one leaves after 2 tokens, the other asks again 100 ms after the answer."""
    trace, run_dir = tmp_path / "trace.jsonl", tmp_path / "run"
    common = {"prompt": "Rivers?", "input_tokens": 1, "request_canceled": False}
    rows: list[dict[str, Any]] = [
        {"timestamp_start_unix_ms": 1_800_000_000_000, "output_tokens": 4, "provided_session_id": "a",
         "duration_e2e_ms": 200},
        {"timestamp_start_unix_ms": 1_800_000_000_300, "output_tokens": 6, "provided_session_id": "a"},
        {"timestamp_start_unix_ms": 1_800_000_000_400, "output_tokens": 2, "provided_session_id": "b",
         "request_canceled": True},
    ]  # fmt: skip
    trace.write_text("".join(json.dumps({**common, **row}) + "\n" for row in rows))

    done = streamgauge(
        "load", paced + CHAT, "--replay", trace, "--turns", "waiting", "--duration", "3s", "--drain", "10s",
        "--mock", paced, "--out", run_dir,
    )  # fmt: skip

    run = manifest(run_dir)
    by_turn = {(record.session, record.turn): record for record in records(run_dir)}
    first, second, left = by_turn["a", 1], by_turn["a", 2], by_turn["b", 1]
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert "2 arrivals and 1 later turn over 0.4 s" in done.stderr
    assert "timestamps read as milliseconds (Baseten)" in run["settings"]["trace"]
    assert (len(first.token_reads), len(second.token_reads)) == (4, 6)
    assert second.start_ns - (first.start_ns + (first.closed_ns or 0)) >= 100 * MS
    assert (second.intended_ns, left.outcome) == (None, Outcome.CANCELLED)
    assert len(left.token_reads) >= 2
    assert run["abandonment"]["streams"] == 1
    assert (run["open_loop"]["planned"], run["open_loop"]["started"]) == (3, 3)
    assert [(row["turn"], row["streams"]) for row in run["sessions"]["turns"]] == [(1, 2), (2, 1)]
    assert "2 sessions with 3 turns" in done.stdout
    assert "whole session" in (run_dir / "report.md").read_text()


def test_equal_blocks_of_a_trace_are_found_by_a_prefix_cache(streamgauge: Run, tmp_path: Path) -> None:
    """The mock's cache has blocks of 16 words, as Bailian's traces have blocks of 16 tokens."""
    trace, run_dir = tmp_path / "trace.jsonl", tmp_path / "run"
    asked = [(40, [1, 2, 3]), (16, [1]), (64, [1, 2, 3, 4]), (80, [1, 2, 3, 4, 5]), (33, [6, 7, 8]), (32, [1, 7])]
    rows = [
        {"chat_id": n, "parent_chat_id": -1, "timestamp": n / 5, "input_length": tokens, "output_length": 2,
         "hash_ids": ids}
        for n, (tokens, ids) in enumerate(asked)
    ]  # fmt: skip
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))

    with MockServer(MockConfig(ttft="1ms", itl="1ms", fleet=FleetSettings(prefix_cache=1000))) as mock:
        done = streamgauge(
            "load", mock.url + CHAT, "--replay", trace, "--drain", "10s", "--mock", mock.url, "--out", run_dir,
            "--no-report",
        )  # fmt: skip
        with MockControl(mock.url) as ledger:
            entries = [ledger.entries(record.id)[-1] for record in records(run_dir)]

    assert ended_well(done.returncode, done.stderr), done.stderr
    assert "prompts made of the recorded blocks" in done.stderr
    seen: set[tuple[int, ...]] = set()
    pairs = sorted(zip(entries, asked, strict=True), key=lambda pair: pair[0].arrival_ns)  # late ones may come together
    for entry, (tokens, ids) in pairs:
        whole = [tuple(ids[:count]) for count in range(1, tokens // 16 + 1)]
        assert entry.cached_tokens == 16 * sum(prefix in seen for prefix in whole)
        seen.update(whole)
    assert sum(entry.cached_tokens or 0 for entry in entries) == 128


def test_a_session_is_sent_in_a_header_so_that_a_balancer_keeps_it_on_one_replica(
    streamgauge: Run, tmp_path: Path
) -> None:
    """Each replica of the mock has its own prefix cache: a second turn finds the first one only on the same replica."""
    trace = tmp_path / "trace.jsonl"
    names = ["a b", "c\r\nX: y", "ü", "d"]
    rows = [
        {"timestamp": (turn * len(names) + n) / 10, "session_id": name, "prompt_tokens": 32 * (turn + 1)}
        for turn in range(2)
        for n, name in enumerate(names)
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fleet = FleetSettings(replicas=3, prefix_cache=1000, routing="sticky", sticky_header="X-Session-Affinity")

    with MockServer(MockConfig(tokens=2, ttft="1ms", itl="1ms", fleet=fleet)) as mock:
        done = streamgauge(
            "load", mock.url + CHAT, "--replay", trace, "--session-header", "X-Session-Affinity", "--drain", "10s",
            "--mock", mock.url, "--out", tmp_path / "run", "--no-report",
        )  # fmt: skip
        with MockControl(mock.url) as ledger:
            found = [(record, ledger.entries(record.id)[-1]) for record in records(tmp_path / "run")]

    assert ended_well(done.returncode, done.stderr), done.stderr
    assert [record.turn for record, _ in found] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert [entry.cached_tokens for _, entry in found] == [0, 0, 0, 0, 32, 32, 32, 32]


def test_users_play_the_sessions_of_a_trace_one_after_the_other(streamgauge: Run, paced: str, tmp_path: Path) -> None:
    trace, run_dir = tmp_path / "trace.csv", tmp_path / "run"
    trace.write_text(
        "timestamp,session_id,prompt_tokens,output_tokens\n" + "".join(f"{n},s{n % 3},{10 + n},2\n" for n in range(6))
    )

    done = streamgauge(
        "load", paced + CHAT, "--replay", trace, "--users", "2", "--max-gap", "50ms", "--duration", "3s",
        "--drain", "10s", "--mock", paced, "--out", run_dir, "--no-report",
    )  # fmt: skip

    found, run = records(run_dir), manifest(run_dir)
    sessions = {record.session for record in found}
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert "6 requests, one after the other by each user" in done.stderr
    assert {"s0", "s1", "s2", "s0#2"} <= sessions
    assert max(_open_at_once(found)) <= 2
    assert run["sessions"]["most_open"] <= 2
    assert run.get("open_loop") is None
    assert run["settings"]["users"] == 2
    assert {(record.session, record.turn): record.asked_prompt_tokens for record in found}["s1", 2] == 14
