"""The pytest plugin, run by pytest on itself."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# What a run inside this process imports it would forget again; once here is enough.
import streamgauge.pytest_plugin
from streamgauge import pytest_fixtures
from streamgauge.conformance import batch
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.reports import finding_text

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent.parent
IMPORTED = (streamgauge.pytest_plugin, pytest_fixtures, batch, finding_text)
Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An endpoint of which one check fails, one warns and most pass."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("no-terminal", "bom"))) as mock:
        yield f"{mock.url}/v1/chat/completions"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, url: str) -> Run:
    """Runs pytest with this plugin and no other, on the target of `url`."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makefile(".toml", target=f'url = "{url}"\n')

    def start(*arguments: str, only: tuple[str, ...] = ("framing", "termination")) -> pytest.RunResult:
        narrowed = [f"--streamgauge-only={pattern}" for pattern in only]
        # It was imported above, before pytest could rewrite its assertions: that is of no interest here.
        quiet = ("-W", "default", "-W", "ignore::pytest.PytestAssertRewriteWarning")
        return pytester.runpytest_inprocess("-p", "streamgauge.pytest_plugin", *quiet, *narrowed, *arguments)

    return start


TARGET = "--streamgauge-target=target.toml"


def test_each_check_is_a_test(run: Run) -> None:
    """A failure says what a log reader needs, and shows no line of this program."""
    done = run(TARGET, "-rA")

    counts = done.parseoutcomes()
    assert counts["failed"] == 1
    assert counts["passed"] > 5
    assert counts["skipped"] >= 1
    assert counts["warnings"] == 1
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(
        [
            "*SKIPPED*inconclusive: *needs --mock*",
            "FAILED target.toml::termination.explicit-end - no data: [[]DONE[]]*",
        ]
    )
    said = done.stdout.str()
    for part in ("requirement: ", "expected: ", "actual: ", "evidence: happy, byte", "reproduce: curl", "fix: "):
        assert part in said
    assert "Traceback" not in said
    assert "harness/pytest_plugin.py" not in said


@pytest.mark.parametrize(
    ("how", "outcomes"),
    [("fail", {"failed": 1}), ("xfail", {"xfailed": 1}), ("ignore", {"passed": 1}), ("warn", {"warnings": 1})],
)
def test_what_a_warning_is_can_be_chosen(run: Run, how: str, outcomes: dict[str, int]) -> None:
    counts = run(TARGET, f"--streamgauge-warnings={how}", only=("framing.no-bom",)).parseoutcomes()

    assert outcomes.items() <= counts.items()


def test_a_target_is_measured_once_and_only_when_a_check_runs(run: Run, pytester: pytest.Pytester) -> None:
    """Collecting asks nobody."""
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as mock:
        pytester.makefile(".toml", target=f'url = "{mock.url}/v1/chat/completions"\n')
        collected = run(TARGET, "--collect-only", "-q")
        before = _requests(mock)
        run(TARGET, only=("framing",))
        after = _requests(mock)

    collected.stdout.fnmatch_lines(["target.toml::framing.no-bom"])
    assert before == 0
    assert 0 < after < 6


def _requests(mock: MockServer) -> int:
    from streamgauge.endpoint.mock_ledger import MockControl

    with MockControl(mock.url) as control:
        return len(control.recent())


def test_several_targets_and_the_usual_selection(run: Run, pytester: pytest.Pytester, url: str) -> None:
    """-k and -m work as on any test; the tests of the user's own run beside them."""
    pytester.makefile(
        ".toml", several=f'[[target]]\nname = "left"\nurl = "{url}"\n[[target]]\nname = "right"\nurl = "{url}"\n'
    )
    pytester.makepyfile(test_own="def test_own(): pass")
    several = "--streamgauge-target=several.toml"

    chosen = run(several, "-k", "no-bom and right", "-v", "-m", "streamgauge", "-W", "ignore")

    chosen.stdout.fnmatch_lines(["several.toml::right::framing.no-bom PASSED*"])
    assert chosen.parseoutcomes()["passed"] == 1
    assert run(several, "-k", "test_own").parseoutcomes()["passed"] == 1


def test_a_baseline_accepts_and_goes_stale(run: Run, pytester: pytest.Pytester) -> None:
    accepted = '[[accepted]]\ncheck = "termination.explicit-end"\n[[accepted]]\ncheck = "framing.known-fields"\n'
    pytester.makefile(".toml", accepted=accepted)

    done = run(TARGET, "--streamgauge-baseline=accepted.toml", "-rxf")

    counts = done.parseoutcomes()
    assert (counts["xfailed"], counts["failed"]) == (1, 1)
    done.stdout.fnmatch_lines(["FAILED target.toml::framing.known-fields - the baseline accepts it but*"])


