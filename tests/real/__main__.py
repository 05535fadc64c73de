"""Checks and loads frameworks and gateways in front of the mock provider: `make real`, or with words of their names.

Installs each into build/real by its name in the package indexes; what cannot be installed is skipped, and said.
Ends with 1 when a check says something else than is known of a system.
"""

# ruff: noqa: T201 (a script: printing is what it does)

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.locks import ROOT
from tests.real.commands import NothingWritten, checks, document, streamgauge
from tests.real.engines import differences_of_engine
from tests.real.systems import PACKAGES, PROGRAMS, SYSTEMS, WATCHED, System

BUILD = ROOT / "build/real"
_INSTALLS_S, _STARTS_S = 900, 120


@cache
def installed(needs: str) -> str | None:
    """Install what a system needs; None, or the reason why that failed."""
    tool, *packages = PACKAGES[needs]
    folder = BUILD / needs
    if tool == "pip":
        if not (folder / "bin").exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    elif shutil.which("npm") is None:
        return "npm is not installed"
    else:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALLS_S, check=False)
    except subprocess.TimeoutExpired:
        return f"installing {packages} took more than {_INSTALLS_S} s"
    if done.returncode != 0:
        return f"cannot install {', '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}"
    return None


@contextmanager
def running(system: System, upstream: str, folder: Path) -> Iterator[str]:
    """Start it in a folder of its own with the programs. Gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    (folder / "litellm.yaml").write_text((folder / "litellm.yaml").read_text().replace("UPSTREAM", upstream))
    if (modules := BUILD / system.needs / "node_modules").exists():
        (folder / "node_modules").symlink_to(modules)
    words = {"port": port, "upstream": upstream, "python": BUILD / system.needs / "bin"}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [part.format(**words) for part in system.command], cwd=folder, stdout=log, stderr=log,
            env={**os.environ, **system.environment, "UPSTREAM": upstream, "PORT": str(port)},
        )  # fmt: skip
    try:
        ends = time.monotonic() + _STARTS_S
        while process.poll() is None and time.monotonic() < ends:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{system.name} does not start:\n{(folder / 'log').read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}{system.path}"
    finally:
        process.terminate()
        process.wait()


def differences(system: System) -> Iterator[str]:
    """What the commands say of it that is not so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if system.engine is not None:
            with running(system, "", folder) as url:
                yield from _differences_of_checks(system, checks(folder, url))
                yield from differences_of_engine(system.engine, url, folder)
            return
        with (
            MockServer(MockConfig(ttft="50ms", itl="5ms")) as mock,
            running(system, f"{mock.url}/v1", folder) as url,
        ):
            yield from _differences_of_checks(system, checks(folder, url, "--mock", mock.url))
            load = ("--users", "5", "-d", "5s", "--mock", mock.url, "--out", str(folder / "load"))
            done = streamgauge("load", url, *load)
            yield from _differences_of_load(system, document(folder / "load/run.json", done))


def _differences_of_checks(system: System, results: dict[str, Any]) -> Iterator[str]:
    if results["dialect"] != system.dialect:
        yield f"the dialect is {system.dialect}, not {results['dialect']}"
    failed = {one["id"]: one["actual"] for one in results["results"] if one["verdict"] == "fail"}
    for check in sorted(failed.keys() - system.defects - system.perhaps):
        yield f"{check} fails: {failed[check]}"
    for check in sorted(system.defects - failed.keys()):
        yield f"{check} does not fail"
    warned = {one["id"] for one in results["results"] if one["verdict"] == "warn"} & WATCHED
    for check in sorted(warned ^ system.warned):
        yield f"{check} {'warns' if check in warned else 'does not warn'}"


def _differences_of_load(system: System, run: dict[str, Any]) -> Iterator[str]:
    outcomes = {name for name, count in run["summary"]["streams"].items() if count} - {"incomplete"}
    if outcomes != {"ok"}:
        yield f"the streams of a load are {outcomes}"
    if bool(run.get("one_at_a_time")) != system.serial:
        yield "load says that it serves one at a time" if not system.serial else "load does not say: one at a time"


def named(word: str) -> list[System]:
    """The systems that have the word in their names."""
    return [system for system in SYSTEMS if word.lower() in system.name.lower()]


def main() -> int:
    words = sys.argv[1:] or [""]
    if unknown := [word for word in words if not named(word)]:
        print(f"no system is called {', '.join(unknown)}; there are: {', '.join(system.name for system in SYSTEMS)}")
        return 2
    wanted = [system for system in SYSTEMS if any(system in named(word) for word in words)]
    failed = 0
    for system in wanted:
        if (why_not := installed(system.needs)) is not None:
            print(f"skipped   {system.name}: {why_not}")
            continue
        began = time.monotonic()
        try:
            found = list(differences(system))
        except (NothingWritten, subprocess.TimeoutExpired) as error:
            found = str(error).splitlines()
        failed += bool(found)
        print(f"{'DIFFERENT' if found else 'as known '} {system.name} ({len(system.defects)} defects), "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        for difference in found:
            print(f"          {difference}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
