"""The values that the transport produces: reads with their arrival times, and the capture of one exchange.

Everything after the transport works on these values alone, so a test or a replay can make them by hand.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate, repeat
from typing import Final, NamedTuple, Protocol, Self

MAX_KEPT_BYTES: Final = 8 * 1024 * 1024
"""The largest body whose wire is kept as well, for the checks: a run of checks keeps dozens of them in memory."""


class Read(NamedTuple):
    """One `recvmsg`: arrival at the kernel, time right after the call (both epoch ns), and size on the wire in bytes.

    Without a kernel stamp `stamped` is False, and `t_ns` equals `user_ns`. `empty_ns` is when the socket was last known
    to be empty: all bytes of the read arrived after that, also the first of several segments that share its stamp.
    """

    t_ns: int
    user_ns: int
    size: int
    stamped: bool = True
    empty_ns: int | None = None


class Arrivals(NamedTuple):
    """Successive reads, packed: their bytes joined, and one number a read in each column (see `Read`).

    `unstamped` has the indexes of the reads without a kernel stamp. `empty_ns` has no items where that is not known.
    """

    data: bytes
    t_ns: Sequence[int]
    user_ns: Sequence[int]
    sizes: Sequence[int]
    unstamped: Collection[int] = ()
    empty_ns: Sequence[int] = ()

    @classmethod
    def of(cls, pairs: Sequence[tuple[bytes, Read]]) -> Self:
        """Pack reads, given with their bytes."""
        reads = [read for _, read in pairs]
        empty_ns = [read.empty_ns for read in reads if read.empty_ns is not None]
        return cls(
            b"".join([data for data, _ in pairs]),
            [read.t_ns for read in reads],
            [read.user_ns for read in reads],
            [read.size for read in reads],
            [index for index, read in enumerate(reads) if not read.stamped],
            empty_ns if len(empty_ns) == len(reads) else (),
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several packs as one."""
        t_ns: list[int] = []
        user_ns: list[int] = []
        sizes: list[int] = []
        unstamped: list[int] = []
        empty_ns: list[int] = []
        for part in parts:
            unstamped += [len(sizes) + index for index in part.unstamped]
            t_ns += part.t_ns
            user_ns += part.user_ns
            sizes += part.sizes
            empty_ns += part.empty_ns
        data = b"".join([part.data for part in parts])
        return cls(data, t_ns, user_ns, sizes, unstamped, empty_ns if len(empty_ns) == len(sizes) else ())

    def pairs(self) -> list[tuple[bytes, Read]]:
        """Each read with its bytes."""
        return list(zip(self.pieces(), self.reads(), strict=True))

    def reads(self) -> list[Read]:
        """The same reads, one value each."""
        empty_ns = self.empty_ns or repeat(None)
        reads = list(map(Read, self.t_ns, self.user_ns, self.sizes, repeat(True), empty_ns))
        for index in self.unstamped:
            reads[index] = reads[index]._replace(stamped=False)
        return reads

    def pieces(self) -> list[bytes]:
        """The bytes of each read."""
        ends = accumulate(self.sizes)
        return [self.data[end - size : end] for size, end in zip(self.sizes, ends, strict=True)]


class Framing(StrEnum):
    """What tells the end of the body (RFC 9112 section 6.3; for HTTP/2 RFC 9113 section 8.1)."""

    CHUNKED = "chunked"
    LENGTH = "content-length"
    CLOSE = "close-delimited"
    STREAM = "END_STREAM"
    NONE = "no body"


class End(StrEnum):
    """Why reading stopped."""

    COMPLETE = "complete"
    CLOSED = "closed"
    RESET = "reset"
    NO_MEANS = "no means"  # this machine had no descriptor, port or memory left for the request
    NO_ROOM = "no room"  # this process had no memory left for the rest of the answer
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    TOO_LARGE = "too large"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Excess(NamedTuple):
    """Why nothing more is read of a response. `end` is TOO_LARGE where the response exceeds a limit of its own, and
    NO_ROOM where all responses of the process together do.
    """

    end: End
    detail: str


