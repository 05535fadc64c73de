"""Measures every attack on every command, and writes docs/hostile.md: `make hostile` (A="--only line_endless").

Memory is that of the whole process tree, above what the same command takes with an endpoint that answers well.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from streamgauge.bounds import BOUNDS, Bound
from tests.hostile.attack import GOOD, STATUS_GOOD, Attack, Family, attacks
from tests.hostile.server import HostileEndpoint

MB: Final = 1_000_000
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "hostile.md"
HONEST: Final = Attack(frozenset({"ok"}), GOOD)
STATUS_PAGE: Final = "load, status page"
COMMANDS: Final = {"probe": "probe", "load": "load", "check": "check", "overhead": "overhead", "capacity": "capacity",
                   STATUS_PAGE: "load"}  # fmt: skip
"""What is measured, and the command that it runs. Of the last, the attack is the answer of the status page."""
LOAD_S: Final = 2
_SAMPLE_S: Final = 0.02
_IN_ALL: Final = "Ten users on an endless line make `load` take"
_FIRST_ARE_GOOD: Final = 3  # of a load: its first streams decide how the others are read
_LOADS: Final = ("load", "capacity")
_ENDS: Final = (0, 1, 3, 4)  # 4: to read what the endpoint sends takes all of this client's time, and capacity says so


class Row(NamedTuple):
    """One attack on one command. `memory` is in bytes, of the process tree."""

    attack: str
    command: str
    memory: int
    seconds: float
    cpu_s: float
    code: int | None
    shown: str
    busy: float
    """How many processes wanted each core, at least 1: the time that a command takes grows with it."""

    def faults(self, bound: Bound, base: int) -> list[str]:
        """Which bounds it is above."""
        return [
            *([f"memory {self.above(base)} MB"] if self.memory - base > bound.memory_mb * MB else []),
            *([f"{self.seconds:.0f} s"] if self.seconds > bound.table_s * self.busy else []),
            *([f"{self.cpu_s:.0f} s of CPU"] if self.cpu_s > bound.cpu_s else []),
            *([f"exit {self.code}"] if self.code not in _ENDS else []),
            *(["traceback"] if "Traceback" in self.shown else []),
            *([f"{len(self.shown):,} characters shown"] if len(self.shown) > bound.most_shown else []),
        ]

    def above(self, base: int) -> int:
        return max(self.memory - base, 0) // MB


def arguments(case: str, endpoint: HostileEndpoint, directory: str) -> list[str]:
    family = endpoint.attack.family
    options = [*(["--http2"] if family is Family.HTTP2 else []), *(["--insecure"] if family is Family.TLS else [])]
    given = {
        "probe": [endpoint.url],
        "check": [endpoint.url, "--max-time", "60s"],
        "load": [endpoint.url, "--users", "10", "--duration", f"{LOAD_S}s", "--out", f"{directory}/run"],
        "overhead": ["--direct", endpoint.url, "--via", endpoint.url, "--max-time", f"{LOAD_S}s"],
        "capacity": [
            endpoint.url, "--slo", "ttft p95 < 500ms", "--point", f"{LOAD_S}s", "--longest", f"{LOAD_S}s",
            "--budget", "12s", "--most", "4", "--out", f"{directory}/search",
        ],
    }  # fmt: skip
    command = COMMANDS[case]
    return [sys.executable, "-m", "streamgauge", command, *given[command], "--timeout", "2s", *options]


def measured(name: str, attack: Attack, case: str) -> Row:
    """Run the command to its end, or for twice the time that it may take."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as servers:
        if case == STATUS_PAGE:
            endpoint = servers.enter_context(HostileEndpoint(HONEST))
            page = servers.enter_context(HostileEndpoint(attack, 1, STATUS_GOOD))
            words = [*arguments(case, endpoint, directory), "--server-metrics", page.url, "--insecure"]
        else:
            good = _FIRST_ARE_GOOD if case in _LOADS else 0
            endpoint = servers.enter_context(HostileEndpoint(attack, good))
            words = arguments(case, endpoint, directory)
        began_s = time.monotonic()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        shown: list[str] = []
        reader = threading.Thread(target=lambda: shown.append(process.communicate()[0]), daemon=True)
        reader.start()
        memory, cpu_s = _used_by(process, 2 * BOUNDS[COMMANDS[case]].table_s * _busy())
        seconds = time.monotonic() - began_s
        reader.join(5)
        return Row(name, case, memory, seconds, cpu_s, process.poll(), "".join(shown), _busy())


