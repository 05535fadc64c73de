"""Many cases in one test.

A test for each small case would cost pytest several times the work of the case. Cases that mostly wait do so side by
side.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeVar

SIDE_BY_SIDE: Final = 4
"""Cases at once: with more, the cases that time something would disturb each other."""

Given = TypeVar("Given")
Found = TypeVar("Found")
NewCase = Callable[[object], AbstractContextManager[None]]


@contextmanager
def together() -> Iterator[NewCase]:
    """Gives a function that begins a case. Every case runs; the test fails once, and lists the cases that failed."""
    failed: list[str] = []

    @contextmanager
    def case(name: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")

    yield case
    assert not failed, f"{len(failed)} cases failed:\n" + "\n".join(failed)


def side_by_side(work: Callable[[Given], Found], cases: Iterable[Given]) -> list[Found]:
    """What `work` gives for each case, in the order of the cases. For work that mostly waits."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(work, cases))
