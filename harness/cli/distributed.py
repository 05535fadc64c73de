"""The options of `load` for several machines."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import PORT, Cluster, become_worker

_PANEL: Final = "Several machines"
_LOOPBACK: Final = "127.0.0.1"


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
            become_worker(chosen["worker"], given["api_key_env"], given["processes"])
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
