"""The run directory: `run.json`, `streams.jsonl` and the verdict files. Written here, read by every report.

Records are appended as whole lines, one `write` each, to a file opened with O_APPEND: several processes of one machine
can share it, and a killed process loses at most the record that it was writing. Other files are replaced atomically.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from streamgauge.diagnosis.abandonment import Abandonment
from streamgauge.errors import UsageError
from streamgauge.files import open_regular, read_regular, replace_whole
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.concurrency import Alone, OneAtATime
from streamgauge.metrics.openloop import OpenLoop
from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.sessions import Sessions
from streamgauge.metrics.summary import Summary, Window
from streamgauge.protocol.numbers import Ns, out_of_range
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.record import SCHEMA as RECORD_SCHEMA
from streamgauge.protocol.record import StreamRecord, contradicts_itself
from streamgauge.protocol.typed import decoder, from_json
from streamgauge.rundir.accounts import Account, AccountFile, clear_accounts
from streamgauge.rundir.claim import Claim
from streamgauge.rundir.vitals import Vitals
from streamgauge.serverlane.lane import ServerLane
from streamgauge.serverlane.samples import SERVER
from streamgauge.units import MIB, show_bytes
from streamgauge.version import __version__

SCHEMA: Final = 1
STREAMS: Final = "streams.jsonl"
WORKERS: Final = "workers"  # a folder with a file of each client process
RUN: Final = "run.json"
WINDOW: Final = "window.json"
CHECKS: Final = "checks.json"
CANCELLATION: Final = "cancellation.json"
DIAGNOSIS: Final = "diagnosis.json"
CALIBRATION: Final = "calibration.json"
CALIBRATION_RUN: Final = "calibration"  # the run directory behind it
REPORTS: Final = ("report.html", "report.md", "junit.xml", "streams.parquet")

_ELSEWHERE: Final = "choose another directory with --out"
_DAMAGED: Final = "give the directory as streamgauge wrote it; without a damaged file, the rest is reported"
_RECORD_BEGINS: Final = b'{"schema":'
MAX_RECORD_BYTES: Final = 64 * MIB
"""The longest line of streams.jsonl that is read. A record is limited to about a tenth of this."""
_MOST_ROW_BYTES: Final = MIB  # of a client process: two histograms with at most 5,000 buckets of some 15 bytes each

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
    sessions: Sessions | None = None
    workers: list[Account] = []
    calibration: Calibration | None = None
    server: ServerLane | None = None


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(f"{platform.system()} {platform.release()}", sys.version.split()[0], os.cpu_count())


def must_take_a_run(directory: Path) -> None:
    """Raise UsageError when no run directory can be made there. Makes and removes nothing."""
    try:
        there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        is_directory = there.is_dir()
    except OSError as error:  # a name that is too long, a loop of links, a parent that may not be entered
        raise UsageError(f"cannot write to {directory}: {error.strerror}", _ELSEWHERE) from None
    if not is_directory or not os.access(there, os.W_OK | os.X_OK):
        why = "permission denied" if is_directory else f"{there} is not a directory"
        raise UsageError(f"cannot write to {directory}: {why}", _ELSEWHERE)


def no_room(directory: Path, least_bytes: int = LEAST_FREE_BYTES) -> str | None:
    """The reason to end a run while its reports can still be written: the disk is nearly full. Else None."""
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return f"the run directory {directory} cannot be used any more: {error.strerror}"
    if free >= least_bytes:
        return None
    return f"the disk of {directory} has {show_bytes(free)} left, and the records need {show_bytes(least_bytes)}"


@contextmanager
def claimed(directory: Path) -> Iterator[Claim]:
    """Make the run directory and claim it, just before the run begins. Raises UsageError when that fails.

    The files of an earlier load are removed. The verdict files of other commands stay, so that one report shows all.
    """
    must_take_a_run(directory)
    with _explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with closing(Claim(directory)) as claim:
        with _explained(directory):
            for name in (STREAMS, RUN, WINDOW, SERVER, *REPORTS):
                (directory / name).unlink(missing_ok=True)
            clear_accounts(directory)
            _clear_workers(directory)
        yield claim


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn OSError into UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}", _ELSEWHERE) from None


def write(path: Path, value: msgspec.Struct) -> None:
    """Replace a JSON file atomically: a reader sees the old file or the new one, never half. Raises UsageError."""
    replace(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def replace(path: Path, content: bytes) -> None:
    """Replace a file of a run directory, also when a pipe or a device has its name. Raises UsageError."""
    try:
        replace_whole(path, content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", _ELSEWHERE) from None


def keep(directory: Path, name: str, value: msgspec.Struct) -> Path:
    """Write a verdict file into a run directory, and make the directory if needed. Raises UsageError."""
    with _explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write(directory / name, value)
    return directory / name


class _Header(msgspec.Struct):
    """What a file or a record says of its own form. Without `schema` it has the first one."""

    schema: int = 1
    streamgauge: str | None = None


def read_file(path: Path, kind: type[T]) -> T | None:
    """A file of the run directory; None when it does not exist.

    Raises UsageError when its content does not fit, or has a schema that this version does not know.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _DAMAGED) from None
    try:
        _must_be_known(path, content, _schema_of(kind))
        found = from_json(content, kind)
        wrong = out_of_range(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}", _DAMAGED) from None
    if wrong is not None:
        raise UsageError(f"{path} cannot be read: {wrong}", _DAMAGED)
    return found


