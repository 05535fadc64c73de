"""What TLS and HTTP/2 cost streamgauge, and how right its TTFT and ITL are over them: `make bench-paths`.

The server has the first core, the client the second. All paths are measured in turn, several times over, because only
what is measured at the same time can be compared on a shared machine. The truth is the ledger of the same run. Streams
that opened their connection are left out: the server cannot tell what that took.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from streamgauge.metrics.comparison import compare_with_ledger
from tests.bench.clients import HEADING, Result, holds, ledger, load, records, row, watch

PATHS = ("HTTP/1.1", "HTTP/1.1 TLS", "HTTP/2", "HTTP/2 TLS")


@contextmanager
def playing(rate: float) -> Iterator[list[str]]:
    """A mock on its core; its URL for each path, the first of which has the ledger."""
    arguments = [sys.executable, "-m", "tests.bench.paths_mock", "--itl", f"{1e6 / rate:.0f}us"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {0})
        assert process.stdout is not None
        try:
            urls = [process.stdout.readline().strip() for _ in PATHS]
            yield [
                url.replace("http:", "https:") if "TLS" in path else url for path, url in zip(PATHS, urls, strict=True)
            ]
        finally:
            process.kill()


def main() -> None:
    """One table a round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paths", nargs="*", default=PATHS)
    given = parser.parse_args()
    os.sched_setaffinity(0, {0})
    results: dict[str, list[Result]] = {path: [] for path in given.paths}
    right = dict.fromkeys(given.paths, 0)
    print(f"{given.streams} streams x {given.rate:g} tokens/s of 100 tokens, true TTFT 200 ms, one core for the client")
    with tempfile.TemporaryDirectory() as place:
        for number in range(given.rounds):
            print(f"\n{HEADING}")
            for path in given.paths:
                folder = Path(place, f"{number}-{path.replace('/', '').replace(' ', '-')}")
                folder.mkdir()
                with playing(given.rate) as urls:
                    more = ["--insecure"] * ("TLS" in path) + ["--http2"] * ("HTTP/2" in path)
                    url = urls[PATHS.index(path)]
                    result = watch(
                        load(url, urls[0], given.streams, folder, *more), urls[0], given.streams, given.seconds, folder
                    )
                    known = ledger(urls[0])
                    seen = [record for record in records(result) if record.reused and record.id in known]
                    found = compare_with_ledger(seen, known) if seen else None
                results[path].append(result)
                right[path] += holds(found)
                print(row(path, result, found), flush=True)
    print("\nCPU per token, median; rounds with TTFT right to 0.5 ms (p50) and 3 ms (p99), and ITL p99 to 3 ms")
    for path, measured in results.items():
        cost = median(result.cpu_us for result in measured)
        print(f"  {path:<20}{cost:>7.1f} us{right[path]:>6} of {given.rounds}")


if __name__ == "__main__":
    main()
