"""`make faults`: makes every fault in every shape of a load, prints the table, and writes docs/faults.md."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.faults.cases import FAULTS, Fault
from tests.faults.running import Shape

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
HEAD: Final = """# Faults

What `load` does when something goes wrong under it. `make faults` makes each fault and writes this page; the short ones
are tests, too (tests/e2e/test_faults.py).

After every fault nothing goes on loading the endpoint, what was measured is reported over the time in which it was
measured, and every stream that the server has seen is recorded, or named as lost or as kept by a worker in a file.

- **exit**: the exit code of the command. −9 is a command that was killed itself.
- **verdict**: that of the figures. After a killed command, `streamgauge report` gives it.
- **server**: streams that the endpoint has seen, without the one that every load begins with.
- **unnamed**: server − recorded − lost − kept. It is never above 0 but where a worker on another machine was killed:
  its loss is named as "at least". Below 0 are requests that were recorded or named, but that never reached the server.
- **alive**: processes of the load 5 s after the end of the command.

| fault | processes | exit | verdict | server | recorded | lost | kept | unnamed | alive |
|---|---|---|---|---|---|---|---|---|---|
"""


def main(words: list[str]) -> int:
    """Measure the faults whose names have one of the words; all of them without words, and then write the page."""
    rows = []
    for fault in FAULTS:
        if words and not any(word in fault.name for word in words):
            continue
        for shape in fault.shapes:
            rows.append(_row(fault, shape))
            sys.stdout.write(rows[-1] + "\n")
            sys.stdout.flush()
    if not words:
        PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


def _row(fault: Fault, shape: Shape) -> str:
    if fault.small_disk and os.geteuid() != 0:
        return f"| {fault.name} | {shape} | only root can make a small disk | | | | | | | |"
    with tempfile.TemporaryDirectory(prefix="streamgauge-") as folder:
        end = fault.measure(Path(folder), shape)
    cells: list[object] = [fault.name, shape, str(end.exit_code).replace("-", "−"), end.verdict, end.started,
                           end.recorded, end.lost, end.kept_by_workers, str(end.unnamed).replace("-", "−"),
                           len(end.survivors)]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
