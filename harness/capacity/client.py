"""Why this client was too slow at a point, and what to do. More processes help only when its CPU time is used up."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final

from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.validity import DELAYS, UNSTAMPED

_BUSY: Final = 0.3
"""A process that uses a smaller share of a core has CPU time left: something else made it late."""
_WAITING: Final = 0.1
"""A process that waits for a core for a larger share of its time shares the machine with other work."""


class Trouble(StrEnum):
    """Why a client was too slow."""

    CPU = "its own work"
    BUSY_MACHINE = "other work on this machine"
    IDLE = "nothing that it can see"
    STAMPS = "no arrival times from the kernel"
    MEANS = "no descriptor, port or memory"
    CLOCK = "the clock was set"
    STOPPED = "a process stood still"
    NETWORK = "no connection"


def core_used(rows: Iterable[WorkerRow]) -> float | None:
    """The largest share of its time that a process used a core; None without rows."""
    return max((row.cpu_ns / row.wall_ns for row in rows if row.wall_ns > 0), default=None)


def core_awaited(rows: Iterable[WorkerRow]) -> float | None:
    """The largest share of its time that a process waited for a core; None where the system does not report it."""
    shares = [row.waited_ns / row.wall_ns for row in rows if row.wall_ns > 0 and row.waited_ns is not None]
    return max(shares, default=None)


def troubles(limits: Collection[str], used: float | None, awaited: float | None) -> list[Trouble]:
    """The reasons why this client exceeded these `limits` (fields of metrics/validity.py)."""
    found = []
    if DELAYS & set(limits):
        if (used or 0) >= _BUSY:
            found.append(Trouble.CPU)
        if (awaited or 0) >= _WAITING:
            found.append(Trouble.BUSY_MACHINE)
        if not found:
            found.append(Trouble.IDLE)
    if UNSTAMPED in limits:
        found.append(Trouble.STAMPS)
    return found


def advice(
    found: Sequence[Trouble], *, used: float | None, awaited: float | None, processes: int, cpus: int
) -> list[str]:
    """What helps, a sentence for each trouble."""
    return [_advice(trouble, used or 0, awaited or 0, processes, cpus) for trouble in found]


def _advice(trouble: Trouble, used: float, awaited: float, processes: int, cpus: int) -> str:
    match trouble:
        case Trouble.CPU if processes < cpus:
            return f"this machine has {cpus} CPUs: run it again with --processes {min(2 * processes, cpus)}"
        case Trouble.CPU:
            return "every CPU of this machine is in use: run it on a larger machine, away from the endpoint"
        case Trouble.BUSY_MACHINE:
            return (
                f"for {awaited:.0%} of the time a process was ready to run, but other work had the CPU: run it on a "
                "machine without other work, and not beside the endpoint; more --processes would wait as well"
            )
        case Trouble.IDLE:
            return (
                f"its busiest process used only {used:.0%} of a core, so more --processes would not help; something "
                "outside of it made it late, such as a pause of the virtual machine: run it again or on another machine"
            )
        case Trouble.STAMPS:
            return "the kernel stamps arrivals on Linux, over TCP: run the client there, and without --unix-socket"
        case Trouble.MEANS:
            return (
                "raise the limit that is named: `ulimit -n` for open files, net.ipv4.ip_local_port_range for ports; or "
                "run it on a larger machine"
            )
        case Trouble.CLOCK:
            return "the machine's clock was set during a point: let the time synchronisation finish, then run it again"
        case Trouble.STOPPED:
            return "a process was stopped for a while: use a machine that is not suspended, and that has CPU time left"
        case Trouble.NETWORK:
            return (
                "nothing could connect for a while: is the endpoint restarted, or does something before it limit new "
                "connections?"
            )
