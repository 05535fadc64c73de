"""What `make` installs is what the locks name: complete, and the same whatever is published later."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.builders.locks import LOCKS, ROOT, Environment, Pin, environments, read_lock
from tests.builders.wheels import make_wheel, sha256

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = {name: read_lock(path) for name, path in LOCKS.items()}
HERE: Environment = dict(default_environment())


@cache
def requirements(name: str, version: str) -> list[Requirement] | None:
    """The requirements of a distribution; None where it, or this version of it, is not installed here."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    return [Requirement(line) for line in found.requires or []] if found.version == version else None


def required(pins: Iterable[Pin], environment: Environment) -> Iterator[tuple[Pin, Requirement]]:
    """Each requirement that a set of pins has, with the extras that their requirements ask for."""
    extras = {pin.name: set(pin.requirement.extras) for pin in pins}
    waiting = list(pins)
    by_name = {pin.name: pin for pin in waiting}
    while waiting:
        pin = waiting.pop()
        for requirement in requirements(pin.name, pin.version) or []:
            marker = requirement.marker
            wanted = ("", *extras[pin.name])
            if marker and not any(marker.evaluate(environment | {"extra": extra}) for extra in wanted):
                continue
            yield pin, requirement
            name = canonicalize_name(requirement.name)
            if name in by_name and not requirement.extras <= extras[name]:
                extras[name] |= requirement.extras
                waiting.append(by_name[name])


def unmet(pins: Iterable[Pin], environment: Environment, direct: Iterable[str] = ()) -> list[str]:
    """The requirements that no pin meets."""
    active = [pin for pin in pins if pin.applies(environment)]
    versions = {pin.name: pin.version for pin in active}
    stated = [("pyproject.toml", Requirement(line)) for line in direct]
    stated = [(name, line) for name, line in stated if line.marker is None or line.marker.evaluate(environment)]
    # An environment brings pip itself, and a lock that pinned it would replace it while it runs.
    stated += [(pin.name, line) for pin, line in required(active, environment) if canonicalize_name(line.name) != "pip"]
    return [
        f"{name} requires {line}, the lock has {versions.get(canonicalize_name(line.name), 'nothing')}"
        for name, line in stated
        if not line.specifier.contains(versions.get(canonicalize_name(line.name), "0.dev0"), prereleases=True)
        or canonicalize_name(line.name) not in versions
    ]


