"""Several requests at once, each in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def together(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """What each task gives, in their order.

    Raises the first error of a task at once. The threads are daemons, so that neither it nor Ctrl-C waits for them.
    """
    ended: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()

    def run(index: int, task: Callable[[], T]) -> None:
        try:
            ended.put((index, task(), None))
        except BaseException as error:  # it is raised again where it is waited for
            ended.put((index, None, error))

    for index, task in enumerate(tasks):
        threading.Thread(target=run, args=(index, task), daemon=True, name=f"together-{index}").start()
    given: dict[int, T] = {}
    for _ in tasks:
        index, value, error = ended.get()
        if error is not None:
            raise error
        given[index] = value  # type: ignore[assignment] # without an error there is a value
    return [given[index] for index in range(len(tasks))]
