"""Fuzzes all code that reads foreign bytes or texts: `make fuzz`, or `python -m tests.fuzz --seconds 600`.

Inputs that reach new code stay in build/fuzz, and the next run begins with them. `python -m tests.fuzz.keep` puts the
shortest of them, and an input that broke something, into tests/fuzz/corpus: then every run of the tests plays them.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.targets import TARGETS, target

KEPT = Path("build/fuzz")
# A target whose code is in C is not guided either: only Python code is instrumented.
WHY_NOT = "" if find_spec("atheris") else ": atheris is not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default: %(default)s)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    shares = {name: target(name).share for name in names}
    part = options.seconds / sum(shares.values())
    broken = [name for name in names if not fuzz(name, max(1, round(part * shares[name])), options.seed)]
    sys.exit(f"broken: {', '.join(broken)}" if broken else 0)


def fuzz(name: str, seconds: int, seed: int) -> bool:
    """Whether the target stood it."""
    directory = KEPT / name
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(seed), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = re.sub(r"(?m)^INFO: Instrumenting .*\n", "", done.stdout + done.stderr)
    figures = dict(re.findall(r"^stat::(\w+):\s+(\d+)", said, re.MULTILINE))
    covered = re.findall(r"\bcov: (\d+)", said)
    tried = int(figures.get("number_of_executed_units", 0))
    print(
        f"{name:<12} {tried:>9,} inputs in {seconds} s (seed {seed})"
        + (f", {int(covered[-1]):,} branches of code reached" if covered else f", not guided{WHY_NOT}")
        + f", peak {figures.get('peak_rss_mb', '?')} MB, slowest {figures.get('slowest_unit_time_sec', '?')} s"
        + (": stood it" if done.returncode == 0 else ": BROKEN"),
        flush=True,
    )
    if done.returncode:
        print(said[-6000:])
    return done.returncode == 0


if __name__ == "__main__":
    main()
