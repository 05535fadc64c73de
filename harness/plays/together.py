"""Several things at once, each in a thread of its own: long waits that overlap, and loads."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

T = TypeVar("T")

TICK_S: Final = 1.0


def together(tasks: Sequence[Callable[[], T]], tick: Callable[[float, int], None] = lambda *_: None) -> list[T]:
    """What each task gives, in their order. `tick` is told the seconds since the start and how many are done.

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
    start = time.monotonic()
    given: dict[int, T] = {}
    while len(given) < len(tasks):
        try:
            index, value, error = ended.get(timeout=TICK_S)
        except Empty:
            tick(time.monotonic() - start, len(given))
            continue
        if error is not None:
            raise error
        given[index] = value  # type: ignore[assignment] # without an error there is a value
    return [given[index] for index in range(len(tasks))]
