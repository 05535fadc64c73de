"""The program in somebody else's project, whose packages have the names of our folders.

Locust, pytest and `python -m` put the working directory first on the path: what they import there must not be taken
for ours. Each command runs once with the editable install and once with a wheel in a fresh environment.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from streamgauge.loadgen.peer_token import TOKEN_ENV, new_token
from streamgauge.transport import native
from tests.builders.locks import ROOT
from tests.builders.packages import Packages, build, install
from tests.e2e.conftest import free_port

CHAT = "/v1/chat/completions"
SHORT = ("--users", "2", "--duration", "3s")
LONGER = ("--users", "2", "--duration", "8s")  # on a busy machine, two workers need seconds to begin
# Folders of the repository, and what they are called when installed.
FOLDERS = {
    "harness": "streamgauge",
    "mock_provider": "streamgauge/mock_provider",
    "reports": "streamgauge/reports",
    "scenarios": "streamgauge/scenarios",
}
NATIVE = {"streamgauge/transport/_reader.abi3.so", "streamgauge/transport/_chunks.abi3.so"}
FOREIGN = (*FOLDERS, "tests", "tools")
# Their own tests may import these packages; nothing else may.
PACKAGE = """
import os
if "OWN_TESTS" not in os.environ:
    raise RuntimeError(f"the project's own {__name__} was imported")
OWN = True
"""
OWN_TESTS = """
import harness, mock_provider, reports, scenarios, tests, tools

def test_own():
    assert all(package.OWN for package in (harness, mock_provider, reports, scenarios, tests, tools))

def test_a_stream(streamgauge_mock, streamgauge_stream):
    mock = streamgauge_mock(tokens=3, ttft="1ms", itl="1ms")
    assert len(streamgauge_stream(mock.url + "/v1/chat/completions").tokens) == 3
