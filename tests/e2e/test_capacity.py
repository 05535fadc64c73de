"""`capacity` against a real mock: a small search, interrupted by its budget and resumed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from streamgauge.capacity.file import FILE
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def two_slots() -> Iterator[str]:
    """A stream takes 220 ms. Two users get their first token after 20 ms; a third makes them wait for 110 ms more."""
    with MockServer(MockConfig(tokens=10, ttft="20ms", itl="20ms", slots=2)) as server:
        yield server.url


def test_a_search_that_its_budget_ended_is_resumed_and_finds_the_two_slots(
    streamgauge: Run, two_slots: str, tmp_path: Path
) -> None:
    options = [
        f"{two_slots}/v1/chat/completions", "--slo", "ttft p70 < 75ms", "--slo", "error_rate < 50%",
        "--mock", two_slots, "--start", "2", "--most", "4", "--point", "1s", "--longest", "8s",
        "--repeats", "1", "--no-from-above", "--no-confirm-rate", "--at-least", "3", "--out", tmp_path,
    ]  # fmt: skip

    first = streamgauge("capacity", *options, "--budget", "7s")
    stopped = json.loads((tmp_path / FILE).read_text())

    # A busy machine makes a point undecided: this client was too slow. Then nothing is known, and that is said.
    known = [point["verdict"] for point in stopped["points"]]
    assert first.returncode in (3, 4), first.stderr
    assert known in (["pass"], ["undecided"]) or first.returncode == 4
    if known == ["pass"]:
        assert "--budget 7s" in stopped["answer"]["because"]
        assert "whether it holds 3 users is not known" in first.stdout

    second = streamgauge("capacity", *options, "--budget", "90s", "--resume")
    found = json.loads((tmp_path / FILE).read_text())

    assert found["points"][: len(known)] == stopped["points"]
    assert "2 users, double, from the history" in second.stderr
    assert "met: it holds" not in second.stdout
    assert second.returncode in (1, 3, 4), second.stderr
    if second.returncode == 1:
        assert (found["answer"]["low"], found["answer"]["high"]) == (2, 3)
        assert found["answer"]["binding"] == "ttft p70 < 75ms"
        assert (tmp_path / "points" / "002-users-4" / "streams.jsonl").is_file()
        assert "it does not hold 3 users" in second.stdout
