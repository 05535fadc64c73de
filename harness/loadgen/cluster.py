"""A load on several processes or machines: the options of Locust for it, and how a process becomes a worker."""

import os
import shlex
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.job import LocalFiles
from streamgauge.loadgen.model import count_processes
from streamgauge.loadgen.peer_token import TOKEN_ENV, check_token, new_token

PORT: Final = 5557  # Locust's default
WORKERS_WAIT_S: Final = 600

LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True, slots=True)
class Cluster:
    """The address where a master listens, the number of workers that it waits for, and the token that they share.

    `printed_token` makes `join_command` show the token; without it the command tells where the token is read.
    """

    host: str
    port: int
    workers: int
    token: str = field(default_factory=new_token, repr=False)
    printed_token: bool = True

    def join_command(self, target: Target) -> str:
        """The command to run on the other machines. A key and the target's files are named there again."""
        here = socket.gethostname() if self.host in ("*", "0.0.0.0", "::") else self.host
        command = f"streamgauge load --worker {f'[{here}]' if ':' in here else here}:{self.port}"
        command += f" --api-key-env {target.api_key_env}" if target.api_key_env else ""
        for option, file in (("--ca", target.ca), ("--cert", target.cert), ("--unix-socket", target.unix_socket)):
            command += f" {option} {shlex.quote(file)}" if file else ""
        if self.printed_token:
            return f"{TOKEN_ENV}={self.token} {command}"
        return f"{command}   (with the token of this master in {TOKEN_ENV})"


def locust_options(cluster: Cluster | None, processes: int) -> list[str]:
    """The options that tell Locust how many processes there are, and how they find each other."""
    if cluster is not None:
        return [
            "--master", "--master-bind-host", cluster.host, "--master-bind-port", str(cluster.port),
            "--expect-workers", str(cluster.workers), "--expect-workers-max-wait", str(WORKERS_WAIT_S),
        ]  # fmt: skip
    if processes == 1:
        return []
    # On Locust's default port the processes of a second run would join the master of the first run.
    place = free_place()
    port = str(place.port)
    return [
        "--processes", str(processes), "--master-bind-host", place.host, "--master-bind-port", port,
        "--master-host", place.host, "--master-port", port,
    ]  # fmt: skip


class Place(NamedTuple):
    """A loopback address and a TCP port of it."""

    host: str
    port: int


def free_place(loopbacks: Iterable[tuple[socket.AddressFamily, str]] = LOOPBACKS) -> Place:
    """A TCP port of this machine's loopback on which nobody listens. Raises UsageError on a machine without loopback.

    IPv6 is for machines that have no 127.0.0.1.
    """
    for family, host in loopbacks:
        with suppress(OSError), socket.socket(family) as sock:
            sock.bind((host, 0))
            return Place(host, int(sock.getsockname()[1]))
    raise UsageError("this machine has no loopback address", "bring the interface lo up: ip link set lo up")


class Worker(NamedTuple):
    """What a worker is started with: the master's address HOST[:PORT], and what only this machine can tell."""

    master: str
    token: str | None
    api_key_env: str | None
    files: LocalFiles
    processes: int


def become(worker: Worker) -> NoReturn:
    """Replace this process by a worker. Raises UsageError when `master` is not an address, and without a token."""
    master = worker.master
    host, colon, port = master.rpartition(":") if ":" in master else (master, "", "")
    if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise UsageError(f"--worker {master!r} is not an address", "write HOST or HOST:PORT, such as loader1:5557")
    if not worker.token:
        raise UsageError(
            f"a worker needs the token of its master in {TOKEN_ENV}", "copy the command that `load --master` prints"
        )
    command = [
        sys.executable, "-m", "streamgauge.scenarios.worker", "--host", host.strip("[]"), "--port", port or str(PORT),
        "--processes", str(count_processes(worker.processes)),
    ]  # fmt: skip
    for option, value in {"api_key_env": worker.api_key_env, **worker.files._asdict()}.items():
        command += [f"--{option.replace('_', '-')}", value] if value else []
    # In the environment, because every user of this machine can read a command line.
    os.execve(sys.executable, command, {**os.environ, TOKEN_ENV: check_token(worker.token)})
