"""The mock of a scenario, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tests.bench.clients import processes
from tests.bench.clients.scenarios import Path, Scenario

LEDGER_SIZE = 1_000_000


class Mock(NamedTuple):
    """`control` is HTTP/1.1 in clear text, with the ledger; `url` is the protocol of the scenario."""

    pid: int
    control: str
    url: str


@contextmanager
def playing(scenario: Scenario, cores: Sequence[int]) -> Iterator[Mock]:
    """The mock that plays a scenario; it has ended afterwards."""
    module = "streamgauge.mock_provider" if scenario.path is Path.HTTP1 else "tests.bench.clients.paths_mock"
    command = [
        sys.executable, "-m", module, "--port", "0", "--ttft", scenario.ttft, "--itl", scenario.itl,
        "--tokens", str(scenario.tokens), "--ledger-size", str(LEDGER_SIZE), *scenario.mock_options,
    ]  # fmt: skip
    mock = processes.start(command, cores, stdout=subprocess.PIPE, text=True)
    try:
        assert mock.stdout is not None
        if scenario.path is Path.HTTP1:
            control = url = _url(mock.stdout.readline())
        else:
            urls = {path: _url(mock.stdout.readline()) for path in Path}
            control, url = urls[Path.HTTP1], urls[scenario.path]
        yield Mock(mock.pid, control, url)
    finally:
        processes.end(mock.pid)
        mock.wait()


def _url(line: str) -> str:
    url = line.split()[-1] if line.strip() else ""
    if not url.startswith("http"):
        raise RuntimeError(f"the mock did not start: {line!r}")
    return url