"""
# Runs commands one after the other. As `-m` does, `-c` puts the working directory first on the path.
EACH = """
import ast, contextlib, io, sys
from streamgauge.cli import main
assert sys.path[0] == "", sys.path
for words, shows in ast.literal_eval(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(words)
        except SystemExit as ended:
            assert not ended.code, (words, ended.code)
    assert shows in out.getvalue(), (words, out.getvalue())
print("all ended well")
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to a release is unknown")
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def python(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The interpreter that has the program, installed in one way."""
    if request.param == "editable":
        return Path(sys.executable)
    return install(request.getfixturevalue("packages").wheel, tmp_path / "fresh")


def make_project(folder: Path) -> Path:
    """A project with packages of our names."""
    for name in FOREIGN:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(PACKAGE)
    (folder / "streamgauge-unrelated").mkdir()
    (folder / "conftest.py").write_text("")
    (folder / "test_own.py").write_text(OWN_TESTS)
    return folder


class Project:
    """Runs programs in a project's folder, and reports those that do not end as they should."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = str(python)
        self.streamgauge = str(python.with_name("streamgauge"))
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(self, *command: str, codes: tuple[int, ...] = (0,), shows: str = "", **environment: str) -> list[str]:
        """What is wrong with how a program ended: nothing, or one text."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        # A busy machine makes this client too slow: `demo` and `load` say so.
        slow = "the figures are INVALID" in output
        as_expected = (done.returncode in codes and shows in output) or (slow and done.returncode in (1, 3))
        if as_expected and "Traceback" not in output:
            return []
        return [f"{' '.join(command)}: exit code {done.returncode}\n{output}"]

    @contextmanager
    def server(self, *command: str) -> Iterator[str]:
        """A mock or proxy; gives its address."""
        process = subprocess.Popen(
            [*command, "--port", "0"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert " listening on " in first, (command, first)
            yield first.rpartition(" ")[2].strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    def load_and_the_rest(self, url: str, proxy: str) -> list[str]:
        """A load of a master and a worker with two processes; then its report and the commands of one process.

        These run in one process, one after the other: that saves imports.
        """
        port = str(free_port())
        master = (
            "load", url, *LONGER, "--out", "led", "--master", "--expect-workers", "2", "--port", port, "--no-report",
        )  # fmt: skip
        with ThreadPoolExecutor() as pool:
            token = {TOKEN_ENV: new_token()}
            leading = pool.submit(partial(self.run, self.streamgauge, *master, **token))
            worker = ("load", "--worker", f"127.0.0.1:{port}", "--processes", "2")
            problems = self.run(self.streamgauge, *worker, **token) + leading.result()
        commands = {
            ("report", "led"): "report.html",
            ("check", url, "--only", "framing"): "checks",
            ("clients", url): "openai",
            ("probe", proxy + CHAT): "tokens per read",
            ("explain", "framing.no-bom"): "framing.no-bom",
            ("mock", "--list-faults"): "no-flush",
        }
        return problems + self.run(self.python, "-c", EACH, repr(list(commands.items())), shows="all ended well")

    def locust(self, url: str) -> list[str]:
        """Locust itself with the installed file of a scenario. It ends when it has reported streams.

        Its own --run-time would end it early on a busy machine: that counts from before the imports.
        """
        where = "import streamgauge.scenarios as it; print(it.__path__[0])"
        scenarios = subprocess.run(
            [self.python, "-I", "-c", where], env=self.environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        command = [self.python, "-m", "locust", "-f", f"{scenarios}/chat.py", "--headless", "--users", "1"]
        process = subprocess.Popen(
            [*command, "--stop-timeout", "5", "--host", url], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if line.startswith("STREAM"):
                process.send_signal(signal.SIGTERM)
                break
        rest, _ = process.communicate(timeout=30)
        output += rest
        good = process.returncode == 0 and "STREAM" in output and "Traceback" not in output
        return [] if good else [f"locust: exit code {process.returncode}\n{output}"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", ["editable", "wheel"], indirect=True)
def test_every_command_runs_beside_packages_of_the_same_names(python: Path, tmp_path: Path) -> None:
    """Side by side, the longest first. `demo` itself runs mock, proxy, check, load, cancel and diagnose.

    So a load without workers is a part of `demo`.
    """
    project = Project(make_project(tmp_path / "project"), python)
    module, ours = (project.python, "-m"), project.streamgauge
    pytest_alone = (*module, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:locust")
    plugin = ("--streamgauge-target=target.toml", "--streamgauge-only=framing", "--ignore=test_own.py")
    with (
        project.server(*module, "streamgauge.mock_provider", "--ttft", "5ms", "--itl", "5ms") as mock,
        project.server(ours, "proxy", mock) as proxy,
        ThreadPoolExecutor(4) as pool,
    ):
        url = mock + CHAT
        (project.folder / "target.toml").write_text(f'url = "{url}"\n')
        running = [
            pool.submit(project.run, ours, "demo", "--users", "2", "--duration", "3s", shows="ended as expected"),
            pool.submit(project.load_and_the_rest, url, proxy),
            # A busy machine makes it 1: the client could not carry that load.
            pool.submit(project.run, ours, "calibrate", *SHORT, "--tokens", "20", "--out", "floor", codes=(0, 1)),
            pool.submit(project.locust, url),
            pool.submit(project.run, *pytest_alone, "test_own.py", shows="2 passed", OWN_TESTS="1"),
            pool.submit(project.run, *pytest_alone, *plugin, shows="passed"),
            pool.submit(project.run, *module, "streamgauge", "--version", shows="streamgauge"),
        ]
        problems = [problem for one in running for problem in one.result()]

    assert problems == [], "\n".join(problems)
    assert (project.folder / "floor" / "calibration.json").exists()
    assert len(json.loads((project.folder / "led" / "run.json").read_text())["workers"]) == 2


def test_a_foreign_package_that_is_imported_fails_the_run(tmp_path: Path) -> None:
    """So the test above can fail: `python -m` does look into the working directory first."""
    project = Project(make_project(tmp_path / "project"), Path(sys.executable))

    for name in FOREIGN:
        (problem,) = project.run(project.python, "-m", name)
        assert f"the project's own {name} was imported" in problem


def test_a_wheel_holds_the_package_and_its_metadata_and_nothing_else(packages: Packages) -> None:
    """Each tracked file of the four folders under the one name, and the native modules instead of their sources."""
    expected = {
        name.replace(folder, package, 1)
        for name in packages.sources
        for folder, package in FOLDERS.items()
        if name.startswith(f"{folder}/") and not name.endswith((".c", ".h"))
    }
    if native.READER is not None:
        expected |= NATIVE
    info = "-".join(packages.wheel.name.split("-")[:2]) + ".dist-info"

    assert {name for name in packages.in_wheel() if not name.startswith(f"{info}/")} == expected
    assert {name.rpartition("/")[2] for name in packages.in_wheel() if name.startswith(f"{info}/")} == {
        "LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt",
    }  # fmt: skip


@pytest.mark.skipif(native.READER is None, reason=str(native.WHY_NOT))
def test_one_wheel_is_for_every_python_from_the_oldest_on(packages: Packages) -> None:
    assert packages.wheel.name.split("-")[2:4] == ["cp311", "abi3"]
    assert packages.in_wheel() >= NATIVE


def test_an_sdist_holds_all_that_is_tracked(packages: Packages) -> None:
    """Sources, tests, documents and locks: whoever packages it further can test it."""
    generated = {name for name in packages.in_sdist() if name.startswith("streamgauge.egg-info/")}

    assert packages.in_sdist() - generated - {"PKG-INFO", "setup.cfg"} == {
        name for name in packages.sources if not name.startswith(".")
    }