def direct(lock: str) -> list[str]:
    """The requirements of pyproject.toml that a lock is made from."""
    project = PROJECT["project"]["dependencies"] if lock in ("base", "dev") else []
    # The tests need every optional dependency, too.
    optional = PROJECT["project"]["optional-dependencies"].values() if lock == "dev" else []
    return [*project, *(line for lines in optional for line in lines), *PROJECT["dependency-groups"].get(lock, [])]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_every_requirement_of_all_that_it_names(lock: str) -> None:
    """Nothing is resolved when a lock is installed, so nothing may be missing from it: on any Python and platform."""
    missing = {line for environment in environments() for line in unmet(PINS[lock], environment, direct(lock))}

    assert missing == set(), "make lock writes the locks again"
    assert direct(lock) != []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_a_package_once_for_each_environment(lock: str) -> None:
    for environment in environments():
        names = [pin.name for pin in PINS[lock] if pin.applies(environment)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("lock", ["base", "dev", "build"])
def test_what_is_installed_here_is_what_the_lock_names(lock: str) -> None:
    """So the requirements that the tests above read are those of the pinned versions."""
    different = [pin.name for pin in PINS[lock] if pin.applies(HERE) and requirements(pin.name, pin.version) is None]

    assert different == [], "make test installs the locked versions"


def test_the_locks_agree_on_versions() -> None:
    """One environment holds them all, and dev is base and more."""
    for environment in environments():
        pinned = {(pin.name, pin.version) for pins in PINS.values() for pin in pins if pin.applies(environment)}
        assert len(pinned) == len(dict(pinned))

    base, dev = ({(pin.name, pin.version) for pin in PINS[lock]} for lock in ("base", "dev"))
    assert base <= dev


def test_a_requirement_that_no_pin_meets_is_found() -> None:
    """With and without an extra: the test above can fail."""
    pins = PINS["dev"]

    def without(name: str) -> list[str]:
        return unmet([pin for pin in pins if pin.name != name], HERE)

    assert any(line.startswith("httpx requires httpcore") for line in without("httpcore"))
    assert any(line.startswith("google-auth requires requests") for line in without("requests"))
    old = [pin._replace(version="0.1") if pin.name == "httpcore" else pin for pin in pins]
    assert any("the lock has 0.1" in line for line in unmet(old, HERE))


class Offers:
    """A project with locks like ours, and an index that offers what they pin, and a newer release of each package.

    The packages have no content. They state the requirements of the real ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = folder / "index"
        self.index.mkdir()
        (folder / "requirements").mkdir()
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        for name, pins in PINS.items():
            self.write_lock(name, [self.offer(pin) for pin in pins])
        self.make_environment(folder / ".venv")

    def make_environment(self, place: Path) -> None:
        """An environment with pip. To copy this one's pip takes a tenth of the time that venv takes to install it."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        (site,) = place.glob("lib/python*/site-packages")
        pip = importlib.metadata.distribution("pip")
        for folder in {Path(str(file)).parts[0] for file in pip.files or () if ".." not in Path(str(file)).parts}:
            shutil.copytree(str(pip.locate_file(folder)), site / folder)

    def write_lock(self, name: str, lines: Iterable[str]) -> None:
        (self.folder / "requirements" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def offer(self, pin: Pin) -> str:
        """Puts the pinned version into the index, and a newer one beside it. Gives the line of the lock."""
        if not pin.applies(HERE):
            return f"{pin.requirement} --hash=sha256:{'0' * 64}"
        requires = [str(requirement) for requirement in requirements(pin.name, pin.version) or []]
        extras = sorted(set(re.findall(r"""extra == ["']([^"']+)["']""", "\n".join(requires))))
        newer = f"{Version(pin.version).base_version}.9999"  # still below the next minor one, which many exclude
        make_wheel(self.index, pin.name, newer, requires, extras)
        return (
            f"{pin.requirement} --hash=sha256:{sha256(make_wheel(self.index, pin.name, pin.version, requires, extras))}"
        )

    def commands(self) -> dict[str, str]:
        """For each lock, the Makefile's own command that installs it."""
        goals = [f".venv/.{goal}" for goal in ("base", "dev", "fuzz", "lock", "release")]
        dry = subprocess.run(
            ["make", "--dry-run", "--always-make", *goals], cwd=self.folder, capture_output=True, text=True, check=True
        )
        found = re.findall(r"^(.* -r requirements/(\w+)\.txt)$", dry.stdout, re.MULTILINE)
        return {lock: command for command, lock in found}

    def install(self, command: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Runs an install command with no index but ours."""
        places = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": os.devnull}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return subprocess.run(
            [*command.split(), *more], cwd=self.folder, env=kept | places, capture_output=True, text=True, check=False
        )

    def installed(self) -> dict[str, str]:
        """Names and versions of what the environment has, without the pip that it came with."""
        (site,) = self.folder.glob(".venv/lib/python*/site-packages")
        found = {canonicalize_name(one.name): one.version for one in importlib.metadata.distributions(path=[str(site)])}
        return {name: version for name, version in found.items() if name != "pip"}


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Offers:
    return Offers(tmp_path_factory.mktemp("offers"))


def test_newer_releases_neither_change_nor_break_an_install(offers: Offers) -> None:
    """Each lock by the Makefile's own command, in the Makefile's order."""
    commands = offers.commands()
    expected: dict[str, str] = {}

    assert commands.keys() == LOCKS.keys()
    for lock, command in commands.items():
        done = offers.install(command)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), lock
        expected |= {pin.name: pin.version for pin in PINS[lock] if pin.applies(HERE)}
        assert offers.installed() == expected, lock


def test_an_install_that_resolves_is_broken_or_changed_by_them(offers: Offers, tmp_path: Path) -> None:
    """So the test above can fail. This lock has two pins, without extras and without what they require."""
    own = offers.commands()["dev"]
    lines = [offers.offer(pin) for pin in PINS["dev"] if pin.name in ("google-genai", "google-auth")]
    lines = [line.replace("[requests]", "") for line in lines]
    report = tmp_path / "report.json"
    trial = ("--dry-run", "--ignore-installed", "--report", str(report))

    offers.write_lock("dev", lines)
    obedient = offers.install(own, *trial)
    named = versions(report)
    resolving = offers.install(own.replace("--no-deps ", ""), *trial)
    offers.write_lock("dev", [line.partition(" --hash")[0] for line in lines])
    unhashed = offers.install(own.replace("--no-deps --require-hashes ", ""), *trial)

    assert (obedient.returncode, named.keys()) == (0, {"google-genai", "google-auth"})
    assert resolving.returncode != 0
    assert "--require-hashes" in resolving.stderr
    assert unhashed.returncode == 0
    assert versions(report)["requests"].endswith(".9999")


def versions(report: Path) -> dict[str, str]:
    """What pip says that it would install."""
    planned = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {canonicalize_name(one["metadata"]["name"]): one["metadata"]["version"] for one in planned}
