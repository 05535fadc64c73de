"""How many streams each client process has started and recorded, so that no stream is lost silently.

A process of this machine rewrites its own file at each start and end of a stream. The file is mapped into memory:
that survives kill -9 and needs no system call.
For a worker on another machine the master keeps the file, from the worker's reports.
"""

import mmap
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from streamgauge.clocks import Offset
from streamgauge.files import open_regular
from streamgauge.protocol.numbers import Count, Ns
from streamgauge.protocol.typed import from_json
from streamgauge.rundir.vitals import Vitals
from streamgauge.steady import now_ns
from streamgauge.units import SECOND, ns_to_ms, plural

ACCOUNTS: Final = "accounts"

_ROOM: Final = 4096  # bytes of a file; padded, so that a shorter text overwrites all of a longer one
_LONGEST_TEXT: Final = 255  # of a host's name, for one: another machine may send anything
_MOST_LINES: Final = 20  # sentences about single processes
_COUNTS: Final = b'{"started":%20d,"recorded":%20d,"seen_ns":%20d,'
_COUNTS_BYTES: Final = len(_COUNTS % (0, 0, 0))


class Account(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One client process. `worker` is the number in its records; `seen_ns` is its last sign of life (epoch ns).

    `clock` is the offset of its clock from the master's, None without a master; its records are already corrected.
    `reader` says in words what read its sockets, and with which priority. `stopped_ns` and `stepped_ns` are its
    `Vitals`. `unwritable` says why it could not write a record.
    """

    worker: Count
    host: str
    started: Count = 0
    recorded: Count = 0
    ended: bool = False
    seen_ns: Ns = 0
    remote: bool = False
    clock: Offset | None = None
    reader: str | None = None
    stopped_ns: Ns = 0
    stepped_ns: Ns = 0
    unwritable: str | None = None

    @property
    def lost(self) -> int:
        """Streams that were started but left no record."""
        return max(self.started - self.recorded, 0)


class AccountFile:
    """The account of one process, kept in the run directory. A full disk loses the account, not the run."""

    def __init__(self, directory: Path, account: Account) -> None:
        folder = directory / ACCOUNTS
        folder.mkdir(parents=True, exist_ok=True)
        self.account = account
        self._page = _page(folder / f"{account.worker}.json")
        self.save()

    @classmethod
    def of_this_process(cls, directory: Path, reader: str | None = None) -> "AccountFile":
        return cls(directory, Account(worker=os.getpid(), host=socket.gethostname(), reader=reader))

    def start(self) -> None:
        """A stream is about to be requested."""
        self.account.started += 1
        self._count()

    def record(self) -> None:
        """The record of a stream has been written."""
        self.account.recorded += 1
        self._count()

    def forget(self) -> None:
        """A stream ended before its request was sent, so there is nothing to record."""
        self.account.started -= 1
        self._count()

    def note(self, vitals: Vitals) -> None:
        """The process was stopped, or its clock was set."""
        self.account.stopped_ns, self.account.stepped_ns = vitals
        self.save()

    def fail(self, why: str) -> None:
        """A record could not be written."""
        self.account.unwritable = why
        self.save()

    def alive(self) -> None:
        """A sign of life, for the time between two streams."""
        self._count()

    def end(self) -> None:
        """The process ends in order, and is not killed."""
        self.account.ended = True
        self.save()

    def save(self) -> None:
        """Write the current account."""
        account = self.account
        shown = msgspec.structs.replace(
            account, started=0, recorded=0, seen_ns=0, host=account.host[:_LONGEST_TEXT],
            reader=account.reader and account.reader[:_LONGEST_TEXT],
        )  # fmt: skip
        rest = msgspec.json.encode(shown)
        if self._page is not None:
            self._page[_COUNTS_BYTES:] = rest[1:].ljust(_ROOM - _COUNTS_BYTES)
        self._count()

    def _count(self) -> None:
        """Write the counts alone, which stand first and have a fixed width: each stream does this twice."""
        account = self.account
        account.seen_ns = now_ns()
        if self._page is not None:
            self._page[:_COUNTS_BYTES] = _COUNTS % (account.started, account.recorded, account.seen_ns)


def _page(path: Path) -> mmap.mmap | None:
    """The file, mapped into memory; None when the disk has no room for it."""
    with suppress(OSError), path.open("w+b") as file:
        # Allocate the blocks now: writing to a sparse page of a full disk would raise SIGBUS.
        os.posix_fallocate(file.fileno(), 0, _ROOM)
        return mmap.mmap(file.fileno(), _ROOM)
    return None


def read_accounts(directory: Path) -> list[Account]:
    """The accounts in a run directory, by worker. Files that cannot be read are left out."""
    with closing(AccountReader(directory)) as reader:
        return reader.read()


class AccountReader:
    """Reads the accounts of a run again and again, also after their files were removed: it keeps them open."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / ACCOUNTS
        self._open: dict[Path, BinaryIO] = {}

    def read(self) -> list[Account]:
        """The accounts, by worker."""
        for path in self._folder.glob("*.json"):
            if path not in self._open:
                with suppress(OSError):
                    self._open[path] = open_regular(path)
        found = []
        for file in self._open.values():
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found.append(from_json(os.pread(file.fileno(), _ROOM, 0), Account))
        return sorted(found, key=lambda account: account.worker)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def clear_accounts(directory: Path) -> None:
    """Remove the accounts of an earlier run. Raises OSError."""
    for path in (directory / ACCOUNTS).glob("*.json"):
        path.unlink(missing_ok=True)


def readers(accounts: Iterable[Account]) -> str | None:
    """What read the sockets of the client, each kind once; None where no process says it."""
    return "; ".join(sorted({account.reader for account in accounts if account.reader})) or None


def losses(accounts: Iterable[Account]) -> list[str]:
    """A sentence for each process that did not end in order, or whose streams are not all recorded; one for the rest of
    very many.
    """
    lossy = [account for account in accounts if account.lost or not account.ended]
    texts = [_loss(account) for account in lossy[:_MOST_LINES]]
    if rest := lossy[_MOST_LINES:]:
        lost = sum(account.lost for account in rest)
        texts.append(f"{len(rest):,} more workers ended in this way: {lost:,} or more of their streams are lost.")
    return texts


def faults(accounts: Sequence[Account]) -> list[str]:
    """What went wrong with the processes, a sentence each; nothing when they ended in order and lost no stream."""
    lost, gone = sum(account.lost for account in accounts), sum(not account.ended for account in accounts)
    told = list(dict.fromkeys(fault for account in accounts for fault in _told(account)))  # a clock is told once
    if not lost and not gone:
        return told
    at_least = "at least " if any(account.remote and not account.ended for account in accounts) else ""
    streams = f"{at_least}{plural(lost, 'stream')} left no record, and it may be the slow ones that are missing"
    if not gone:
        return [*told, streams]
    return [*told, f"{gone} of {plural(len(accounts), 'process', 'processes')} did not end in order, and {streams}"]


def _told(account: Account) -> Iterator[str]:
    """What the process itself has noticed."""
    who = f"worker {account.worker} on {account.host}"
    if account.unwritable:
        yield f"{who} could not write its records ({account.unwritable})"
    yield from Vitals(account.stopped_ns, account.stepped_ns).faults(who, account.host)


def last_sign_ns(accounts: Iterable[Account]) -> int | None:
    """When the last process was seen alive (epoch ns), if none of them ended in order; else None."""
    ends = [None if account.ended else account.seen_ns for account in accounts]
    return None if None in ends else max((end for end in ends if end is not None), default=None)


def _loss(account: Account) -> str:
    seen = datetime.fromtimestamp(account.seen_ns // SECOND, UTC).strftime("%H:%M:%S")
    how = "ended" if account.ended else "did not end in order (killed, or out of reach)"
    at_least = "at least " if account.remote and not account.ended else ""
    text = (
        f"Worker {account.worker} on {account.host} {how}. Last seen at {seen} UTC, when it had started {at_least}"
        f"{account.started:,} streams. {account.recorded:,} of them are recorded, {at_least}{account.lost:,} are lost."
    )
    if account.ended:
        return text
    return f"{text} Its users were missing from then on, so the load was smaller than planned."


def clock_lines(accounts: Iterable[Account]) -> list[str]:
    """The offset of each worker's clock against the master's, with its bound; of very many the first ones."""
    lines: list[str] = []
    compared = [account for account in accounts if account.clock is not None]
    for account in compared[:_MOST_LINES]:
        assert account.clock is not None
        offset, error = ns_to_ms(account.clock.offset_ns), ns_to_ms(account.clock.error_ns)
        done = "corrected in its records" if account.clock.matters else "within the error: nothing to correct"
        lines.append(
            f"worker {account.worker} on {account.host}: master's clock − its clock "
            f"{offset:+.3f} ms ± {error:.3f} ms, {done}"
        )
    if rest := len(compared) - len(lines):
        lines.append(f"the clocks of {rest:,} more workers are in run.json")
    return lines
