"""`streamgauge load --worker` runs this module: it gets a job from a master and becomes a Locust worker of it.

Only a master that knows the token of this worker can send a job (see peer_sockets.py). Even so, the job holds no secret
and no path of this machine, and the scenario must be installed here. The key and the files of the target are those that
the options of this worker name.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from streamgauge.child_environment import child_environment
from streamgauge.endpoint.credentials import with_key
from streamgauge.endpoint.target import Target
from streamgauge.errors import ExitCode, StreamgaugeError, UsageError
from streamgauge.loadgen.job import (
    SCENARIOS_ENV,
    SHIP_ENV,
    SHIPS,
    TARGET_ENV,
    LocalFiles,
    encoded,
    files_of,
    for_workers,
    given_target,
    with_files,
    with_local_files,
)
from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.scenarios.job_channel import Job, JobTaker
from streamgauge.scenarios.record_channel import say
from streamgauge.version import __version__

_FILES: Final = LocalFiles._fields


class _Options(NamedTuple):
    """What the person who starts this worker has given it."""

    host: str
    port: int
    processes: int
    api_key_env: str | None
    files: LocalFiles


def main() -> None:
    """Replace this process by Locust, or end it with a message. Never returns."""
    options = _options()
    try:
        settings = _settings(options)
        files = _scenarios(settings.get(SCENARIOS_ENV, ""))
    except StreamgaugeError as error:
        say(f"error: {error.message}\n  {error.hint or ''}".rstrip())
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    command = [
        sys.executable, "-m", "locust", "-f", ",".join(files), "--worker", "--headless", "--loglevel", "WARNING",
        "--master-host", options.host, "--master-port", str(options.port), "--exit-code-on-error", "0",
    ]  # fmt: skip
    if options.processes != 1:
        command += ["--processes", str(options.processes)]
    os.execve(sys.executable, command, {**child_environment(os.environ), TOKEN_ENV: os.environ[TOKEN_ENV], **settings})


def _options() -> _Options:
    parser = argparse.ArgumentParser(prog="python -m streamgauge.scenarios.worker")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--api-key-env")
    for name in _FILES:
        parser.add_argument(f"--{name.replace('_', '-')}")
    given = vars(parser.parse_args())
    files = LocalFiles(**{name: given.pop(name) for name in _FILES})
    return _Options(**given, files=files)


def _settings(options: _Options) -> dict[str, str]:
    """The environment for Locust: the master's job, with this machine's key and files."""
    say(f"asking the master at {options.host}:{options.port} for its settings")
    master = JobTaker(options.host, options.port)
    try:
        job = master.job()
        target = _target(job)
        # Only the variables of a job: a master must not be able to set PATH or PYTHONPATH here.
        settings = for_workers(job.settings)
        copies = {role: master.copy(role) for role in files_of(settings)}
    finally:
        master.close()
    settings = with_files(settings, copies)
    target = with_local_files(target, options.files)
    if target.api_key_env and target.api_key_env != options.api_key_env:
        raise UsageError(
            f"the master's endpoint needs the key in ${target.api_key_env}, which is never sent",
            f"export it here and start the worker with --api-key-env {target.api_key_env}",
        )
    return {**settings, TARGET_ENV: encoded(with_key(target)), SHIP_ENV: SHIPS}


def _target(job: Job) -> Target:
    """The target of a job. Raises UsageError on a job that this worker cannot run."""
    if job.version != __version__:
        raise UsageError(f"the master is streamgauge {job.version}, this is {__version__}", "install the same on both")
    try:
        target = given_target(job.settings)
        files_of(job.settings)
    except msgspec.MsgspecError as error:
        raise UsageError(f"the master's settings cannot be read: {error}", "is it a streamgauge master?") from None
    if target is None:
        raise UsageError("the master sent no target", "is it a streamgauge master?")
    return target


def _scenarios(names: str) -> list[str]:
    folder = Path(__file__).parent
    found = [folder / f"{name}.py" for name in names.split(",")]
    if not all(path.is_file() and path.parent == folder for path in found):
        raise UsageError(f"the master needs the scenarios {names!r}", "install them on this machine too")
    return [str(path) for path in found]


if __name__ == "__main__":
    main()
