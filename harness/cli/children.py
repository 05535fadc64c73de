"""The mock or the proxy in a child process: the client that measures must not share an interpreter with it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from streamgauge.child_environment import child_environment
from streamgauge.errors import CannotMeasure
from streamgauge.loadgen.cluster import free_place

_START_TIMEOUT_S: Final = 15.0
_SOURCE: Final = (
    "from streamgauge.loadgen.orphans import end_with_parent; end_with_parent({parent}); "
    "from streamgauge.cli import main; main()"
)


def streamgauge(*arguments: str) -> list[str]:
    """The command line of a child of this process, which ends with it even if this process is killed."""
    # Not the console script: it may not be on the PATH.
    return [sys.executable, "-c", _SOURCE.format(parent=os.getpid()), *arguments]


@contextmanager
def child(*arguments: str) -> Iterator[str]:
    """A mock or proxy on a free port in a child process; yields its address. Raises CannotMeasure when it fails."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            streamgauge(*arguments, "--host", free_place().host, "--port", "0"),
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            env={**child_environment(os.environ), "NO_COLOR": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        try:
            first = process.stdout.readline()  # "... listening on http://127.0.0.1:PORT", or the end of a failed start
            if " listening on " not in first:
                errors.seek(0)
                output = errors.read().decode(errors="replace").strip()
                raise CannotMeasure(f"the {arguments[0]} did not start: {output or first.strip()}")
            yield first.rpartition(" ")[2].strip()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_START_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
