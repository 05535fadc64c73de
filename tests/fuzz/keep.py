"""Keeps inputs in tests/fuzz/corpus: `python -m tests.fuzz.keep NAME [FILE...]`.

With files, those inputs: what broke the target. Without, the shortest inputs of build/fuzz that together reach every
step from line to line that all of them reach, less those that the seeds reach.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from streamgauge.version import __file__ as version_file
from tests.fuzz.__main__ import KEPT
from tests.fuzz.corpus import keep, kept
from tests.fuzz.targets import target
from tests.fuzz.targets.choices import Target

MOST_TRIED = 3_000
PACKAGE = str(Path(version_file).resolve().parent.parent)

Step = tuple[str, int, int]


def steps(own: Target, data: bytes) -> set[Step]:
    """The steps from line to line that an input makes in the package."""
    found = set[Step]()

    def local(before: int) -> Any:
        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal before
            if event == "line":
                found.add((frame.f_code.co_filename, before, frame.f_lineno))
                before = frame.f_lineno
            return trace

        return trace

    def start(frame: FrameType, *_: object) -> Any:
        return local(frame.f_lineno) if frame.f_code.co_filename.startswith(PACKAGE) else None

    sys.settrace(start)
    try:
        own.run(data)
    finally:
        sys.settrace(None)
    return found


def worth_keeping(own: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """The inputs that make a step which no seed and no shorter input makes."""
    known = set[Step]().union(*(steps(own, data) for data in own.seeds()))
    chosen = []
    for data in sorted(set(inputs), key=lambda one: (len(one), one))[:MOST_TRIED]:
        new = steps(own, data) - known
        if new:
            known |= new
            chosen.append(data)
    return chosen


def main() -> None:
    name, *files = sys.argv[1:]
    if files:
        keep(name, [*kept(name), *(Path(file).read_bytes() for file in files)])
    else:
        found = [path.read_bytes() for path in (KEPT / name / "corpus").glob("*")]
        keep(name, [*kept(name), *worth_keeping(target(name), [*kept(name), *found])])
    print(f"{name}: {len(kept(name))} inputs are kept")


if __name__ == "__main__":
    main()
