"""A short form of `make sanitize`: some hundred streams, opened, cut, reset, silent, left and forked."""

from pathlib import Path

import pytest

from tests.native.sanitize import SCARCITIES, TOOLS, build, run

STREAMS = 600


@pytest.mark.parametrize("name", ["plain", "thread", "address"])
def test_no_byte_is_lost_and_the_sanitizers_find_nothing(name: str, tmp_path: Path) -> None:
    tool = TOOLS[name]
    program = build(tool, tmp_path)
    if program is None:
        pytest.skip(f"{name}: needs a C compiler with its library")

    for seed, scarcity in enumerate(SCARCITIES, start=1):
        done = run(tool, program, STREAMS, seed, scarcity)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{STREAMS} streams")
