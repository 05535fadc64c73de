"""Fuzzes everything that reads what an endpoint sent: `make fuzz`, or `python -m tests.fuzz --seconds 600`.

What is found worth keeping stays in build/fuzz and is where the next run begins.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import random
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

KEPT = Path("build/fuzz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default: %(default)s)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    # Judging is most of the code, and takes the longest for one input.
    shares = {name: 4 if name == "judgement" else 1 for name in names}
    part = options.seconds / sum(shares.values())
    broken = [name for name in names if not fuzz(name, max(1, round(part * shares[name])), options.seed)]
    sys.exit(f"broken: {', '.join(broken)}" if broken else 0)


def fuzz(name: str, seconds: int, seed: int) -> bool:
    """Whether the target stood it."""
    directory = KEPT / name
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(seed), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    figures = dict(re.findall(r"^stat::(\w+):\s+(\d+)", said, re.MULTILINE))
    covered = re.findall(r"\bcov: (\d+)", said)
    tried = int(figures.get("number_of_executed_units", 0))
    print(
        f"{name:<12} {tried:>9,} inputs in {seconds} s (seed {seed})"
        + (f", {int(covered[-1]):,} branches of code reached" if covered else ", not guided: atheris is not installed")
        + f", peak {figures.get('peak_rss_mb', '?')} MB, slowest {figures.get('slowest_unit_time_sec', '?')} s"
        + (": stood it" if done.returncode == 0 else ": BROKEN"),
        flush=True,
    )
    if done.returncode:
        print(said[-6000:])
    return done.returncode == 0


if __name__ == "__main__":
    main()