@dataclass(slots=True, frozen=True)
class Head:
    """A response head as it was on the wire: header names keep their case, order and repetition."""

    status: int
    reason: str
    http_version: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """All values of a header joined by a comma, or None when it is absent."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return list(_by_name(self.headers).get(name.lower(), ()))

    @property
    def media_type(self) -> str | None:
        """The essence of Content-Type, lower case, without parameters."""
        values = self.all("content-type")
        return values[0].split(";", 1)[0].strip().lower() if values else None


@lru_cache(64)  # the heads of one load are often the same, and each is asked for several fields
def _by_name(headers: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    """The values of each name in lower case, in order."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return values


_WITHOUT_CONTENT: Final = (204, 205)


def succeeds(status: int) -> bool:
    """Whether a status says that the request was served, and allows content (RFC 9110 section 15.3)."""
    return 200 <= status < 300 and status not in _WITHOUT_CONTENT


class FramingFault(NamedTuple):
    """What is wrong with a head where it says how the body ends. `readable`: the end is certain all the same.

    `of_line`: a line of the head is no field at all, so nothing in the head is believed.
    """

    what: str
    readable: bool
    of_line: bool = False


class PlainResponse(NamedTuple):
    """A complete response, without an object for each read.

    `pieces` are the chunks of the body, and `ends` the offsets in the body at which they end. For each read, `arrived`
    has the number of body bytes that had come by its end. `head_read` is the index of the read that completed the head.
    """

    head: Head
    head_read: int
    pieces: list[bytes]
    ends: list[int]
    arrived: list[int]
    keep_alive: bool


class Memory(Protocol):
    """What one exchange takes of the memory of its process (transport/memory.py)."""

    @property
    def copies(self) -> int:
        """How often each byte of the wire is in memory when the response has been interpreted."""

    def grow(self, size: int) -> None:
        """Take `size` bytes more. Raises OutOfMeans where the process has no more for this response."""


@dataclass(slots=True)
class Capture:
    """One exchange: when each step happened (epoch ns), every read, and the body piece by piece.

    `body` holds `(read index, bytes)` after transfer decoding and before content decoding. `wire` is the raw
    response, one item a read, kept only on request. `dns_ns` (absent for an address, and for a Unix socket),
    `connect_ns`, `tunnel_ns` (a proxy's answer to CONNECT), `tls_ns` and `handshake_ns` (TCP's own round trip) are
    durations, absent on reuse. `peer` is the address and port of a connection of its own, the proxy's behind a proxy.

    On a shared connection (HTTP/2), `wanted_ns` is when the stream was wanted: from then to `start_ns` it waited for a
    connection with room. `opening_ns` is how long the requests took that a stream of a SignalR hub needs before its own
    (a duration). `crowded` are the reads in which bytes of other streams came behind those of this stream: the
    stamp may be theirs. `fault` is a defect of the head that leaves the end of the body in doubt. `memory` is what the
    exchange takes of the budget of its process; None without a budget.
    """

    start_ns: int
    method: str = "GET"
    url: str = ""
    request: bytes = b""
    reused: bool = False
    peer: str | None = None
    dns_ns: int | None = None
    connect_ns: int | None = None
    tunnel_ns: int | None = None
    tls_ns: int | None = None
    handshake_ns: int | None = None
    sent_ns: int | None = None
    wanted_ns: int | None = None
    opening_ns: int | None = None
    reads: list[Read] = field(default_factory=list)
    crowded: list[int] = field(default_factory=list)
    wire: list[bytes] | None = None
    head: Head | None = None
    head_read: int | None = None
    framing: Framing | None = None
    fault: FramingFault | None = None
    body: list[tuple[int, bytes]] = field(default_factory=list)
    chunks: int = 0
    trailing: bytes = b""
    end: End | None = None
    end_ns: int | None = None
    detail: str | None = None
    memory: Memory | None = field(default=None, compare=False, repr=False)

    @property
    def first_byte_ns(self) -> int | None:
        """Arrival of the first response byte."""
        return self.reads[0].t_ns if self.reads else None

    @property
    def headers_ns(self) -> int | None:
        """Arrival of the byte that completed the response head."""
        return None if self.head_read is None else self.reads[self.head_read].t_ns

    @property
    def stamp_source(self) -> str | None:
        """`kernel` when every read carries a kernel stamp, `user` when none does, else `mixed`."""
        if not self.reads:
            return None
        stamped = sum(read.stamped for read in self.reads)
        return "kernel" if stamped == len(self.reads) else "mixed" if stamped else "user"