def _used_by(process: "subprocess.Popen[str]", most_s: float) -> tuple[int, float]:
    """The largest sum of the resident memory of the process and its children, and the seconds of CPU of all."""
    peak, cpu_s, ends_s = 0, {}, time.monotonic() + most_s
    while process.poll() is None:
        now = 0
        for member in _tree(process.pid):
            with suppress(psutil.Error):
                now += member.memory_info().rss
                times = member.cpu_times()
                cpu_s[member.pid] = times.user + times.system
                if time.monotonic() > ends_s:
                    member.kill()
        peak = max(peak, now)
        time.sleep(_SAMPLE_S)
    return peak, sum(cpu_s.values())


def _busy() -> float:
    return max(os.getloadavg()[1] / (os.cpu_count() or 1), 1.0)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def page(rows: list[Row], base: dict[str, int], before: str = "") -> str:
    """docs/hostile.md. What was not measured now is taken from `before`, the page as it was."""
    kept = [_cells(line) for line in before.splitlines() if line.startswith("| ")]
    bases = {cells[0]: _line(cells) for cells in kept if cells[0] in COMMANDS and cells[0] not in base}
    for name, size in base.items():
        bound = BOUNDS[COMMANDS[name]]
        bases[name] = _line([name, f"{bound.memory_mb} MB", f"{bound.table_s:.0f} s", f"{size // MB} MB"])
    table = {(cells[0], cells[1]): _line(cells) for cells in kept if cells[1] in COMMANDS and cells[0] in attacks()}
    for row in rows:
        faults = row.faults(BOUNDS[COMMANDS[row.command]], base[row.command])
        above = f"{row.above(base[row.command])} MB"
        times = [f"{row.seconds:.1f} s", f"{row.cpu_s:.1f} s"]
        table[row.attack, row.command] = _line(
            [row.attack, row.command, above, *times, str(row.code), ", ".join(faults) or "ok"]
        )
    lines = [
        "# Hostile endpoints",
        "",
        "Written by `make hostile`: every attack of `tests/hostile/attacks/` on every command that reads an endpoint.",
        "Memory is that of the process tree above what the command takes with an endpoint that answers well.",
        "`load` has 10 users and a duration of 2 s. Without an attack it takes the most when the report is written:",
        "some 70 MB more than while the users stream. `capacity` may use 12 s, and `overhead` 2 s. The first three",
        "answers to `load` and `capacity` are good. In `load, status page` the endpoint is honest: the attack is the",
        "page that `--server-metrics` reads, after a first good answer.",
        *_in_all(rows, before),
        "The times are those of a machine that did other work too: the seconds of CPU say more.",
        "",
        "| command | bound of memory | bound of time here | takes without an attack |",
        "|---|---|---|---|",
        *(bases[name] for name in COMMANDS if name in bases),
        "",
        "| attack | command | memory above | time | CPU | exit | |",
        "|---|---|---|---|---|---|---|",
        *(table[key] for key in sorted(table)),
    ]
    return "\n".join(lines) + "\n"


def _in_all(rows: list[Row], before: str) -> list[str]:
    """A line about the memory of all processes under an endless line; from `before` where it was not measured."""
    for row in rows:
        if (row.attack, row.command) == ("line_endless", "load"):
            return [f"{_IN_ALL} {row.memory // MB} MB in all processes together."]
    return [line for line in before.splitlines() if line.startswith(_IN_ALL)]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Exit code 1 where a bound was exceeded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", help="an attack, or the beginning of its name; repeatable")
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; other rows stay")
    given = parser.parse_args()
    commands = given.command or list(COMMANDS)
    chosen = {
        name: attack
        for name, attack in attacks().items()
        if not given.only or any(name.startswith(start) for start in given.only)
    }
    base = {command: measured("none", HONEST, command).memory for command in commands}
    print({command: f"{size // MB} MB" for command, size in base.items()}, flush=True)  # noqa: T201 - a command of make
    rows: list[Row] = []

    def run(name: str, attack: Attack, command: str) -> None:
        row = measured(name, attack, command)
        rows.append(row)
        faults = row.faults(BOUNDS[COMMANDS[command]], base[command])
        verdict = ", ".join(faults) or "ok"
        figures = f"{row.above(base[command]):5} MB {row.seconds:6.1f} s {row.cpu_s:5.1f} s"
        print(f"{name:36} {command:17} {figures} {row.code} {verdict}", flush=True)  # noqa: T201 - a command of make

    with ThreadPoolExecutor(given.jobs) as jobs:
        for command in commands:
            for name, attack in chosen.items():
                if command != STATUS_PAGE or attack.family is not Family.HTTP2:  # such a page is asked over HTTP/1.1
                    jobs.submit(run, name, attack, command)
    if given.write:
        before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        PAGE.write_text(page(rows, base, before), encoding="utf-8")
    failed = [row for row in rows if row.faults(BOUNDS[COMMANDS[row.command]], base[row.command])]
    print(f"{len(rows)} attacks on commands, {len(failed)} above a bound")  # noqa: T201 - a command of make
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
