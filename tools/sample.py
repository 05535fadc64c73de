"""The README's sample of `load`: a recorded run, printed by the code of today. Its rows are those that `load` prints.

To record another run, run the two commands of `COMMANDS`, then `python -m tools.sample RUN_DIRECTORY` and `make docs`.
"""

import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.text import Text

from streamgauge.cli.console import out
from streamgauge.cli.load_tables import print_summary, print_truth
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RunFile

RECORDED: Final = Path(__file__).parent / "sample_run.json"
COMMANDS: Final = """\
$ streamgauge mock --port 9000 --ttft 200ms --itl 20ms --tokens 100
$ streamgauge load http://127.0.0.1:9000/v1/chat/completions --users 20 --duration 15s --slo "ttft p95 < 500ms" \\
    --mock http://127.0.0.1:9000"""
_WIDTH: Final = 120


def sample() -> str:
    """The commands and what the second one prints, as a block of code."""
    return f"```\n{COMMANDS}\n{printed(recorded())}\n```"


def recorded() -> RunFile:
    """The run that was recorded."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=RunFile)


def printed(run: RunFile) -> str:
    """What `load` prints of a run, as plain text without spaces at the ends of lines."""
    assert run.summary is not None
    width, out.width = out.width, _WIDTH
    try:
        with out.capture() as captured:
            print_summary(run.summary, run.reader)
            if run.truth is not None:
                print_truth(run.truth)
    finally:
        out.width = width
    lines = Text.from_ansi(captured.get()).plain.splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


def record(directory: Path) -> None:
    """Keep the figures of a run, without anything about the machine that made it."""
    run = runs.read_file(directory / runs.RUN, RunFile)
    assert run is not None
    assert run.summary is not None
    kept = RunFile(command=run.command, target="", started="", reader=run.reader, summary=run.summary, truth=run.truth)
    RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
