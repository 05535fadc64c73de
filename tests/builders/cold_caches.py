"""One worker of pytest fills cold caches while the others wait. In a fresh checkout, each worker would compile all test
modules and read the constants of all sources for Hypothesis: 5 s of CPU, so 26 s for the five others.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
COMPILED = f".{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc"
_COLD_SHARE = 0.5
"""A few new modules are compiled sooner than a worker has waited for another."""


def are_cold(tests: Path = TESTS) -> bool:
    """Whether most test modules have not been compiled for this Python and this pytest."""
    modules = list(tests.rglob("test_*.py"))
    missing = sum(not (path.parent / "__pycache__" / (path.stem + COMPILED)).exists() for path in modules)
    return missing > _COLD_SHARE * len(modules)


@contextmanager
def filled_once(tests: Path = TESTS) -> Iterator[None]:
    """To collect in: alone while the caches are cold, beside the other workers when they are warm."""
    if not are_cold(tests):
        yield
        return
    with (tests / "conftest.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not are_cold(tests):
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield
