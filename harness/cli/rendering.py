"""Writes the reports of a run directory, where the libraries for tables and drawings fit into memory."""

import os
import resource
from pathlib import Path
from typing import Final

from streamgauge.errors import CannotMeasure
from streamgauge.units import MIB

LEAST_BYTES: Final = 640 * MIB
"""The address space that the libraries take: measured with limits (ulimit -v), 560 MiB are enough."""


def write_reports(directory: Path, *, parquet: bool = False, events: bool = False) -> list[Path]:
    """Write the reports and return their paths; see `render` and `write_parquet` for what they raise.

    Raises CannotMeasure when the libraries do not fit into the memory that this process may use.
    """
    left = _left_bytes()
    if left is not None and left < LEAST_BYTES:
        raise _too_little(directory, f"this process may take only {left // MIB:,} MiB more (ulimit -v)")
    # Without memory for a buffer of each core, OpenBLAS ends the process without an exception. One thread is enough.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from streamgauge.reports.render import render  # here, because importing matplotlib takes a second

        written = render(directory)
        if parquet:
            from streamgauge.reports.parquet import write_parquet

            written.append(write_parquet(directory, events=events))
    except MemoryError:
        raise _too_little(directory, "the memory of this process was used up") from None
    return written


def _left_bytes() -> int | None:
    """The address space that this process may still take; None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return max(soft - pages * resource.getpagesize(), 0)


def _too_little(directory: Path, why: str) -> CannotMeasure:
    return CannotMeasure(
        f"the reports need about {LEAST_BYTES // MIB:,} MiB of memory, and {why}",
        f"the records are kept: `streamgauge report {directory}` writes the reports, with a higher limit or elsewhere",
    )
