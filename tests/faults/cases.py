"""The faults of docs/faults.md: how each is made, and for which shapes of a load."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from tests.faults.running import End, Load, Shape, running, shim

ALL: Final = tuple(Shape)
SEVERAL: Final = (Shape.TWO, Shape.WORKERS)
LOCAL: Final = (Shape.ONE, Shape.TWO)


@dataclass(frozen=True)
class Fault:
    """`make` disturbs a running load. `options` are those of `running`. `small_disk` puts the run on a disk of 6 MB."""

    name: str
    make: Callable[[Load], None]
    shapes: Sequence[Shape] = ALL
    options: Mapping[str, Any] = field(default_factory=dict)
    waits: bool = True
    small_disk: bool = False

    def measure(self, folder: Path, shape: Shape) -> End:
        """Run one load with this fault."""
        given = {"seconds": 8, **shim(folder), **self.options}
        with (
            small_disk(folder) if self.small_disk else nullcontext(folder) as place,
            running(place / "run", shape, **given) as load,
        ):
            if self.waits:
                load.until_busy()
            self.make(load)
            return load.end(120)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 6 MB; only root can make one."""
    place = folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _stop_for_10_s(process: psutil.Process) -> None:
    process.send_signal(signal.SIGSTOP)
    time.sleep(10)
    process.send_signal(signal.SIGCONT)


def _fill(load: Load) -> None:
    with (load.directory.parent / "fill").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))


def _no_more_memory(load: Load) -> None:
    process = load.streaming[0]
    size = process.memory_info().vms
    process.rlimit(psutil.RLIMIT_AS, (size, size))


def _set_clock(by_s: int) -> Callable[[Load], None]:
    return lambda load: _beside(load, "step").write_text(str(by_s)) and None


def _fail_dns(load: Load) -> None:
    _beside(load, "no-dns").touch()
    load.endpoint_dies(0)  # its connections end, so that each user looks the name up again
    time.sleep(2)
    _beside(load, "no-dns").unlink()


def _beside(load: Load, name: str) -> Path:
    return load.directory.parent / name


FAULTS: Final = (
    Fault("`kill -9` of the command", lambda load: psutil.Process(load.master.pid).kill(), options={"seconds": 30}),
    Fault("`kill -9` of Locust, its leader or its master", lambda load: load.locust.kill(), options={"seconds": 30}),
    Fault("`kill -9` of a process that makes streams", lambda load: load.streaming[0].kill(), SEVERAL),
    Fault("`SIGSTOP` for 10 s of a process that makes streams", lambda load: _stop_for_10_s(load.streaming[0]),
          options={"seconds": 14}),
    Fault("`SIGSTOP` for 10 s of the leader or master", lambda load: _stop_for_10_s(load.locust), SEVERAL,
          {"seconds": 14}),
    Fault("disk full", _fill, options={"seconds": 30}, small_disk=True),
    Fault("files limited to 40 kB", lambda _: None, LOCAL,
          {"seconds": 30, "before": ("bash", "-c", 'ulimit -f 40; exec "$@"', "-")}, waits=False),
    Fault("run directory removed", lambda load: shutil.rmtree(load.directory), options={"seconds": 30}),
    Fault("64 descriptors for 200 users", lambda _: None,
          options={"seconds": 4, "users": 200, "before": ("bash", "-c", 'ulimit -n 64; exec "$@"', "-")}, waits=False),
    Fault("no more memory for a process that makes streams", _no_more_memory),
    Fault("clock set back by 5 s", _set_clock(-5)),
    Fault("clock set forward by 7 s", _set_clock(7)),
    Fault("DNS fails for 2 s", _fail_dns, options={"host": "localhost"}),
    Fault("endpoint dies for 3 s", lambda load: load.endpoint_dies(3), options={"seconds": 10}),
)  # fmt: skip
