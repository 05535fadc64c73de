"""Ways of waiting for many streams in gevent, compared: `python -m tests.bench.waits`.

The same transport and the same decoding; only what happens between a readable socket and the stored read differs.
"""

# ruff: noqa: T201 (a script: printing is what it does; gevent patches before anything else is imported)
import sys

if len(sys.argv) > 1:
    from gevent import monkey

    monkey.patch_all()

import gc
import os
import subprocess
import time
from collections.abc import Callable
from statistics import median

import gevent
from gevent.hub import Waiter

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.scenarios import epoll_collector
from streamgauge.transport.exchange import Watch
from tests.bench.clients import playing


def watcher(descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
    """One watcher a response, which stays; without limits of time."""
    tick()
    loop_hub = gevent.get_hub()
    done = Waiter(loop_hub)
    readable = loop_hub.loop.io(descriptor, 1)

    def read() -> None:
        if not take():
            readable.stop()
            done.switch(None)

    readable.start(read)
    try:
        done.get()
    finally:
        readable.stop()
        readable.close()


WAYS: dict[str, Watch | None] = {
    "a greenlet wakes for each read": None,
    "a watcher for each response": watcher,
    "one epoll for all": epoll_collector.watch,
}


def read_streams(way: Watch | None, url: str, streams: int, seconds: float) -> None:
    """Print the CPU time and the tokens of so many users who ask again and again."""
    tokens = 0
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)

    def user(number: int) -> None:
        nonlocal tokens
        gevent.sleep(number / streams)
        target = Target(url=url)
        with StreamClient.to(target, watch=way) as client:
            while True:
                read = len(client.run(target.request(), keep=False).tokens)
                tokens += read

    users = [gevent.spawn(user, number) for number in range(streams)]
    gevent.sleep(3)
    cpu_ns, before = time.process_time_ns(), tokens
    gevent.sleep(seconds)
    print(time.process_time_ns() - cpu_ns, tokens - before, flush=True)
    gevent.killall(users, block=False)
    os._exit(0)


def main() -> None:
    """Each way in turn, three times."""
    streams, rounds = 100, 3
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name in WAYS:
            with playing(50, 100) as mock:
                command = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.waits", name, mock.url]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                found[name].append(int(output[0]) / int(output[1]) / 1e3)
    print(f"CPU per token, {streams} streams x 50/s, {rounds} rounds in turns, decoding included:")
    for name, values in found.items():
        ratio = median(one / best for one, best in zip(values, found["one epoll for all"], strict=True))
        print(f"  {name:<32}{median(values):>6.1f} us  {ratio:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read_streams(WAYS[sys.argv[1]], f"{sys.argv[2]}/v1/chat/completions", 100, 6)
    else:
        main()
