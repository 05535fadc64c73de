"""docs/faults.md: its rows are the faults of tests/faults, and each holds what the page promises."""

import pytest

from tests.faults.__main__ import HEAD, PAGE
from tests.faults.cases import FAULTS, Fault
from tests.faults.running import Shape

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()
]


def test_the_page_has_a_row_for_each_fault_in_each_shape() -> None:
    assert PAGE.read_text(encoding="utf-8").startswith(HEAD), "run: make faults"
    assert [row[:2] for row in ROWS] == [[fault.name, shape.value] for fault in FAULTS for shape in fault.shapes], (
        "run: make faults"
    )


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_after_each_fault_nothing_is_alive_and_no_stream_is_lost_in_silence(fault: Fault) -> None:
    rows = [row for row in ROWS if row[0] == fault.name]
    for _, shape, code, verdict, server, recorded, lost, kept, unnamed, alive in rows:
        assert code != "0"
        assert verdict in ("INVALID", "SUSPECT", "NO DATA")
        assert int(server) - int(recorded) - (int(kept) or int(lost)) == int(unnamed.replace("−", "-"))
        at_least = "makes streams" in fault.name and "kill" in fault.name and shape == Shape.WORKERS
        assert unnamed.startswith(("−", "0")) or at_least
        assert alive == "0"
