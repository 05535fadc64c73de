"""The run directory: `run.json`, `streams.jsonl` and the verdict files. Written here, read by every report.

Records are appended as whole lines, one `write` each, to a file opened with O_APPEND: several processes of one machine
can share it, and a killed process loses at most the record that it was writing. Other files are replaced atomically.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from streamgauge.diagnosis.abandonment import Abandonment
from streamgauge.errors import UsageError
from streamgauge.files import replace_file
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.concurrency import Alone, OneAtATime
from streamgauge.metrics.openloop import OpenLoop
from streamgauge.metrics.process_stats import WorkerRow, latest
from streamgauge.metrics.summary import Summary, Window
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir.accounts import Account, AccountFile, clear_accounts
from streamgauge.units import show_bytes
from streamgauge.version import __version__

SCHEMA: Final = 1
STREAMS: Final = "streams.jsonl"
WORKERS: Final = "workers.jsonl"
RUN: Final = "run.json"
WINDOW: Final = "window.json"
CHECKS: Final = "checks.json"
CANCELLATION: Final = "cancellation.json"
DIAGNOSIS: Final = "diagnosis.json"
CALIBRATION: Final = "calibration.json"
CALIBRATION_RUN: Final = "calibration"  # the run directory behind it
REPORTS: Final = ("report.html", "report.md", "junit.xml", "streams.parquet")

_ELSEWHERE: Final = "choose another directory with --out"

LEAST_FREE_BYTES: Final = 4 * 1024 * 1024

T = TypeVar("T")


class Machine(msgspec.Struct, frozen=True):
    """The machine on which the client ran."""

    system: str
    python: str
    cpus: int | None


class RunFile(msgspec.Struct, kw_only=True):
    """`run.json`: the manifest and, when the run has ended, its summary.

    `faults` says what went wrong on the side of the client, such as a killed process: the load was not the planned one.
    """

    schema: int = SCHEMA
    streamgauge: str = __version__
    command: str
    target: str
    dialect: str | None = None
    dialect_reason: str | None = None
    dialect_doubt: str | None = None
    end: Ends = Ends.AUTO
    end_reason: str | None = None
    started: str
    ended: str | None = None
    status: str = "running"
    settings: dict[str, Any] = {}
    machine: Machine | None = None
    reader: str | None = None
    caveats: list[str] = []
    faults: list[str] = []
    summary: Summary | None = None
    truth: Comparison | None = None
    open_loop: OpenLoop | None = None
    most_open: int | None = None
    alone: Alone | None = None
    one_at_a_time: OneAtATime | None = None
    abandonment: Abandonment | None = None
    workers: list[Account] = []
    calibration: Calibration | None = None


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(f"{platform.system()} {platform.release()}", sys.version.split()[0], os.cpu_count())


def must_take_a_run(directory: Path) -> None:
    """Raise UsageError when no run directory can be made there. Makes and removes nothing."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "permission denied" if there.is_dir() else f"{there} is not a directory"
        raise UsageError(f"cannot write to {directory}: {why}", _ELSEWHERE)


def no_room(directory: Path, least_bytes: int = LEAST_FREE_BYTES) -> str | None:
    """The reason to end a run while its reports can still be written: the disk is nearly full. Else None."""
    free = shutil.disk_usage(directory).free
    if free >= least_bytes:
        return None
    return f"the disk of {directory} has {show_bytes(free)} left, and the records need {show_bytes(least_bytes)}"


def prepare(directory: Path) -> Path:
    """Make the run directory, just before the run begins. Raises UsageError when that fails.

    The files of an earlier load are removed. The verdict files of other commands stay, so that one report shows all.
    """
    must_take_a_run(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in (STREAMS, WORKERS, RUN, WINDOW, *REPORTS):
            (directory / name).unlink(missing_ok=True)
        clear_accounts(directory)
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}", _ELSEWHERE) from None
    return directory


def write(path: Path, value: msgspec.Struct) -> None:
    """Replace a JSON file atomically: a reader sees the old file or the new one, never half. Raises UsageError."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def keep(directory: Path, name: str, value: msgspec.Struct) -> Path:
    """Write a verdict file into a run directory, and make the directory if needed. Raises UsageError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}", _ELSEWHERE) from None
    write(directory / name, value)
    return directory / name


