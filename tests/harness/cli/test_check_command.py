"""The command `check` as its user runs it: several targets, files, baselines, exit codes."""

import json
import os
import socketserver
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamgauge.cli import app
from streamgauge.errors import CannotMeasure, ExitCode, UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.protocol.dialects.choice import SETTLE

PATH = "/v1/chat/completions"
NOBODY = "http://127.0.0.1:1/chat"
Check = Callable[..., Result]


@pytest.fixture(scope="module")
def clean() -> Iterator[str]:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as mock:
        yield mock.url + PATH


@pytest.fixture(scope="module")
def faulty() -> Iterator[str]:
    """One check of framing warns, one of termination fails."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("no-terminal", "bom"))) as mock:
        yield mock.url + PATH


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs `check` on a few quick checks, in a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, only: tuple[str, ...] = ("framing", "termination")) -> Result:
        narrowed = [word for pattern in only for word in ("--only", pattern)]
        return CliRunner().invoke(app(), ["check", *map(str, arguments), *narrowed])

    return run


def test_an_endpoint_that_only_ever_fails_has_not_passed_by_its_framing(check: Check, tmp_path: Path) -> None:
    """`passed`, with exit code 0, of an endpoint from which no token ever came."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("error-event:0",))) as mock:
        done = check(mock.url + PATH, "--json", "all.json", only=("framing",))

    assert done.exit_code == ExitCode.CANNOT_MEASURE
    assert done.output.splitlines()[-1].startswith("undecided: no stream had content")
    (row,) = json.loads((tmp_path / "all.json").read_text())["targets"]
    assert row["failing"] == []
    assert "error_event: " in row["checks"]["unfinished"]


def test_several_targets_are_one_report(check: Check, clean: str, faulty: str, tmp_path: Path) -> None:
    """What cannot be reached is a row with its reason, not the end of the run."""
    done = check(clean, faulty, NOBODY, "--json", "all.json", "--junit", "all.xml", "--out", "runs")

    assert done.exit_code == ExitCode.FAILED
    assert "not measured: cannot connect to 127.0.0.1:1" in done.output
    assert "termination.explicit-end  ✓  ✗  ·" in done.output
    assert "failed: 1 finding (--fail-on fail), 1 target not measured" in done.output
    rows = json.loads((tmp_path / "all.json").read_text())["targets"]
    assert [(row["target"], row["failing"]) for row in rows] == [
        (clean, []), (faulty, ["termination.explicit-end"]), (NOBODY, []),
    ]  # fmt: skip
    assert rows[2]["checks"] is None
    suites = ET.parse(tmp_path / "all.xml").getroot().findall("testsuite")
    assert [(suite.attrib["failures"], suite.attrib["errors"]) for suite in suites] == [
        ("0", "0"),
        ("1", "0"),
        ("0", "1"),
    ]
    assert len(list(tmp_path.glob("runs/*/checks.json"))) == 2


def test_a_target_that_cannot_be_measured_alone_ends_the_run(check: Check, tmp_path: Path) -> None:
    """Exit 3; a CI that reads the file sees why."""
    done = check(NOBODY, "--junit", "one.xml")

    assert isinstance(done.exception, CannotMeasure)
    error = next(ET.parse(tmp_path / "one.xml").getroot().iter("error"))
    assert "cannot connect" in error.attrib["message"]
    assert check(NOBODY, "http://127.0.0.1:2/").exit_code == ExitCode.CANNOT_MEASURE


def test_the_cost_is_printed_before_the_run(check: Check, clean: str) -> None:
    done = check(clean)

    assert done.stderr.startswith("cost: at most ")
    assert "the longest wait for one answer is 120 s" in " ".join(done.stderr.split())


def test_a_dry_run_prints_the_cost_and_makes_no_request(check: Check, tmp_path: Path) -> None:
    done = check(NOBODY, "--dry-run", "--json", "none.json", only=("limits", "termination"))

    assert done.exit_code == ExitCode.OK
    assert "happy" in done.stdout
    assert "in all" in done.stdout
    assert "oversize" not in done.stdout
    assert "oversize" in check(NOBODY, "--dry-run", "--allow-big-prompts", only=("limits",)).stdout
    assert not (tmp_path / "none.json").exists()


