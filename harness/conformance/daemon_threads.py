"""Tasks in threads that never keep the process alive, so that Ctrl-C does not wait for a silent endpoint."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def start(tasks: Sequence[Callable[[], T]], *, at_once: int | None = None) -> list[Future[T]]:
    """Run the tasks in daemon threads, at most `at_once` at a time (None: all), and return their futures in order."""
    queue: SimpleQueue[tuple[Future[T], Callable[[], T]]] = SimpleQueue()
    futures: list[Future[T]] = [Future() for _ in tasks]
    for job in zip(futures, tasks, strict=True):
        queue.put(job)

    def work() -> None:
        while True:
            try:
                future, task = queue.get_nowait()
            except Empty:
                return
            try:
                future.set_result(task())
            except BaseException as error:  # the thread that waits for the result raises it
                future.set_exception(error)

    # Not concurrent.futures.ThreadPoolExecutor: it joins its threads when the interpreter exits.
    for _ in range(len(tasks) if at_once is None else min(at_once, len(tasks))):
        threading.Thread(target=work, daemon=True).start()
    return futures


def results(futures: Sequence[Future[T]]) -> list[T]:
    """Wait for all results, in order. Raises the first error of a task without waiting for the others."""
    for future in as_completed(futures):
        future.result()
    return [future.result() for future in futures]
