"""`streamgauge demo`: the whole tool once, against the mock provider and a proxy that is known to buffer."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from harness.cli.console import out
from harness.errors import CannotMeasure, ExitCode

_START_TIMEOUT_S: Final = 15.0
_HELD_BYTES: Final = 4096
# The console script may not be on the path, this interpreter is.
_STREAMGAUGE: Final = (sys.executable, "-c", "from harness.cli import main; main()")


def demo(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run directory.")] = Path("runs/demo"),
    users: Annotated[int, typer.Option(metavar="N", min=1, help="Users of the load step.")] = 25,
    duration: Annotated[str, typer.Option(metavar="DURATION", help="Length of the load step.")] = "8s",
) -> None:
    """Run check, load, cancel and diagnose against the embedded mock and a buffering proxy, and write one report.

    Examples:

      streamgauge demo

      streamgauge demo --out runs/try --users 100 --duration 20s

    Exit codes: 0 every step ended as it should (diagnose finds the proxy that was put there), 1 one did not.
    """
    with (
        _child("mock", "--ttft", "200ms", "--itl", "20ms", "--tokens", "60") as mock,
        _child("proxy", mock, "--hold-bytes", str(_HELD_BYTES)) as proxy,
    ):
        endpoint, via = f"{mock}/v1/chat/completions", f"{proxy}/v1/chat/completions"
        steps = [
            ("Does it speak the protocol?", ExitCode.OK, ["check", endpoint, "--mock", mock]),
            (
                "How fast does it stream?",
                ExitCode.OK,
                ["load", endpoint, "--users", str(users), "--duration", duration, "--mock", mock],
            ),
            ("Does it stop when the user leaves?", ExitCode.OK, ["cancel", endpoint, "--mock", mock]),
            (
                "Who holds my tokens back? (a proxy that holds 4,096 bytes was put there)",
                ExitCode.FAILED,
                ["diagnose", "--via", via, "--direct", endpoint, "--mock", mock],
            ),
        ]
        surprises = [
            arguments[0]
            for number, (question, expected, arguments) in enumerate(steps, 1)
            if not _step(f"{number}/{len(steps)} {question}", expected, [*arguments, "--out", str(out_dir)])
        ]
    from reports.render import render

    out.print()
    for path in render(out_dir):
        out.print(f"wrote {path}")
    if surprises:
        out.print(f"[red]not as expected:[/red] {', '.join(surprises)}")
        raise typer.Exit(ExitCode.FAILED)
    out.print(f"Everything as expected. Open {out_dir / 'report.html'}")


def _step(title: str, expected: ExitCode, arguments: list[str]) -> bool:
    """Run one command as a person would; True when it exits as expected."""
    out.print(f"\n[bold]{title}[/bold]")
    out.print(f"[dim]$ streamgauge {shlex.join(arguments)}[/dim]\n")
    code = subprocess.call([*_STREAMGAUGE, *arguments])
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code == expected


@contextmanager
def _child(*arguments: str) -> Iterator[str]:
    """A mock or proxy on a free port in a process of its own; gives its address. Raises CannotMeasure."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*_STREAMGAUGE, *arguments, "--port", "0"],
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        try:
            first = process.stdout.readline()  # "... listening on http://127.0.0.1:PORT", or the end of a failed start
            if " listening on " not in first:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise CannotMeasure(f"the {arguments[0]} did not start: {said or first.strip()}")
            yield first.rpartition(" ")[2].strip()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_START_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
