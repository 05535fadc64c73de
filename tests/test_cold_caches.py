"""In a fresh checkout one worker of pytest compiles the tests, and the others wait for it; else nobody waits."""

from pathlib import Path
from threading import Event, Thread

import pytest

from tests.builders.cold_caches import COMPILED, are_cold, filled_once


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Tests that were never run."""
    (tmp_path / "some").mkdir()
    for name in ("conftest.py", "test_a.py", "test_b.py", "some/test_c.py"):
        (tmp_path / name).touch()
    return tmp_path


def compile_all(tests: Path) -> None:
    for path in tests.rglob("test_*.py"):
        (path.parent / "__pycache__").mkdir(exist_ok=True)
        (path.parent / "__pycache__" / (path.stem + COMPILED)).touch()


def test_caches_are_cold_until_most_modules_were_compiled(checkout: Path) -> None:
    assert are_cold(checkout)
    compile_all(checkout)
    assert not are_cold(checkout)
    (checkout / "test_new.py").touch()
    assert not are_cold(checkout)


def test_this_session_has_compiled_the_tests() -> None:
    """So the name of a compiled module is right."""
    module = Path(__file__)

    assert (module.parent / "__pycache__" / (module.stem + COMPILED)).exists()


def test_a_worker_waits_while_another_fills_cold_caches(checkout: Path) -> None:
    entered = Event()

    def collect() -> None:
        with filled_once(checkout):
            entered.set()

    other = Thread(target=collect)
    with filled_once(checkout):
        other.start()
        assert not entered.wait(0.1)
        compile_all(checkout)
    other.join(10)
    assert entered.is_set()


def test_workers_collect_side_by_side_when_the_caches_are_warm(checkout: Path) -> None:
    compile_all(checkout)

    with filled_once(checkout), filled_once(checkout):
        pass