def _must_be_known(path: Path, content: bytes, known: int) -> None:
    """Raise UsageError on content with a schema other than `known`. Raises msgspec.DecodeError on other JSON."""
    header = from_json(content, _Header)
    if header.schema != known:
        writer = "another version" if header.streamgauge is None else f"streamgauge {header.streamgauge}"
        raise UsageError(
            f"{path} has schema {header.schema}, and streamgauge {__version__} reads schema {known}",
            f"{writer} wrote it: read it with that version, or upgrade this one",
        )


def _schema_of(kind: type[Any]) -> int:
    """The schema of a kind of file: the default of its field. Files without that field have the first schema."""
    return next((int(field.default) for field in msgspec.structs.fields(kind) if field.name == "schema"), 1)


def calibration(path: Path | None, directory: Path) -> Calibration | None:
    """The error floor in `path` (a file, or a directory with calibration.json), else that of the run directory, if any.

    Raises UsageError when `path` is given and has no error floor.
    """
    if path is None:
        return read_file(directory / CALIBRATION, Calibration)
    found = read_file(path / CALIBRATION if os.path.isdir(path) else path, Calibration)
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


def write_worker(directory: Path, row: WorkerRow) -> None:
    """Replace the row of a client process: a killed process leaves its last row. A full disk loses it, not the run.

    A row has up to 20 kB and comes once a second, so all rows of a long run would be as large as its records.
    """
    folder = directory / WORKERS
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        replace_whole(folder / f"{row.worker}.json", msgspec.json.encode(row))


def workers(directory: Path) -> list[WorkerRow]:
    """The row of each client process, by worker. Rows that cannot be read are left out."""
    rows = []
    for path in (directory / WORKERS).glob("*.json"):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows.append(from_json(read_regular(path, _MOST_ROW_BYTES), WorkerRow))
    return sorted(rows, key=lambda row: row.worker)


def _clear_workers(directory: Path) -> None:
    """Remove the rows of an earlier run. Raises OSError."""
    if (directory / WORKERS).is_dir():
        for path in (directory / WORKERS).iterdir():
            path.unlink()


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
        try:
            self._writer.add(record)
        except OSError as error:
            self._account.fail(error.strerror or str(error))
            raise
        self._account.record()

    def forget(self) -> None:
        """The stream ended before its request was sent, so there is nothing to record."""
        self._account.forget()

    def note(self, vitals: Vitals) -> None:
        """The process was stopped, or its clock was set."""
        self._account.note(vitals)

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
    start_ns: Ns
    end_ns: Ns | None = None
    closed_ns: Ns | None = None

    @property
    def left_ns(self) -> int:
        """When the client was done with the stream, epoch ns."""
        return self.start_ns + (self.closed_ns or self.end_ns or 0)


def outlines(directory: Path) -> Iterator[Outline]:
    """The outline of every record; lines that cannot be read are left out. Raises UsageError as `RecordReader` does."""
    outlined = decoder(Outline)
    with _opened(directory / STREAMS) as file:
        for line in _lines(file):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                yield outlined.decode(line)


class RecordReader:
    """Reads `streams.jsonl` line by line; `torn` counts lines that could not be read, or that contradict themselves.

    Raises UsageError when the file is a directory, a pipe or a device, or when it may not be read.

    With `keep_open` the file is opened once and can be read after its removal, until `close`.
    """

    def __init__(self, directory: Path, *, keep_open: bool = False) -> None:
        self._path = directory / STREAMS
        self._decoder = decoder(StreamRecord)
        self._offset = 0
        self._keep_open = keep_open
        self._kept: BinaryIO | None = None
        self.torn = 0

    def __iter__(self) -> Iterator[StreamRecord]:
        """Every record. Raises UsageError on a record with a schema that this version does not know."""
        for line in self._new_lines():
            record = self._record(line)
            if record is not None and record.schema == RECORD_SCHEMA:
                yield record
            else:
                with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    _must_be_known(self._path, line, RECORD_SCHEMA)
                self.torn += 1
        if self._path.exists() and self._path.stat().st_size > self._offset:
            self.torn += 1

    def new(self) -> Iterator[StreamRecord]:
        """The records written since the last call; an unfinished last line waits for the next.

        Records of another schema count as torn: one worker of another version must not end a run.
        """
        for line in self._new_lines():
            record = self._record(line)
            if record is not None and record.schema == RECORD_SCHEMA:
                yield record
            else:
                self.torn += 1

    def _new_lines(self) -> Iterator[bytes]:
        with self._file() as file:
            file.seek(self._offset)
            for line in _lines(file):
                if not line.endswith(b"\n"):
                    break
                self._offset = file.tell()
                yield line

    @contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        if self._kept is not None:
            yield self._kept
            return
        with _opened(self._path) as file:
            if self._keep_open and not isinstance(file, BytesIO):
                self._kept = os.fdopen(os.dup(file.fileno()), "rb")
            yield file

    def close(self) -> None:
        """Needed only with `keep_open`."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _record(self, line: bytes) -> StreamRecord | None:
        """The record of a line; None when the line cannot be read, or contradicts itself."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = self._decoder.decode(line)
            return None if contradicts_itself(record) else record
        # A full disk cuts a line, and the next record is appended to the piece. A quote inside of a text of a record is
        # escaped, so this is the beginning of a record.
        begin = line.rfind(_RECORD_BEGINS)
        if begin <= 0:
            return None
        self.torn += 1
        return self._record(line[begin:])


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The opened file of records, or an empty file in its place if it is absent.

    Raises UsageError when the path is not a regular file.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        file = BytesIO()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _DAMAGED) from None
    with file:
        yield file


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Of a line that is too long only the end is kept, so that it cannot be read as a record."""
    while line := file.readline(MAX_RECORD_BYTES):
        while len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_RECORD_BYTES) or b"\0"
        yield line
