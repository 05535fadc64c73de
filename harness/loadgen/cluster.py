"""A load on several processes or machines: the options of Locust for it, and how a process becomes a worker."""

import os
import socket
import sys
from typing import Final, NamedTuple, NoReturn

from streamgauge.errors import UsageError
from streamgauge.loadgen.model import count_processes

PORT: Final = 5557  # Locust's default
WORKERS_WAIT_S: Final = 600

_LOOPBACK: Final = "127.0.0.1"


class Cluster(NamedTuple):
    """The address where a master listens, and the number of workers that it waits for."""

    host: str
    port: int
    workers: int

    @property
    def join_command(self) -> str:
        """The command to run on the other machines."""
        here = socket.gethostname() if self.host in ("*", "0.0.0.0", "::") else self.host
        return f"streamgauge load --worker {here}:{self.port}"


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
    port = str(free_port())
    return [
        "--processes", str(processes), "--master-bind-host", _LOOPBACK, "--master-bind-port", port,
        "--master-host", _LOOPBACK, "--master-port", port,
    ]  # fmt: skip


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listens."""
    with socket.socket() as sock:
        sock.bind((_LOOPBACK, 0))
        return int(sock.getsockname()[1])


def become_worker(master: str, api_key_env: str | None, processes: int) -> NoReturn:
    """Replace this process by a worker of the master at HOST[:PORT]. Raises UsageError when that is not an address."""
    host, colon, port = master.rpartition(":") if ":" in master else (master, "", "")
    if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise UsageError(f"--worker {master!r} is not an address", "write HOST or HOST:PORT, such as loader1:5557")
    command = [
        sys.executable, "-m", "streamgauge.scenarios.worker", "--host", host.strip("[]"), "--port", port or str(PORT),
        "--processes", str(count_processes(processes)),
    ]  # fmt: skip
    command += ["--api-key-env", api_key_env] if api_key_env else []
    os.execv(sys.executable, command)