def test_a_warning_that_the_session_makes_an_error_is_told_in_its_own_words(run: Run) -> None:
    done = run(TARGET, "-W", "error::streamgauge.pytest_plugin.StreamgaugeWarning", only=("framing.no-bom",))

    assert done.parseoutcomes() == {"failed": 1}
    assert "harness/pytest_plugin.py" not in done.stdout.str()


def test_an_endpoint_that_is_not_there_is_one_failure(run: Run, pytester: pytest.Pytester) -> None:
    """Not one for each check."""
    pytester.makefile(".toml", target='url = "http://127.0.0.1:1/chat"\n')

    done = run(TARGET)

    counts = done.parseoutcomes()
    assert counts["failed"] == 1
    assert counts["skipped"] > 5
    done.stdout.fnmatch_lines(["*not measured: cannot connect to 127.0.0.1:1*"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('url = "http://a/"\nheaders = { Authorization = "sk-1" }', "*looks like a secret*"),
        ('url = "http://a/"\napi_key_env = "NOT_SET_ANYWHERE"', "*NOT_SET_ANYWHERE is not set*"),
        ('url = "http://a/"\nprofile = "opnai"', "*opnai*"),
        ("nonsense", "*target.toml is not usable*"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_of_collection(
    run: Run, pytester: pytest.Pytester, text: str, told: str
) -> None:
    pytester.makefile(".toml", target=text)

    done = run(TARGET)

    assert done.parseoutcomes() == {"errors": 1}
    done.stdout.fnmatch_lines([told])
    assert "Traceback" not in done.stdout.str()


def test_fixtures_for_streams_of_ones_own(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from streamgauge.endpoint.target import Target

        PATH = "/v1/chat/completions"

        def test_a_good_stream(streamgauge_mock, streamgauge_stream):
            mock = streamgauge_mock(tokens=5, ttft="30ms", itl="1ms")
            stream = streamgauge_stream(mock.url + PATH, prompt="Hi")
            assert stream.ok and stream.status == 200 and stream.dialect == "openai-chat"
            assert stream.text == "".join(stream.tokens) and len(stream.tokens) == 5
            assert 30_000_000 <= stream.ttft_ns == stream.token_ns[0] <= stream.token_ns[-1]
            assert stream.header("content-type").startswith("text/event-stream")
            assert stream.events[-1] == ("message", "[DONE]")

        def test_a_bad_stream_is_an_outcome(streamgauge_mock, streamgauge_stream):
            mock = streamgauge_mock(tokens=5, ttft="1ms", itl="1ms", faults=["rst:3"])
            stream = streamgauge_stream(Target(url=mock.url + PATH))
            assert stream.outcome == "truncated" and "reset" in stream.detail and len(stream.tokens) == 3
            assert "truncated" in repr(stream)

        def test_a_request_of_ones_own(streamgauge_mock, streamgauge_stream):
            mock = streamgauge_mock(tokens=2, ttft="1ms", itl="1ms")
            stream = streamgauge_stream(Target(url=mock.url + PATH).request("Hi"))
            assert stream.ok and stream.ttft_ns is not None

        def test_nobody_listens(streamgauge_stream):
            stream = streamgauge_stream("http://127.0.0.1:1" + PATH)
            assert stream.outcome == "connect_error" and stream.ttft_ns is None and stream.status is None
        """
    )

    run().assert_outcomes(passed=4)


def test_who_does_not_use_the_plugin_does_not_pay_for_it() -> None:
    """It is loaded in every pytest run of the environment: it must import next to nothing."""
    program = (
        "import sys; before = set(sys.modules); import pytest; with_pytest = set(sys.modules);"
        "import streamgauge.pytest_plugin; print(sorted(set(sys.modules) - with_pytest))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['streamgauge', 'streamgauge.pytest_plugin', 'streamgauge.version']"


def test_a_project_with_a_harness_of_its_own_is_not_disturbed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package hides ours; its tests run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}{os.pathsep}{ROOT}")
    pytester.mkpydir("harness")
    pytester.makepyfile(test_own="import harness\n\ndef test_own(): assert not hasattr(harness, '__version__')")

    done = pytester.runpytest_subprocess("-p", "streamgauge.pytest_plugin", "-p", "no:cacheprovider")

    done.assert_outcomes(passed=1)


def test_the_plugin_is_what_the_package_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"streamgauge": streamgauge.pytest_plugin.__name__}
