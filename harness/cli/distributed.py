"""The options of `load` for several machines."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from streamgauge.cli.options import RequestOptions
from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import PORT, Cluster, Worker, become
from streamgauge.loadgen.job import LocalFiles
from streamgauge.loadgen.peer_token import TOKEN_ENV, check_token

_PANEL: Final = "Several machines"


Master = Annotated[
    bool,
    typer.Option(
        "--master",
        help="Lead workers on other machines: they run the streams and send their records to this master.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
ExpectWorkers = Annotated[
    int,
    typer.Option(
        "--expect-workers",
        metavar="N",
        min=1,
        help="With --master: number of workers to wait for.",
        rich_help_panel=_PANEL,
    ),
]
Bind = Annotated[
    str,
    typer.Option(
        "--bind",
        metavar="HOST",
        help="With --master: the address to listen on; 0.0.0.0 for workers on other machines. Only processes that know "
        "the token can connect; the connection is encrypted.",
        rich_help_panel=_PANEL,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", min=1, max=65535, help="With --master: the port to listen on.", rich_help_panel=_PANEL
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        envvar=TOKEN_ENV,
        show_envvar=True,
        help="The secret that a master and its workers share. Without it, --master makes one and prints the workers' "
        "command. Set the variable: other users of a machine can read command lines.",
        rich_help_panel=_PANEL,
    ),
]
MasterAddress = Annotated[
    str | None,
    typer.Option(
        "--worker",
        metavar="HOST[:PORT]",
        help="Run streams for the master at this address. The master sends the target, the load and its prompts, but "
        "no key and no path: name this worker's own with --api-key-env, --ca, --cert and --unix-socket.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """The role of this process: master, worker, or neither when one machine makes the whole load."""

    master: Master = False
    expect_workers: ExpectWorkers = 1
    bind: Bind = "127.0.0.1"
    port: Port = PORT
    token: Token = None
    worker: MasterAddress = None

    def cluster(self, processes: int) -> Cluster | None:
        """The cluster to lead; None without --master. Raises UsageError with --processes: a master runs no streams."""
        if not self.master:
            return None
        if processes != 1:
            raise UsageError(
                "--master runs no streams itself, so --processes has no effect", "give --processes to the workers"
            )
        host = self.bind.strip("[]")
        if self.token is None:
            return Cluster(host, self.port, self.expect_workers)
        return Cluster(host, self.port, self.expect_workers, check_token(self.token), printed_token=False)

    def become_worker(self, request: RequestOptions, processes: int, *, has_target: bool) -> None:
        """With --worker, replace this process by a worker; it does not return. Without --worker, do nothing."""
        if not self.worker:
            return
        if self.master or has_target:
            raise UsageError(
                "a --worker gets its target and load from the master", "give URL and options to `load --master`"
            )
        unix_socket = None if request.unix_socket is None else str(request.unix_socket)
        files = LocalFiles(None if request.ca is None else str(request.ca), request.cert, unix_socket)
        become(Worker(self.worker, self.token, request.api_key_env, files, processes))
