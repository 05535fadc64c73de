"""Long loads, watched from outside: `make soak`, or `python -m tests.bench.soak --seconds 1800`.

Two loads run side by side, each against a mock of its own: 200 fast streams and 2,000 slow ones. Once a second the
memory and the descriptors of each process tree are sampled. In the first fifth of the time caches and pools fill;
after it, neither may grow. At the end the streams that the mock has seen must be those of the records, and each must be
whole.

Exit code 0: all of this held and the figures are VALID. `--shared` also takes SUSPECT, which on a machine with other
work says that the other work delayed this client.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import csv
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, linear_regression
from typing import Final, NamedTuple, Self

import httpx
import psutil

from streamgauge.protocol.outcome import Outcome
from streamgauge.rundir import runs
from streamgauge.units import MIB, SECOND

FILLING: Final = 0.2  # of the time: caches, pools and histograms fill, and nothing is judged
CONNECTED: Final = 0.98  # of the largest number of descriptors: all users have begun
GROWTH_SHARE: Final = 0.05  # of its mean that the memory of a tree may grow while it is watched: 9 MB
SHORT_GROWTH_SHARE: Final = 0.2  # the same where it is watched for less than SHORT_S, and buffers still fill
SHORT_S: Final = 300
GROWTH_DESCRIPTORS: Final = 5.0  # a process opens a file for a moment; one leaked each minute would be 24
LEDGER: Final = 500  # streams that the mock remembers: more would take longer to fill than a short run lasts
LATE_S: Final = 300  # after the planned end: then a load is ended as one that hangs
COLUMNS: Final = ("kind", "tree", "at_s", "rss_bytes", "descriptors", "processes")


class Kind(NamedTuple):
    """Streams of one pace."""

    name: str
    users: int
    ttft_ms: int
    itl_ms: int
    tokens: int

    @property
    def stream_s(self) -> float:
        """How long a stream takes: the mock closes it one gap after the last token."""
        return (self.ttft_ms + self.tokens * self.itl_ms) / 1000

    def within(self, seconds: float) -> Self:
        """The same with streams so short that each user finishes some in this time."""
        most = (seconds / 3 * 1000 - self.ttft_ms) / self.itl_ms
        return self._replace(tokens=max(2, min(self.tokens, int(most))))


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("fast", users=200, ttft_ms=200, itl_ms=50, tokens=100),
        Kind("slow", users=2_000, ttft_ms=500, itl_ms=2_000, tokens=20),
    )
}


class Sample(NamedTuple):
    """A process tree at one moment (epoch seconds)."""

    at_s: float
    rss_bytes: int
    descriptors: int
    processes: int


class Growth(NamedTuple):
    """A quantity over time: a straight line through its samples (least squares)."""

    mean: float
    most: float
    per_hour: float
    window_s: float

    @property
    def over_window(self) -> float:
        return self.per_hour * self.window_s / 3600

    @property
    def allowed(self) -> float:
        """The most by which memory may grow in this time."""
        return self.mean * (SHORT_GROWTH_SHARE if self.window_s < SHORT_S else GROWTH_SHARE)

    @classmethod
    def of(cls, samples: Sequence[Sample], field: str) -> Self | None:
        """The growth of a field of the samples; None where they are too few for a line."""
        if len(samples) < 2:
            return None
        at_s = [sample.at_s for sample in samples]
        values = [float(getattr(sample, field)) for sample in samples]
        slope = linear_regression(at_s, values).slope
        return cls(fmean(values), max(values), slope * 3600, at_s[-1] - at_s[0])


def settled(samples: Sequence[Sample], begin_s: float, end_s: float) -> list[Sample]:
    """The samples of a load in which nothing has a reason to grow any more.

    They begin when the caches are full and all users have connected, which on a busy machine takes longer than planned.
    Something that never stops growing is watched from the middle on.
    """
    running = [sample for sample in samples if begin_s <= sample.at_s <= end_s]
    if not running:
        return []
    most = max(sample.descriptors for sample in running)
    connected_s = next(sample.at_s for sample in running if sample.descriptors >= CONNECTED * most)
    filled_s = begin_s + FILLING * (end_s - begin_s)
    start_s = min(max(filled_s, connected_s), (begin_s + end_s) / 2)
    return [sample for sample in running if sample.at_s >= start_s]


class Tree:
    """A process with its children, sampled from outside."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.samples: list[Sample] = []

    def sample(self) -> None:
        """Add the sum over all processes that run now."""
        rss = descriptors = processes = 0
        try:
            running = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in running:
            try:
                rss += process.memory_info().rss
                descriptors += process.num_fds()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it has just ended
            processes += 1
        if processes:
            self.samples.append(Sample(time.time(), rss, descriptors, processes))