def read_file(path: Path, kind: type[T]) -> T | None:
    """A file of the run directory; None when it does not exist. Raises UsageError when its content does not fit."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "was it written by this version of streamgauge?") from None


def calibration(path: Path | None, directory: Path) -> Calibration | None:
    """The error floor in `path` (a file, or a directory with calibration.json), else that of the run directory, if any.

    Raises UsageError when `path` is given and has no error floor.
    """
    if path is None:
        return read_file(directory / CALIBRATION, Calibration)
    found = read_file(path / CALIBRATION if path.is_dir() else path, Calibration)
    if found is None:
        raise UsageError(f"{path} has no {CALIBRATION}", "make one with `streamgauge calibrate --out DIR`")
    return found


def write_window(directory: Path, window: Window) -> None:
    """Write which part of the run counts, for all readers of its records. A full disk loses this file, not the run."""
    with suppress(UsageError):
        write(directory / WINDOW, window)


def window(directory: Path) -> Window | None:
    """Which part of the run counts; None before the run has begun, and in Locust's web UI, where no part is chosen."""
    return read_file(directory / WINDOW, Window)


def append_worker(directory: Path, row: WorkerRow) -> None:
    """Add a row to `workers.jsonl`. A full disk loses the row, not the run."""
    with suppress(OSError), (directory / WORKERS).open("ab", buffering=0) as file:
        file.write(msgspec.json.encode(row) + b"\n")


def workers(directory: Path) -> list[WorkerRow]:
    """The last row of each client process. Lines that cannot be read are left out."""
    rows = []
    with suppress(OSError), (directory / WORKERS).open("rb") as file:
        for line in file:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                rows.append(msgspec.json.decode(line, type=WorkerRow))
    return latest(rows)


class RecordWriter:
    """Appends records to `streams.jsonl`; safe to share between the processes of one machine."""

    def __init__(self, directory: Path) -> None:
        self._fd = os.open(directory / STREAMS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._encoder = msgspec.json.Encoder()

    def add(self, record: StreamRecord) -> None:
        """Write one record. Raises OSError when the disk is full."""
        self.add_lines(self._encoder.encode(record) + b"\n")

    def add_lines(self, lines: bytes) -> None:
        """Write whole lines of records that another process encoded. Raises OSError when the disk is full."""
        # On a full disk os.write is partial, and raises only on the next call: loop.
        while lines:
            lines = lines[os.write(self._fd, lines) :]

    def close(self) -> None:
        os.close(self._fd)


class Recorder:
    """The records of this process, and its account: the count of started streams shows what a killed process lost."""

    def __init__(self, directory: Path, reader: str | None = None) -> None:
        """`reader` says in words what reads the sockets of this process."""
        directory.mkdir(parents=True, exist_ok=True)
        self._writer = RecordWriter(directory)
        self._account = AccountFile.of_this_process(directory, reader)

    def start(self) -> None:
        """A stream is about to be requested."""
        self._account.start()

    def add(self, record: StreamRecord) -> None:
        """Write the record of a stream that was started. Raises OSError when the disk is full."""
        self._writer.add(record)
        self._account.record()

    def forget(self) -> None:
        """The stream ended before its request was sent, so there is nothing to record."""
        self._account.forget()

    def alive(self) -> None:
        """A sign of life, for the time between two streams."""
        self._account.alive()

    def end(self) -> None:
        """The process ends in order, and is not killed."""
        self._account.end()


class Outline(msgspec.Struct, frozen=True):
    """When a stream ran and how it ended, for readers of many records: much cheaper to decode than a whole record.

    `start_ns` is epoch ns, the others are ns since then.
    """

    outcome: Outcome
    start_ns: int
    end_ns: int | None = None
    closed_ns: int | None = None

    @property
    def left_ns(self) -> int:
        """When the client was done with the stream, epoch ns."""
        return self.start_ns + (self.closed_ns or self.end_ns or 0)


def outlines(directory: Path) -> Iterator[Outline]:
    """The outline of every record; lines that cannot be read are left out."""
    decoder = msgspec.json.Decoder(Outline)
    with suppress(FileNotFoundError), (directory / STREAMS).open("rb") as file:
        for line in file:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield decoder.decode(line)


class RecordReader:
    """Reads `streams.jsonl` line by line; `torn` counts lines that could not be read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / STREAMS
        self._decoder = msgspec.json.Decoder(StreamRecord)
        self._offset = 0
        self.torn = 0

    def __iter__(self) -> Iterator[StreamRecord]:
        yield from self.new()
        if self._path.exists() and self._path.stat().st_size > self._offset:
            self.torn += 1

    def new(self) -> Iterator[StreamRecord]:
        """The records written since the last call; an unfinished last line waits for the next."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                try:
                    yield self._decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self.torn += 1
