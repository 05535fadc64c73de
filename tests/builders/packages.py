"""The project built and installed as its users get it: an sdist, a wheel made of that, and a fresh environment."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.builders.locks import ROOT


class Packages(NamedTuple):
    """What a release would publish, and the tracked files that it was made from."""

    sources: frozenset[str]
    sdist: Path
    wheel: Path

    def in_sdist(self) -> frozenset[str]:
        """Names of its files, from its own folder on."""
        with tarfile.open(self.sdist) as archive:
            return frozenset(one.name.partition("/")[2] for one in archive.getmembers() if one.isfile())

    def in_wheel(self) -> frozenset[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return frozenset(archive.namelist())


def build(folder: Path) -> Packages:
    """The sdist, and the wheel that pip makes of it."""
    source = copy_sources(folder)
    sources = frozenset(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    program = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    _run([sys.executable, "-c", program], source)
    (sdist,) = folder.glob("*.tar.gz")
    return Packages(sources, sdist, build_wheel(sdist, folder))


def copy_sources(folder: Path) -> Path:
    """A copy of the tracked files: to build in place would leave files behind, or pick up old ones."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source = folder / "source"
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    return source


def build_wheel(source: Path, folder: Path, **environment: str) -> Path:
    """The wheel of an sdist or of a folder of sources. `environment` are more variables for the build."""
    pip = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index"]
    _run([*pip, "-w", str(folder), str(source)], folder, environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel, and with the dependencies of this one. Gives its interpreter.

    A line of a .pth file puts this environment's packages on its path, but runs none of the .pth files there: so the
    editable install of this environment is not seen.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], Path.cwd())
    (site,) = folder.glob("lib/python*/site-packages")
    dependencies = [place for place in sys.path if place.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--no-index", "--force-reinstall", str(wheel)], folder)
    return python


def _run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    variables = os.environ | (environment or {})
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