class Streams(NamedTuple):
    """What became of the streams of one load."""

    seen: int  # by the mock
    alone: int  # the stream before the load, from which `load` learns how streams end: it leaves no record
    recorded: int
    whole: int  # outcome ok, with every token
    others: dict[str, int]  # the outcomes of the rest

    @property
    def lost(self) -> int:
        return self.seen - self.alone - self.recorded


class Soaked(NamedTuple):
    """One load, when it has ended. `memory` and `descriptors` are those of the process trees "load" and "mock"."""

    kind: Kind
    exit_code: int
    memory: dict[str, Growth | None]
    descriptors: dict[str, Growth | None]
    streams: Streams
    load_s: float
    verdict: str
    reasons: list[str]
    reader: str | None
    output: str

    def ended(self, growth: Growth) -> float:
        """The number of streams that ended while the process tree was watched."""
        return self.streams.recorded * growth.window_s / self.load_s

    def faults(self, *, shared: bool) -> list[str]:
        """What did not hold; empty when all is well."""
        found = [f"load ended with exit code {self.exit_code}: {self.output[-600:]}"] if self.exit_code else []
        for tree, memory in self.memory.items():
            if memory is None:
                found.append(f"{tree} was not watched: the load had ended")
            elif memory.over_window > memory.allowed:
                found.append(f"the memory of {tree} grew by {memory.over_window / MIB:.1f} MiB")
        for tree, descriptors in self.descriptors.items():
            if descriptors is not None and descriptors.over_window > GROWTH_DESCRIPTORS:
                found.append(f"the descriptors of {tree} grew by {descriptors.over_window:.1f}")
        if self.streams.lost:
            found.append(f"{self.streams.lost:,} streams that the mock has seen are not recorded")
        if self.streams.whole != self.streams.recorded:
            found.append(f"{self.streams.recorded - self.streams.whole:,} streams are not whole: {self.streams.others}")
        if self.verdict != "VALID" and not (shared and self.verdict == "SUSPECT"):
            found.append(f"the figures are {self.verdict}")
        return found


class Load:
    """A mock and the load on it, both processes of their own."""

    def __init__(self, kind: Kind, seconds: float, directory: Path, port: int, mock_pid: int) -> None:
        self.kind, self._directory, self._port = kind, directory, port
        self._output = directory.with_suffix(".txt").open("w+", encoding="utf-8")
        ramp_s = min(
            max(1.0, seconds / 6), 60.0
        )  # the streams of the warm-up count as streams, but not for the figures
        drain_s = kind.stream_s * 2 + 10
        options: dict[str, object] = {
            "--dialect": "openai-chat", "--users": kind.users, "--spawn-rate": kind.users / ramp_s,
            "--warmup": f"{ramp_s:g}s", "--duration": f"{seconds:g}s", "--drain": f"{drain_s:g}s", "--out": directory,
        }  # fmt: skip
        words = [str(word) for option in options.items() for word in option]
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        command = [sys.executable, "-m", "streamgauge", "load", url, *words]
        self.process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        self.trees = {"load": Tree(self.process.pid), "mock": Tree(mock_pid)}
        self._load_s = ramp_s + seconds
        self._latest_end = time.monotonic() + self._load_s + drain_s + LATE_S

    def sample(self) -> None:
        for tree in self.trees.values():
            tree.sample()

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._latest_end

    def result(self) -> Soaked:
        """Judge it, after its end. Raises UsageError when its files cannot be read."""
        with self._output as file:
            file.seek(0)
            output = file.read()
        run = runs.read_file(self._directory / runs.RUN, runs.RunFile)
        validity = run.summary.validity if run is not None and run.summary is not None else None
        windows = {name: self._watched(tree) for name, tree in self.trees.items()}
        return Soaked(
            kind=self.kind,
            exit_code=self.process.returncode,
            memory={name: Growth.of(samples, "rss_bytes") for name, samples in windows.items()},
            descriptors={name: Growth.of(samples, "descriptors") for name, samples in windows.items()},
            streams=self._streams(alone=int(run is not None and run.alone is not None)),
            load_s=self._load_s,
            verdict=validity.verdict if validity is not None else "without figures",
            reasons=validity.reasons if validity is not None else [],
            reader=run.reader if run is not None else None,
            output=output,
        )

    def _watched(self, tree: Tree) -> list[Sample]:
        window = runs.window(self._directory)
        return [] if window is None else settled(tree.samples, window.begin_ns / SECOND, window.end_ns / SECOND)

    def _streams(self, alone: int) -> Streams:
        seen = httpx.get(f"http://127.0.0.1:{self._port}/_mock/summary", timeout=30).json()["seen"]
        recorded = whole = 0
        others = Counter[str]()
        for record in runs.RecordReader(self._directory):
            recorded += 1
            if record.outcome is Outcome.OK and len(record.token_reads) == self.kind.tokens:
                whole += 1
            else:
                others[record.outcome] += 1
        return Streams(seen, alone, recorded, whole, dict(others))


