"""The options of `load` for several machines."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import PORT, Cluster, become_worker

_PANEL: Final = "Several machines"


Master = Annotated[
    bool,
    typer.Option(
        "--master",
        help="Be the master of workers on other machines: they make the streams and send their records here.",
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
        help="With --master: the address to listen on; 0.0.0.0 for workers on other machines. The connection is "
        "neither encrypted nor authenticated: use a private network. No key is sent over it.",
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
        help="Be a worker of the master at this address. It sends target and load; --api-key-env gives the key.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Whether this process is a master or a worker; neither, when one machine makes the load."""

    master: Master = False
    expect_workers: ExpectWorkers = 1
    bind: Bind = "127.0.0.1"
    port: Port = PORT
    worker: Worker = None

    def cluster(self, processes: int) -> Cluster | None:
        """The cluster that a master leads. Raises UsageError with --processes: a master makes no streams."""
        if not self.master:
            return None
        if processes != 1:
            raise UsageError(
                "--master makes no streams itself, so --processes has no effect", "give --processes to the workers"
            )
        return Cluster(self.bind, self.port, self.expect_workers)

    def become_worker(self, api_key_env: str | None, processes: int, *, has_target: bool) -> None:
        """With --worker, this process becomes a worker and does not return."""
        if not self.worker:
            return
        if self.master or has_target:
            raise UsageError(
                "a --worker gets its target and load from the master", "give URL and options to `load --master`"
            )
        become_worker(self.worker, api_key_env, processes)
