"""Where this process writes: --run-dir of its own command line, whatever a web page or a master says later.

Locust's web UI writes any field of its form over Locust's options, and a Locust worker takes the options of its master.
"""

import os
import sys
from pathlib import Path
from typing import Any

from locust import events
from locust.runners import WorkerRunner

from streamgauge.errors import UsageError
from streamgauge.loadgen.job import PARENT_ENV
from streamgauge.rundir.claim import Claim

_directory: Path | None = None
_claim: Claim | None = None  # held until this process ends


def run_directory() -> Path:
    """The run directory of this process, from Locust's `init` event on."""
    assert _directory is not None, "Locust has not started"
    return _directory


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _option(parser: Any) -> None:
    parser.add_argument(
        "--run-dir",
        default="runs/locust",
        include_in_web_ui=False,
        help="Where the stream records go (default: %(default)s)",
    )


@events.init.add_listener  # type: ignore[untyped-decorator]
def _keep(environment: Any, runner: Any = None, **_: Any) -> None:
    global _directory, _claim
    _directory = Path(environment.parsed_options.run_dir)
    if PARENT_ENV in os.environ or isinstance(runner, WorkerRunner):
        return  # the command that started this Locust, or its leading process, has claimed the directory
    try:
        _directory.mkdir(parents=True, exist_ok=True)
        _claim = Claim(_directory)
    except OSError as error:
        sys.exit(f"error: --run-dir: cannot write to {_directory}: {error.strerror}")
    except UsageError as error:
        sys.exit(f"error: --run-dir: {error.message}")
