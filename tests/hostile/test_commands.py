"""The commands themselves, on the attacks that took the most memory: `make hostile` measures all of them."""

import pytest

from streamgauge.bounds import BOUNDS
from tests.builders.command import streamgauge
from tests.hostile.__main__ import MB, measured
from tests.hostile.attack import attacks

WITHOUT_ATTACK_MB = {"load": 190, "check": 60, "probe": 50}
"""What the process tree takes with an endpoint that answers well."""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("load", "comments_endless"),  # took 751 MB and 423 s of parsing
        ("check", "chunks_of_one_byte"),  # 1,303 MB
        ("check", "gzip_endless"),  # 571 MB and 206 s
    ],
)
def test_a_command_keeps_its_bound_of_memory(command: str, name: str) -> None:
    row = measured(name, attacks()[name], command)

    assert row.code in (0, 1, 3), row.shown
    assert row.memory <= (WITHOUT_ATTACK_MB[command] + BOUNDS[command].memory_mb) * MB
    assert "Traceback" not in row.shown
    assert len(row.shown) <= BOUNDS[command].most_shown


def test_ten_users_on_an_endless_line_take_less_than_300_mb_in_all_and_accuse_nobody_of_it() -> None:
    row = measured("line_endless", attacks()["line_endless"], "load")

    assert row.memory < 300 * MB
    assert row.code == 3
    assert "no memory left for the rest of the answer" in " ".join(row.shown.split())


@pytest.mark.parametrize("name", BOUNDS)
def test_the_help_of_a_command_says_its_bounds(name: str) -> None:
    shown = " ".join(streamgauge(name, "--help").stdout.split())

    assert BOUNDS[name].sentence in shown
