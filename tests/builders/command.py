"""The `streamgauge` command as the shell would run it, in the process of the test.

A process of its own would import for half a second, and for a second and a half when it writes reports. Every command
runs as a process of its own in tests/e2e/test_foreign_folder.py.
"""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

from streamgauge.cli import main


def streamgauge(*arguments: str | Path) -> CompletedProcess[str]:
    """Run a command to its end. An exception that is not an exit would be a traceback: it fails the test."""
    words = [str(argument) for argument in arguments]
    code = 0
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return CompletedProcess(words, code, out.getvalue(), err.getvalue())