def test_checks_that_a_budget_leaves_out_are_named(check: Check, clean: str) -> None:
    done = check(clean, "--max-tokens-spent", "30000", "--allow-big-prompts", only=("limits",))

    assert "left out, because too few tokens were left: limits.input-size" in done.output
    assert "tokens spent at the model" in done.output


def test_a_file_of_targets(check: Check, clean: str, faulty: str, tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(
        f'[[target]]\nname = "good"\nurl = "{clean}"\n[[target]]\nname = "bad"\nurl = "{faulty}"\n'
    )

    done = check("--targets", "targets.toml", "--json", "all.json")

    report = json.loads((tmp_path / "all.json").read_text())
    assert [(row["name"], row["line"], bool(row["failing"])) for row in report["targets"]] == [
        ("good", 1, False), ("bad", 4, True),
    ]  # fmt: skip
    assert "bad" in done.output


def test_a_baseline_from_first_run_to_stale(check: Check, clean: str, faulty: str, tmp_path: Path) -> None:
    """Accept what is known, pass, and fail when it is met."""
    accept = ("--baseline", "accepted.toml")

    assert check(faulty).exit_code == ExitCode.FAILED
    written = check(faulty, *accept, "--update-baseline")
    again = check(faulty, *accept, "--junit", "again.xml")
    other = check(clean, *accept)
    (tmp_path / "accepted.toml").write_text((tmp_path / "accepted.toml").read_text().replace(faulty, clean))
    stale = check(clean, *accept, "--junit", "stale.xml")

    assert [done.exit_code for done in (written, again, other, stale)] == [0, 0, 0, ExitCode.FAILED]
    assert "1 finding accepted by the baseline" in again.output
    assert "termination.explicit-end is accepted by the baseline but passes now" in stale.output
    skipped = [case.attrib["message"] for case in ET.parse(tmp_path / "again.xml").getroot().iter("skipped")]
    assert [text for text in skipped if text.startswith("accepted by the baseline")]
    assert [case.attrib["type"] for case in ET.parse(tmp_path / "stale.xml").getroot().iter("failure")] == ["stale"]


def test_expected_failures_are_a_baseline(check: Check, clean: str, faulty: str, tmp_path: Path) -> None:
    (tmp_path / "expected.txt").write_text("termination.explicit-end\n")

    assert check(faulty, "--expected-failures", "expected.txt").exit_code == ExitCode.OK
    assert check(clean, "--expected-failures", "expected.txt").exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    ("rule", "code"), [("fail", 1), ("warn", 1), ("critical", 1), ("never", 0)], ids=lambda value: str(value)
)
def test_the_rule_decides_the_exit_code(check: Check, faulty: str, rule: str, code: int) -> None:
    assert check(faulty, "--fail-on", rule).exit_code == code


