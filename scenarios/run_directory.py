"""Where this process writes: --run-dir of its own command line, whatever a web page or a master says later.

Locust's web UI writes any field of its form over Locust's options, and a Locust worker takes the options of its master.
"""

from pathlib import Path
from typing import Any

from locust import events

_directory: Path | None = None


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
def _keep(environment: Any, **_: Any) -> None:
    global _directory
    _directory = Path(environment.parsed_options.run_dir)
