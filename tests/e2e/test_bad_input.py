"""What cannot be measured gets one clear message and exit code 2 or 3: never a traceback, never a hang."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.e2e.conftest import free_port

Run = Callable[..., "CompletedProcess[str]"]
COMMANDS = ["probe", "check", "load", "cancel", "diagnose"]


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """A server that says `answer` to whatever it is sent and closes; None never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in kept:
            connection.close()


def ask(run: Run, name: str, url: str, mock: str, out: Path, *more: str) -> "CompletedProcess[str]":
    arguments = [name, "--via", url] if name == "diagnose" else [name, url]
    if name in ("cancel", "diagnose"):
        arguments += ["--mock", mock]
    if name == "load":
        arguments += ["--duration", "2s"]
    if name != "probe":
        arguments += ["--out", str(out / "run")]
    return run(*arguments, *more)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_endpoint_that_is_not_there(streamgauge: Run, mock: str, tmp_path: Path, name: str) -> None:
    done = ask(streamgauge, name, f"http://127.0.0.1:{free_port()}/v1/chat/completions", mock, tmp_path)

    assert done.returncode == 3
    assert "cannot connect to 127.0.0.1" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_endpoint_that_answers_html(streamgauge: Run, mock: str, tmp_path: Path, name: str) -> None:
    page = b"<html><script>alert(1)</script></html>"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    with answering(answer) as url:
        done = ask(streamgauge, name, url, mock, tmp_path)

    assert done.returncode == 3
    assert "text/html" in done.stderr
    assert "<html>" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_endpoint_that_sends_binary_garbage(streamgauge: Run, mock: str, tmp_path: Path, name: str) -> None:
    with answering(bytes(range(256)) * 20) as url:
        done = ask(streamgauge, name, url, mock, tmp_path)

    assert done.returncode == 3
    assert "not valid HTTP" in done.stderr


@pytest.mark.parametrize("name", ["probe", "check", "diagnose", "cancel", "load"])
def test_an_endpoint_that_never_answers(streamgauge: Run, mock: str, tmp_path: Path, name: str) -> None:
    with answering(None) as url:
        done = ask(streamgauge, name, url, mock, tmp_path, "--timeout", "500ms")

    assert done.returncode == 3
    assert "no answer came" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_flag_that_does_not_exist(streamgauge: Run, mock: str, tmp_path: Path, name: str) -> None:
    done = ask(streamgauge, name, "http://127.0.0.1:1/", mock, tmp_path, "--nonsense")

    assert done.returncode == 2
    assert "--nonsense" in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("url = 'http://x/'\nnonsense = 1\n", "nonsense"),
        ("url = [", "not usable"),
        ("model = 'm'\n", "url"),
    ],
)
def test_a_target_file_that_cannot_be_used(streamgauge: Run, tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "target.toml"
    if content is not None:
        path.write_text(content)

    done = streamgauge("probe", "--target", path)

    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("probe",), "no endpoint given"),
        (("probe", "ftp://x/"), "not a URL"),
        (("probe", "http://x/", "--dialect", "openai-chatt"), "did you mean 'openai-chat'"),
        (("probe", "http://x/", "--header", "nonsense"), "--header"),
        (("probe", "http://x/", "--timeout", "soon"), "--timeout"),
        (("probe", "http://x/", "--api-key-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("probe", "http://x/", "--body", "no-such-file.json"), "no-such-file.json"),
        (("probe", "http://x/", "--body", "/dev/zero"), "larger than 64.0 MiB"),
        (("check", "http://x/", "--baseline", "/dev/zero"), "larger than 64.0 MiB"),
        (("load", "http://x/", "--duration", "1parsec"), "--duration"),
        (("load", "http://x/", "--slo", "ttft below 3"), "SLO"),
        (("load", "http://x/", "--scenario", "nope"), "chat"),
        (("cancel", "http://x/"), "--mock"),
        (("report", "no-such-directory"), "no-such-directory"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(streamgauge: Run, arguments: tuple[str, ...], told: str) -> None:
    done = streamgauge(*arguments)

    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "probe"])
def test_a_place_that_takes_no_run_is_said_before_anything_is_asked(
    streamgauge: Run, tmp_path: Path, name: str
) -> None:
    (tmp_path / "run").write_text("a file")
    nobody = f"http://127.0.0.1:{free_port()}"
    done = ask(streamgauge, name, f"{nobody}/v1/chat/completions", nobody, tmp_path)

    assert done.returncode == 2
    assert f"{tmp_path / 'run'} is not a directory" in done.stderr


def test_a_mock_that_is_not_there(streamgauge: Run, mock: str) -> None:
    done = streamgauge("cancel", f"{mock}/v1/chat/completions", "--mock", f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 3
    assert "control API" in done.stderr


@pytest.mark.parametrize("url", ["https://b]/?key=sk-1234567890abcdef", "http://xn--zzzzzz/"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_url_that_is_none(streamgauge: Run, mock: str, tmp_path: Path, name: str, url: str) -> None:
    """On the command line, and in a target file. Found by `make fuzz`."""
    (tmp_path / "target.toml").write_text(f'url = "{url}"\n', encoding="utf-8")
    given = [ask(streamgauge, name, url, mock, tmp_path)]
    if name not in ("diagnose", "clients"):
        more = ["--mock", mock] if name == "cancel" else []
        option = "--targets" if name == "check" else "--target"
        given.append(streamgauge(name, option, tmp_path / "target.toml", *more))

    for done in given:
        assert done.returncode == 2
        assert "is not a URL" in done.stderr or "the URL holds a secret" in done.stderr
        assert "Traceback" not in done.stderr
        assert "sk-1234567890abcdef" not in done.stdout + done.stderr
