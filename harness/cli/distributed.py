"""`load` across machines: the options of the master and the worker, and what each passes to Locust."""

import functools
import inspect
import os
import socket
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

import typer

from streamgauge.errors import UsageError

PORT: Final = 5557  # Locust's own
WORKERS_WAIT_S: Final = 600
MAX_PROCESSES: Final = 1024  # each takes 60 MB; a slip of the keyboard must not take the machine

_PANEL: Final = "Several machines"
_LOOPBACK: Final = "127.0.0.1"


class Cluster(NamedTuple):
    """Where a master listens, and for how many workers it waits."""

    host: str
    port: int
    workers: int

    @property
    def join_command(self) -> str:
        """What to run on the other machines."""
        here = socket.gethostname() if self.host in ("*", "0.0.0.0", "::") else self.host
        return f"streamgauge load --worker {here}:{self.port}"


Master = Annotated[
    bool,
    typer.Option(
        "--master",
        help="Lead workers on other machines, which make the streams and send their records here.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
ExpectWorkers = Annotated[
    int,
    typer.Option(
        "--expect-workers", metavar="N", min=1, help="With --master: workers to wait for.", rich_help_panel=_PANEL
    ),
]
Bind = Annotated[
    str,
    typer.Option(
        "--bind",
        metavar="HOST",
        help="With --master: the address to listen on; 0.0.0.0 for workers elsewhere. The connection is neither "
        "encrypted nor authenticated: use a private network. No key is sent over it.",
        rich_help_panel=_PANEL,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", min=1, max=65535, help="With --master: the port to listen on.", rich_help_panel=_PANEL
    ),
]
Worker = Annotated[
    str | None,
    typer.Option(
        "--worker",
        metavar="HOST[:PORT]",
        help="Work for the master there: endpoint and load come from it, a key from --api-key-env of this machine.",
        rich_help_panel=_PANEL,
    ),
]
_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "master": (Master, False),
    "expect_workers": (ExpectWorkers, 1),
    "bind": (Bind, _LOOPBACK),
    "port": (Port, PORT),
    "worker": (Worker, None),
}


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give `load` the options for several machines; it gets a `cluster`, None when there is one machine.

    With --worker the command is not run at all: the process becomes a worker.
    """
    inner = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        if chosen["worker"]:
            if chosen["master"] or given["url"] or given["target_file"]:
                raise UsageError(
                    "--worker takes endpoint and load from its master", "give URL and options to `load --master`"
                )
            work_for(chosen["worker"], given["api_key_env"], given["processes"])
        cluster = Cluster(chosen["bind"], chosen["port"], chosen["expect_workers"]) if chosen["master"] else None
        if cluster and given["processes"] != 1:
            raise UsageError("--master makes no streams, so it has no --processes", "give --processes to the workers")
        command(cluster=cluster, **given)

    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    shown = [*(parameter for parameter in inner if parameter.name != "cluster"), *own]
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


def work_for(master: str, api_key_env: str | None, processes: int) -> None:
    """Become a worker of the master at HOST[:PORT]; does not return. Raises UsageError on an address that is none."""
    host, colon, port = master.rpartition(":") if ":" in master else (master, "", "")
    if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise UsageError(f"--worker {master!r} is not an address", "write HOST or HOST:PORT, as loader1:5557")
    command = [
        sys.executable,
        "-m",
        "streamgauge.scenarios.worker",
        "--host",
        host.strip("[]"),
        "--port",
        port or str(PORT),
    ]
    command += ["--processes", str(count_processes(processes))]
    command += ["--api-key-env", api_key_env] if api_key_env else []
    os.execv(sys.executable, command)


def count_processes(asked: int) -> int:
    """How many processes to run: -1 is one for each CPU, as in Locust. Raises UsageError on 0 and below -1."""
    if asked == -1:
        return os.cpu_count() or 1
    if asked > MAX_PROCESSES:
        raise UsageError(f"--processes {asked} is more than {MAX_PROCESSES}", "one for each CPU is -1")
    if asked < 1:
        raise UsageError(f"--processes {asked} cannot be run", "give a number from 1, or -1 for one for each CPU")
    return asked


def locust_options(cluster: Cluster | None, processes: int) -> list[str]:
    """What tells Locust which processes there are."""
    if cluster is not None:
        return [
            "--master", "--master-bind-host", cluster.host, "--master-bind-port", str(cluster.port),
            "--expect-workers", str(cluster.workers), "--expect-workers-max-wait", str(WORKERS_WAIT_S),
        ]  # fmt: skip
    if processes == 1:
        return []
    # A port of its own: on Locust's usual one the processes of a second run join the first run's master.
    port = str(free_port())
    return [
        "--processes", str(processes), "--master-bind-host", _LOOPBACK, "--master-bind-port", port,
        "--master-host", _LOOPBACK, "--master-port", port,
    ]  # fmt: skip


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((_LOOPBACK, 0))
        return int(sock.getsockname()[1])
