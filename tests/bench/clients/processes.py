"""CPU time and memory of process trees, and processes that start on chosen cores."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

CORES: Final = sorted(os.sched_getaffinity(0))[:2]
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def start(command: Sequence[str], cores: Sequence[int], **options: Any) -> "subprocess.Popen[Any]":
    """A process that may run on these cores only; so may its children."""
    return subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), *command], stdin=subprocess.DEVNULL, **options)


def tree(*pids: int) -> list[psutil.Process]:
    """The processes and all their descendants."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
    return found


def cpu_s(*pids: int) -> float:
    """Time on a CPU of all threads of the trees so far, to the ns; /proc/PID/stat would be sampled at clock ticks."""
    total_ns = 0
    for process in tree(*pids):
        for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total_ns += int(path.read_text().split()[0])
    return total_ns / 1e9


def rss_bytes(*pids: int) -> int:
    """Resident bytes of the trees."""
    return sum(process.memory_info().rss for process in tree(*pids))


def machine_cpu_s() -> float:
    """Time that the bench's cores were busy, with anything."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in {f"cpu{core}" for core in CORES}:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            total += user + nice + system + irq + softirq + steal
    return total / _TICKS_PER_S


def end(*pids: int) -> None:
    """Kill the trees."""
    for process in reversed(tree(*pids)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def burners(count: int, cores: Sequence[int]) -> Iterator[list[int]]:
    """So many processes that never sleep; their ids."""
    running = [start([sys.executable, "-c", "while True: pass"], cores) for _ in range(count)]
    try:
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
