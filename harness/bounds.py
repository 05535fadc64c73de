"""What each command takes at most, whatever the endpoint sends: `--help`, docs and `make hostile` say it from here.

The limits themselves are where they are enforced: transport/limits.py for one response, transport/memory.py for all
responses of a process, and the deadlines of the commands.
"""

from typing import Final, NamedTuple

MEMORY_MB: Final = 300


class Bound(NamedTuple):
    """`time` is a phrase for the user. With the short options of `make hostile`, a command may use `cpu_s` of CPU and
    take `table_s`, and print `most_shown` characters.
    """

    time: str
    table_s: float = 60.0
    cpu_s: float = 30.0
    most_shown: int = 20_000
    memory_mb: int = MEMORY_MB

    @property
    def sentence(self) -> str:
        """For `--help`."""
        return f"Whatever the endpoint sends, this ends {self.time}, and takes at most {self.memory_mb} MB more memory."


BOUNDS: Final = {
    "probe": Bound("within 10 minutes", table_s=610.0),
    "check": Bound("within 15 minutes (--max-time)", table_s=120.0, cpu_s=60.0, most_shown=100_000),
    "clients": Bound("within 2 minutes"),
    "load": Bound(
        "with --duration and --drain, after a few streams of at most --duration and --timeout each, and when its "
        "records are read"
    ),
    "capacity": Bound("with the point that fills --budget: each ends as a `load` does", table_s=90.0),
    "overhead": Bound("within --max-time and twice --timeout"),
    "cancel": Bound("within 15 minutes"),
    "diagnose": Bound("within 15 minutes"),
}
