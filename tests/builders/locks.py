"""The lock files of `requirements/`, read: what they pin, and where a pin applies."""

import itertools
import re
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.stem: path for path in sorted((ROOT / "requirements").glob("*.txt"))}

Environment = dict[str, Any]


class Pin(NamedTuple):
    """One line of a lock: a package, the extras it is installed with, its version, and where it applies."""

    name: str
    version: str
    requirement: Requirement

    def applies(self, environment: Environment) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate(environment)


def read_lock(path: Path) -> list[Pin]:
    """Every pin of a lock. ValueError where a line pins nothing."""
    pins = []
    text = path.read_text(encoding="utf-8")
    for line in re.sub(r"\\\n", " ", text).splitlines():
        stated = re.sub(r"\s--hash=\S+", "", line.partition("#")[0]).strip()
        if not stated:
            continue
        requirement = Requirement(stated)
        (specifier,) = requirement.specifier
        if specifier.operator != "==" or "--hash=" not in line:
            raise ValueError(f"{path.name}: not pinned with == and a hash: {stated}")
        pins.append(Pin(canonicalize_name(requirement.name), specifier.version, requirement))
    return pins


def environments() -> list[Environment]:
    """The machines that a universal lock is for: each Python from 3.11 on, on each common platform."""
    platforms = [
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    ]
    pythons = [
        {"python_version": version, "python_full_version": f"{version}.1", "implementation_version": f"{version}.1"}
        for version in ("3.11", "3.12", "3.13", "3.14")
    ]
    return [
        dict(default_environment()) | platform | python for platform, python in itertools.product(platforms, pythons)
    ]
