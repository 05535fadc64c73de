"""`streamgauge load --worker` runs this module: it gets a job from a master and becomes a Locust worker of it.

Only a master that knows the token of this worker can send a job (see peer_sockets.py). Even so, the job holds no
secret, the scenario must be installed here, and a key is used only from the variable that --api-key-env names here.
"""

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import gevent
import msgspec
from locust.exception import RPCError
from locust.rpc.protocol import Message

from streamgauge.endpoint.credentials import with_key
from streamgauge.errors import CannotMeasure, ExitCode, StreamgaugeError, UsageError
from streamgauge.loadgen.job import SCENARIOS_ENV, SHIP_ENV, SHIPS, TARGET_ENV, encoded, for_workers, given_target
from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.scenarios.peer_sockets import WorkerSocket
from streamgauge.scenarios.record_channel import JOB, say
from streamgauge.version import __version__

_WAIT_S: Final = 120.0
_ASK_AGAIN_S: Final = 1.0


def main() -> None:
    """Replace this process by Locust, or end it with a message. Never returns."""
    parser = argparse.ArgumentParser(prog="python -m streamgauge.scenarios.worker")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--api-key-env")
    given = parser.parse_args()
    try:
        settings = _settings(_ask(given.host, given.port), given.api_key_env)
        files = _files(settings.get(SCENARIOS_ENV, ""))
    except StreamgaugeError as error:
        say(f"error: {error.message}\n  {error.hint or ''}".rstrip())
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    command = [
        sys.executable, "-m", "locust", "-f", ",".join(files), "--worker", "--headless", "--loglevel", "WARNING",
        "--master-host", given.host, "--master-port", str(given.port), "--exit-code-on-error", "0",
    ]  # fmt: skip
    if given.processes != 1:
        command += ["--processes", str(given.processes)]
    os.execve(sys.executable, command, {**os.environ, **settings})


def _ask(host: str, port: int) -> Any:
    """The master's job. Raises CannotMeasure when no master answers, and UsageError when it has another token."""
    name = f"{socket.gethostname()}_{uuid4().hex}"
    try:
        socket.getaddrinfo(host, port)  # zmq would retry an unknown name without end
    except OSError as error:
        raise UsageError(f"--worker: the host name {host!r} cannot be resolved: {error.strerror}") from None
    say(f"asking the master at {host}:{port} for its settings, for up to {_WAIT_S:.0f} s")
    try:
        client = WorkerSocket(host, port, name, watched=True)
    except (RPCError, OSError) as error:
        raise UsageError(f"cannot connect to {host}:{port}: {error}", "write --worker HOST or HOST:PORT") from None
    answer = None
    with gevent.Timeout(_WAIT_S, False):
        while answer is None:
            if client.was_refused():
                raise UsageError(
                    f"{host}:{port} refuses the connection: no master with this worker's token listens there",
                    f"set {TOKEN_ENV} to the token of that master; the same version must be installed on both",
                )
            # Ask every second: a master that has just opened its port drops messages that it cannot handle yet.
            client.send(Message(JOB, None, name))  # type: ignore[no-untyped-call]
            with gevent.Timeout(_ASK_AGAIN_S, False):
                answer = client.recv()  # type: ignore[no-untyped-call]
    client.close(linger=0)  # type: ignore[no-untyped-call]
    if answer is None:
        raise CannotMeasure(
            f"no master answered at {host}:{port} within {_WAIT_S:.0f} s",
            "start `streamgauge load URL --master --bind 0.0.0.0` there, and see that the port is open",
        )
    return answer.data


def _settings(data: Any, api_key_env: str | None) -> dict[str, str]:
    """The environment for Locust, with this machine's key put in. Raises UsageError on settings that do not fit."""
    try:
        job = msgspec.convert(data, _Job)
        target = given_target(job.settings)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UsageError(f"the master's settings cannot be read: {error}", "is it a streamgauge master?") from None
    if target is None:
        raise UsageError("the master sent no target", "is it a streamgauge master?")
    if job.version != __version__:
        raise UsageError(f"the master is streamgauge {job.version}, this is {__version__}", "install the same on both")
    if target.api_key_env and target.api_key_env != api_key_env:
        raise UsageError(
            f"the master's endpoint needs the key in ${target.api_key_env}, which is never sent",
            f"export it here and start the worker with --api-key-env {target.api_key_env}",
        )
    # Only the variables of a job: a master must not be able to set PATH or PYTHONPATH here.
    return {**for_workers(job.settings), TARGET_ENV: encoded(with_key(target)), SHIP_ENV: SHIPS}


def _files(names: str) -> list[str]:
    folder = Path(__file__).parent
    found = [folder / f"{name}.py" for name in names.split(",")]
    if not all(path.is_file() and path.parent == folder for path in found):
        raise UsageError(f"the master needs the scenarios {names!r}", "install them on this machine too")
    return [str(path) for path in found]


class _Job(msgspec.Struct):
    version: str
    settings: dict[str, str]


if __name__ == "__main__":
    main()
