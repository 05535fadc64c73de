"""`streamgauge demo` runs every main command once, against the mock provider and a proxy that buffers."""

import shlex
import subprocess
from pathlib import Path
from typing import Annotated, Final

import typer

from streamgauge.cli.children import child, streamgauge
from streamgauge.cli.console import out, safe
from streamgauge.cli.rendering import write_reports
from streamgauge.errors import ExitCode
from streamgauge.rundir.runs import must_take_a_run

_HELD_BYTES: Final = 4096


def demo(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run directory.")] = Path("runs/demo"),
    users: Annotated[int, typer.Option(metavar="N", min=1, help="Users of the load step.")] = 25,
    duration: Annotated[str, typer.Option(metavar="DURATION", help="Length of the load step.")] = "8s",
) -> None:
    """Run check, load, cancel and diagnose against the embedded mock and a buffering proxy, and write one report.

    Examples:

      streamgauge demo

      streamgauge demo --out runs/try --users 100 --duration 20s

    Exit codes: 0 every step ended as expected (diagnose finds the buffering proxy), 1 a step did not.
    """
    must_take_a_run(out_dir)
    with (
        child("mock", "--ttft", "200ms", "--itl", "20ms", "--tokens", "60") as mock,
        child("proxy", mock, "--hold-bytes", str(_HELD_BYTES)) as proxy,
    ):
        endpoint, via = f"{mock}/v1/chat/completions", f"{proxy}/v1/chat/completions"
        steps = [
            ("Does the endpoint follow the protocol?", ExitCode.OK, ["check", endpoint, "--mock", mock]),
            (
                "How fast does the endpoint stream?",
                ExitCode.OK,
                ["load", endpoint, "--users", str(users), "--duration", duration, "--mock", mock, "--no-report"],
            ),
            ("Does the upstream stop when the user leaves?", ExitCode.OK, ["cancel", endpoint, "--mock", mock]),
            (
                "Which hop holds tokens back? (this path has a proxy that holds 4,096 bytes)",
                ExitCode.FAILED,
                ["diagnose", "--via", via, "--direct", endpoint, "--mock", mock],
            ),
        ]
        failed = [
            arguments[0]
            for number, (question, expected, arguments) in enumerate(steps, 1)
            if not _step(f"{number}/{len(steps)} {question}", expected, [*arguments, "--out", str(out_dir)])
        ]
    out.print()
    for path in write_reports(out_dir):
        out.print(f"wrote {safe(path)}")
    if failed:
        out.print(f"[red]These steps did not end as expected:[/red] {', '.join(failed)}")
        raise typer.Exit(ExitCode.FAILED)
    out.print(f"Every step ended as expected. Open {safe(out_dir / 'report.html')}")


def _step(title: str, expected: ExitCode, arguments: list[str]) -> bool:
    """Run one command in a process of its own, as a user would; True if it exits with `expected`."""
    out.print(f"\n[bold]{title}[/bold]")
    out.print(f"[dim]$ streamgauge {safe(shlex.join(arguments))}[/dim]\n")
    code = subprocess.call(streamgauge(*arguments))
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code == expected