def test_only_a_warning_passes_unless_the_rule_says_otherwise(check: Check, faulty: str) -> None:
    codes = [check(faulty, *rule, only=("framing",)).exit_code for rule in ((), ("--strict",), ("--fail-on", "high"))]

    assert codes == [0, 1, 1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--update-baseline",),
        ("--baseline", "none.toml"),
        ("--fail-on", "sometimes"),
        ("--json", "nowhere/x.json"),
        ("--json", "."),
        ("--json", "same", "--junit", "same"),
        ("--targets", "none.toml"),
    ],
    ids=" ".join,
)
def test_mistakes_are_told_before_any_request(check: Check, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nobody listens: a request would end in CannotMeasure."""
    done = check(NOBODY, *arguments)

    assert isinstance(done.exception, UsageError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("--api-key-env", "ECHOED"), ("--second-key", "ECHOED"), ("--header", "Authorization: Bearer sk-secret\n")],
)
def test_a_key_with_a_line_break_is_refused_and_not_quoted(
    check: Check, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """It would end its header, and what follows would be a header of its own."""
    monkeypatch.setenv("ECHOED", "sk-secret\n")

    done = check(NOBODY, *arguments)

    assert isinstance(done.exception, UsageError)
    assert "sk-secret" not in f"{done.output} {done.exception} {done.exception.hint}"


def test_without_a_target_there_is_nothing_to_check(check: Check) -> None:
    assert isinstance(check().exception, UsageError)


ECHO = b"""HTTP/1.1 %s\r\nContent-Type: %s\r\nX-Echo: %s\r\nConnection: close\r\n\r\n%s"""


class Echo(socketserver.StreamRequestHandler):
    """Says back the credential that it was sent, in a stream or, on another path, in place of one."""

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := self.request.recv(65_536)):
            head += data
        key = next((line[22:] for line in head.split(b"\r\n") if line.startswith(b"Authorization: Bearer ")), b"")
        if head.startswith(b"POST /refuse"):
            self.request.sendall(ECHO % (b"401 No", b"application/json", key, b'{"error":"bad key %s"}' % key))
        else:
            self.request.sendall(ECHO % (b"200 OK", b"text/event-stream", key, b"data: {%s\n\ndata: [DONE]\n\n" % key))


def test_a_credential_that_is_echoed_is_nowhere(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in what is printed, not in any file: reports are passed on."""
    monkeypatch.setenv("KEY", "hunter2+hunter2+hunter2")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        files = [word for kind in ("json", "junit", "sarif", "markdown", "html") for word in (f"--{kind}", f"x.{kind}")]
        several = check(
            url + PATH,
            url + "/refuse",
            *files,
            "--api-key-env",
            "KEY",
            "--method",
            "POST",
            only=("framing", "text", "http"),
        )
        alone = check(url + "/refuse", "--api-key-env", "KEY", "--method", "POST")
        server.shutdown()

    assert "fail" in several.output
    assert "not measured" in several.output
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert len(written) == 5
    assert not [text for text in (*written, several.output, str(alone.exception)) if "hunter2" in text]


def test_a_file_is_replaced_or_left_alone(check: Check, clean: str, tmp_path: Path) -> None:
    """A pipe is written into."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    assert check(clean, "--junit", "pipe", only=("http.status-200",)).exit_code == ExitCode.OK
    assert os.read(reader, 10).startswith(b"<?xml")
    os.close(reader)


def test_a_profile_is_named_and_says_what_it_changed(check: Check, faulty: str, tmp_path: Path) -> None:
    """The missing end is not the proxy's doing."""
    done = check(faulty, "--profile", "proxy", "--json", "all.json")

    assert done.exit_code == ExitCode.OK, done.output
    assert "direct position, profile proxy" in done.output
    assert "recognised as openai-chat because the URL's path is that of openai-chat" in done.output
    (row,) = json.loads((tmp_path / "all.json").read_text())["targets"]
    ends = next(one for one in row["checks"]["results"] if one["id"] == "termination.explicit-end")
    assert (row["checks"]["profile"], ends["verdict"], ends["level"]) == ("proxy", "warn", "SHOULD")
    assert ends["profile"].startswith("MUST is SHOULD in the profile proxy: ")


def test_a_file_gives_each_target_its_profile(check: Check, clean: str, tmp_path: Path) -> None:
    targets = "".join(
        f'[[target]]\nname = "{name or "usual"}"\nurl = "{clean}"\n{f"profile = {name!r}" if name else ""}\n'
        for name in ("azure", "")
    )
    (tmp_path / "targets.toml").write_text(targets)

    check("--targets", "targets.toml", "--json", "all.json")

    report = json.loads((tmp_path / "all.json").read_text())
    assert [row["checks"]["profile"] for row in report["targets"]] == ["azure", "openai"]


def test_an_unknown_profile_is_said_before_any_request(check: Check) -> None:
    done = check(NOBODY, "--profile", "azur")
    assert isinstance(done.exception, UsageError)
    assert "did you mean 'azure'?" in done.exception.message


def test_a_guess_that_later_events_contradict_is_told(check: Check, tmp_path: Path) -> None:
    """One event like OpenAI's, then events of an unknown shape: nothing of OpenAI's is demanded."""
    wire = b'data: {"choices":[{"delta":{}}]}\n\n' + b'data: {"piece":"a"}\n\n' * 3
    wire = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + wire

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(wire)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/chat"
        done = check(url, "--method", "POST", "--json", "all.json", only=("openai-chat", "termination"))
        server.shutdown()

    assert done.exit_code == ExitCode.OK, done.output
    told = " ".join(done.output.split())
    assert "the stream looked like openai-chat because" in told
    assert "has nothing that it knows" in told
    (row,) = json.loads((tmp_path / "all.json").read_text())["targets"]
    assert {one["verdict"] for one in row["checks"]["results"]} == {"inconclusive", "not-applicable"}
    assert row["checks"]["dialect_doubt"].endswith(SETTLE)
