"""Every example, run as examples/README.md says."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer.main
import yaml

from streamgauge.cli import app
from streamgauge.conformance.targets import load_targets
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir.runs import RecordReader
from tests.e2e.conftest import NGINX, command

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CHAT = "/v1/chat/completions"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service["command"] for name, service in SERVICES.items() if "command" in service}


def run(*arguments: object, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


def wait_for(condition: Callable[[], bool], patience_s: float = 80) -> None:
    """Return when the condition holds, or when the patience is over; the test then says what is missing."""
    end = time.monotonic() + patience_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def test_the_page_lists_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md", "nginx.conf"}

    assert set(re.findall(r"\]\(([^)]+)\)", page)) == files | {"dotnet/Program.cs", "../docs/dotnet.md"}


class Chat(BaseHTTPRequestHandler):
    """Answers every request with a short stream, and keeps the messages that it was sent."""

    conversations: ClassVar[list[list[dict[str, str]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.conversations.append(body["messages"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for text in ("The ", "Rhine."):
            chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        pass


def test_the_user_with_a_memory_asks_again_with_the_history(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        child = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", EXAMPLES / "two_turn_chat.py", "--headless", "--only-summary",
             "--host", f"http://127.0.0.1:{server.server_port}/v1/chat/completions", "--users", "2",
             "--run-time", "90s", "--run-dir", tmp_path],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_for(lambda: sum(len(messages) == 3 for messages in Chat.conversations) >= 2 or child.poll() is not None)
        child.terminate()
        output, _ = child.communicate(timeout=60)
        server.shutdown()

    assert child.returncode == 0, output
    first = {"role": "user", "content": "Name a river in Europe."}
    asked = [messages for messages in Chat.conversations if len(messages) == 1]
    asked_again = [messages for messages in Chat.conversations if len(messages) == 3]
    assert asked
    assert asked_again
    assert len(asked) + len(asked_again) == len(Chat.conversations)
    assert all(messages[:2] == [first, {"role": "assistant", "content": "The Rhine."}] for messages in asked_again)
    records = list(RecordReader(tmp_path))
    assert len(records) == len(Chat.conversations)
    assert {record.outcome for record in records} <= {"ok", "incomplete"}


def locust(
    example: str, url: str, run_dir: Path, enough: Callable[[list[StreamRecord]], bool], *options: object, **env: str
) -> tuple[int, str, list[StreamRecord]]:
    """Run an example until it has ended, or until its records are enough: exit code, output and records."""

    def records() -> list[StreamRecord]:
        return list(RecordReader(run_dir)) if (run_dir / "streams.jsonl").exists() else []

    child = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", EXAMPLES / example, "--headless", "--only-summary", "--host", url,
         "--run-dir", run_dir, *map(str, options)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env},
    )  # fmt: skip
    wait_for(lambda: child.poll() is not None or enough(records()))
    child.terminate()
    output, _ = child.communicate(timeout=60)
    return child.returncode, output, records()


def test_users_leave_before_the_first_token_and_after_a_few(tmp_path: Path) -> None:
    def enough(records: list[StreamRecord]) -> bool:
        left = [record for record in records if record.outcome == "cancelled"]
        return {bool(record.token_reads) for record in left} == {True, False}

    with MockServer(MockConfig(tokens=60, ttft="1s", itl="5ms")) as mock:
        code, output, records = locust("users_who_leave.py", mock.url + CHAT, tmp_path, enough, "-u", 8, "-r", 8)

    assert code == 0, output
    assert enough(records), output


def test_users_ask_again_after_a_refusal_and_the_records_count_the_attempts(tmp_path: Path) -> None:
    def answered_again(records: list[StreamRecord]) -> set[str | None]:
        return {record.session for record in records if (record.turn or 0) > 1 and record.outcome == "ok"}

    with MockServer(MockConfig(tokens=20, ttft="200ms", itl="10ms", slots=1, queue_policy="reject")) as mock:
        _, output, records = locust(
            "users_who_retry.py", mock.url + CHAT, tmp_path, lambda found: bool(answered_again(found)), "-u", 6, "-r", 6
        )

    refused = {record.session for record in records if record.turn == 1 and record.outcome == "http_error"}
    assert answered_again(records), output
    assert answered_again(records) <= refused
    assert re.search(r"\d+ questions, \d+ attempts, \d+ given up: retries add [1-9]\d*% load", output)


def test_users_who_stall_read_the_rest_later_beside_users_who_are_measured(tmp_path: Path) -> None:
    with MockServer(MockConfig(tokens=20, ttft="10ms", itl="1ms")) as mock:
        code, output, _ = locust(
            "users_who_stall.py", mock.url + CHAT, tmp_path, lambda found: len(found) > 300, "-u", 5, "-r", 5,
            STALL_S="0.5",
        )  # fmt: skip

    assert code == 0, output
    assert re.search(r"^STALLED +/v1/chat/completions +[1-9]\d* +0\(0.00%\) \| +[5-9]\d\d ", output, re.MULTILINE), (
        output
    )


class Tiring(Chat):
    """Answers a little later each time."""

    answered = 0

    def do_POST(self) -> None:
        Tiring.answered += 1
        time.sleep(0.005 + 0.002 * Tiring.answered)
        super().do_POST()


def test_a_soak_finds_the_drift_of_a_server_that_gets_slower(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Tiring) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
        _, output, _ = locust("soak.py", url, tmp_path, lambda found: len(found) > 70, "-u", 1, SOAK_WINDOW_S="0.4")
        server.shutdown()

    assert re.search(r"TTFT p50 [\d.]+ ms -> [\d.]+ ms, failures 0.0% -> 0.0%: DRIFT", output), output


def test_a_soak_without_enough_windows_has_no_verdict(tmp_path: Path) -> None:
    with MockServer(MockConfig(tokens=2, ttft="5ms", itl="1ms")) as mock:
        code, output, _ = locust("soak.py", mock.url + CHAT, tmp_path, lambda _: False, "-u", 1, "-t", "1s")

    assert (code, "no verdict" in output) == (2, True), output


def test_a_ramp_breaks_the_endpoint_and_waits_until_it_has_recovered(tmp_path: Path) -> None:
    with MockServer(MockConfig(tokens=10, ttft="20ms", itl="2ms", slots=2, queue=2)) as mock:
        _, output, _ = locust("ramp_to_failure.py", mock.url + CHAT, tmp_path, lambda _: False, RAMP_STEP_S="1")

    assert re.search(r"broken at \d+ users; back to 2", output), output
    assert re.search(r"^recovered after \d+ s", output, re.MULTILINE), output


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("*.py"))])
def test_an_example_is_shorter_than_a_page(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 60


def test_the_target_file_is_read_and_checked(tmp_path: Path) -> None:
    text = (EXAMPLES / "targets.toml").read_text(encoding="utf-8")
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as mock:
        (tmp_path / "targets.toml").write_text(text.replace("http://127.0.0.1:9000", mock.url))
        done = run(*command(), "check", "--targets", tmp_path / "targets.toml", "--only", "termination")

    assert [target.label for target in load_targets(EXAMPLES / "targets.toml")] == ["gateway", "chat API"]
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pytest_file_passes(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:locust", "-p", "no:cacheprovider", "--rootdir", tmp_path,
               EXAMPLES / "test_my_stream.py", cwd=tmp_path)  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("service", OURS)
def test_the_commands_of_the_compose_file_have_only_options_that_exist(service: str) -> None:
    name, *arguments = OURS[service]
    found: Any = typer.main.get_command(app()).commands[name]  # type: ignore[attr-defined]
    context = found.make_context(name, list(arguments))  # a usage error would raise

    assert not context.args


def test_the_services_of_the_compose_file_depend_on_each_other_as_their_addresses_say() -> None:
    assert SERVICES.keys() >= {"mock", "app", "nginx", "check", "diagnose"}
    for name, service in SERVICES.items():
        hosts = set(re.findall(r"http://([a-z]+):", " ".join(service.get("command", []))))
        assert hosts <= SERVICES.keys(), name
        assert set(service.get("depends_on", ())) <= SERVICES.keys(), name
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]]
    assert all((EXAMPLES / path).exists() for path in mounted)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    """`server app` is a name of the compose network, so it is replaced by an address here."""
    text = (EXAMPLES / "nginx.conf").read_text(encoding="utf-8")
    assert "server app:8000;" in text
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)  # not those of the machine's nginx
    text = text.replace("app:8000", "127.0.0.1:8000").replace("http {", f"http {{ access_log off; {folders}")
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\n{text}")

    done = run(NGINX, "-t", "-e", tmp_path / "early.log", "-c", conf)

    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_page_are_those_that_are_run_here() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    commands = [shlex.split(text)[0] for text in re.findall(r"\| `([^`]+)` \|$", page, re.MULTILINE)]

    assert commands == [*["locust"] * 6, "streamgauge", "streamgauge", "pytest", "make", "docker"]
