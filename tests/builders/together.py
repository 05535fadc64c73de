"""Many small cases in one test. A test for each would cost pytest several times the work of the case."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

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
