"""The locustfiles of a load: a scenario of this package by its name, or a path."""

import importlib.util
from pathlib import Path
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.workload import Workload

_NAMED: Final = ("chat", "open", "sessions")


def locustfiles(scenario: str | None, workload: Workload) -> list[Path]:
    """The files that Locust loads; without a name, the scenario follows from the load model. Raises UsageError."""
    usual = "open" if workload.is_open else "sessions" if workload.by_users else "chat"
    first = locustfile(scenario or usual)
    return [first, locustfile("stages")] if workload.stages else [first]


def locustfile(scenario: str) -> Path:
    """The file of a named scenario, or the path itself. Raises UsageError when there is no such file."""
    if scenario.endswith(".py"):
        if not Path(scenario).is_file():
            raise UsageError(f"--scenario {scenario} does not exist", "give the path of a locustfile, or the name chat")
        return Path(scenario)
    path = _folder() / f"{scenario}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.py") if p.stem in _NAMED))
        raise UsageError(f"no scenario {scenario!r}", f"there are: {known}; or give a path that ends in .py")
    return path


def is_named(path: Path) -> bool:
    """Whether it is a scenario of this package, and not a user's own."""
    return path.parent == _folder()


def _folder() -> Path:
    spec = importlib.util.find_spec("streamgauge.scenarios")  # finds the folder without importing Locust
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders else Path("scenarios")