@contextmanager
def mock(kind: Kind) -> Iterator[tuple[int, int]]:
    """A mock that plays these streams, in a process of its own: its port and its process id."""
    options = ("--ttft", f"{kind.ttft_ms}ms", "--itl", f"{kind.itl_ms}ms", "--tokens", str(kind.tokens), "--port", "0",
               "--ledger-size", str(LEDGER))  # fmt: skip
    command = [sys.executable, "-m", "streamgauge.mock_provider", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.search(r":(\d+)$", process.stdout.readline().strip())
            assert match is not None, "the mock did not start"
            yield int(match[1]), process.pid
        finally:
            process.terminate()


def soak(kinds: Sequence[Kind], seconds: float, folder: Path) -> list[Soaked]:
    """Run the loads side by side and watch them to their ends."""
    with ExitStack() as stack:
        loads = []
        for kind in (kind.within(seconds) for kind in kinds):
            port, pid = stack.enter_context(mock(kind))
            loads.append(Load(kind, seconds, folder / kind.name, port, pid))
            stack.callback(loads[-1].process.terminate)  # nothing goes on when this ends early
        begin = time.monotonic()
        tick = 0
        while running := [load for load in loads if load.process.poll() is None]:
            for load in running:
                load.sample()
                if load.overdue:
                    load.process.kill()
            if tick % 60 == 0:
                print(_progress(loads, time.monotonic() - begin), file=sys.stderr, flush=True)
            tick += 1
            time.sleep(max(0.0, begin + tick - time.monotonic()))
        _write_samples(folder / "samples.csv", loads)
        return [load.result() for load in loads]


def _progress(loads: Sequence[Load], at_s: float) -> str:
    parts = [f"{at_s:6.0f} s"]
    for load in loads:
        for name, tree in load.trees.items():
            last = tree.samples[-1] if tree.samples else Sample(0, 0, 0, 0)
            parts.append(f"{load.kind.name} {name} {last.rss_bytes / MIB:.0f} MiB, {last.descriptors} descriptors")
    return "; ".join(parts)


def _write_samples(path: Path, loads: Sequence[Load]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for load in loads:
            for name, tree in load.trees.items():
                writer.writerows((load.kind.name, name, *sample) for sample in tree.samples)


def show(soaked: Soaked, *, shared: bool) -> str:
    """The figures of one load, and what did not hold."""
    streams = soaked.streams
    lines = [_heading(soaked.kind, soaked.reader)]
    for name, memory in soaked.memory.items():
        descriptors = soaked.descriptors[name]
        if memory is not None and descriptors is not None:
            lines.append(_growths(name, memory, descriptors, soaked.ended(memory)))
    counts = (f"{streams.seen:,} seen by the mock", f"{streams.alone} of them alone, before the load",
              f"{streams.recorded:,} recorded", f"{streams.whole:,} whole", f"{streams.lost:,} lost")  # fmt: skip
    lines += [f"  streams: {', '.join(counts)}", f"  {soaked.verdict}: {'; '.join(soaked.reasons)}"]
    lines += [f"  NOT AS IT SHOULD BE: {fault}" for fault in soaked.faults(shared=shared)]
    return "\n".join(lines)


def _heading(kind: Kind, reader: str | None) -> str:
    stream = f"{kind.tokens} tokens a stream ({kind.stream_s:.1f} s)"
    return f"{kind.name}: {kind.users:,} users, a token every {kind.itl_ms} ms, {stream}; reader: {reader}"


def _growths(name: str, memory: Growth, descriptors: Growth, streams: float) -> str:
    return (
        f"  {name}: RSS {memory.mean / MIB:.1f} MiB (most {memory.most / MIB:.1f}), "
        f"slope {memory.per_hour / MIB:+.2f} MiB/h, {memory.over_window / MIB:+.2f} MiB while watched "
        f"({memory.over_window / max(streams, 1):+,.0f} bytes a stream); "
        f"{descriptors.mean:,.1f} descriptors (most {descriptors.most:,.0f}), slope {descriptors.per_hour:+.2f}/h"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1_800, help="of load (default: %(default)s)")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this one; repeatable")
    parser.add_argument("--shared", action="store_true", help="the machine has other work: take SUSPECT, too")
    parser.add_argument("--keep", type=Path, help="directory for the runs and samples.csv; else they are deleted")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = soak([KINDS[name] for name in options.kind or KINDS], options.seconds, folder)
    for result in results:
        print(show(result, shared=options.shared))
    sys.exit(any(result.faults(shared=options.shared) for result in results))


if __name__ == "__main__":
    main()
