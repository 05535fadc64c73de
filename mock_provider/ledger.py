"""What the server received and wrote, stream by stream: the truth that measurements are compared with."""

import asyncio
import json
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from typing import Any, Literal

PROMPT_LIMIT = 2_000  # characters kept of a prompt and of a path
WRITES_LIMIT = 100_000  # writes kept per stream (1.6 MB); later ones are only counted
# Writes kept in all (256 MB). Above it the oldest entries are forgotten, even if there are fewer than --ledger-size.
WRITES_BUDGET = 16_000_000
_GRANT = 256  # writes for which a stream gets room at a time
_PIECE = 4_096  # writes that are turned into JSON at a time

DisconnectKind = Literal["fin", "rst"]
EndKind = Literal["complete", "disconnected", "fault"]


def digest(credential: str) -> str | None:
    """The first digits of a credential's SHA-256: enough to compare two keys, and no way back to them. None: no key."""
    return sha256(credential.encode()).hexdigest()[:16] if credential else None


class Entry:
    """One request for an answer; times are CLOCK_REALTIME nanoseconds, each taken right before its write."""

    __slots__ = (
        "arrival_ns",
        "cached_tokens",
        "credential",
        "dialect",
        "disconnect_kind",
        "disconnect_ns",
        "end",
        "end_ns",
        "faults",
        "grant",
        "head_ns",
        "http_version",
        "id",
        "method",
        "path",
        "prompt",
        "prompt_tokens",
        "received",
        "replica",
        "resumed",
        "room",
        "script",
        "seq",
        "slot_ns",
        "status",
        "tokens_before",
        "tokens_planned",
        "tokens_written",
        "write_blocked_ns",
        "writes_dropped",
        "writes_ns",
        "writes_packed",
    )

    def __init__(
        self,
        *,
        seq: int,
        id: str,  # noqa: A002 (the field's name in the API)
        method: str,
        path: str,
        dialect: str,
        http_version: str,
        prompt: str,
        faults: list[str],
        script: str,
        tokens_planned: int | None,
        arrival_ns: int,
    ) -> None:
        self.seq, self.id, self.method, self.path, self.dialect = seq, id, method, path[:PROMPT_LIMIT], dialect
        self.http_version, self.prompt, self.faults, self.script = (
            http_version,
            prompt[:PROMPT_LIMIT],
            faults,
            script,
        )
        self.tokens_planned, self.arrival_ns = tokens_planned, arrival_ns
        self.status: int | None = None
        self.slot_ns = arrival_ns  # when it got its slot; later than the arrival if it queued
        self.credential: str | None = None  # the digest of the API key that came with the request
        self.prompt_tokens = 0  # as the usage of the answer counts them
        self.cached_tokens: int | None = None  # those that the prefix cache had; None: there is no cache
        self.replica: str | None = None  # None: no fleet is modelled, or its gateway refused the request
        self.received: dict[str, Any] | None = None  # see `received`
        self.resumed = False  # whether it continues an earlier stream
        self.head_ns: int | None = None
        self.writes_ns = array("q")
        self.writes_packed = array("Q")  # bytes << 32 | token + 1
        self.writes_dropped = 0
        self.room = 0  # writes that may be kept before `grant` is asked for more
        self.grant: Callable[[Entry], bool] | None = None  # gets more room; None: the ledger has forgotten the entry
        self.tokens_written = 0  # produced, also after the client has left
        self.write_blocked_ns = 0
        self.disconnect_ns: int | None = None
        self.disconnect_kind: DisconnectKind | None = None
        self.tokens_before = 0
        self.end: EndKind | None = None
        self.end_ns: int | None = None

    def wrote(self, t_ns: int, size: int, token: int | None) -> None:
        """Record a write of `size` bytes; `token` is the last token that it completes."""
        if len(self.writes_ns) >= self.room and (self.grant is None or not self.grant(self)):
            self.writes_dropped += 1
            return
        self.writes_ns.append(t_ns)
        self.writes_packed.append(size << 32 if token is None else size << 32 | token + 1)

    def disconnected(self, t_ns: int, kind: DisconnectKind) -> None:
        """Record that the client left; only the first call counts."""
        if self.disconnect_ns is None:
            self.disconnect_ns, self.disconnect_kind, self.tokens_before = t_ns, kind, self.tokens_written

    def summary(self) -> dict[str, Any]:
        """The entry without its writes."""
        disconnect = None
        if self.disconnect_ns is not None:
            disconnect = {
                "t_ns": self.disconnect_ns,
                "kind": self.disconnect_kind,
                "tokens_before": self.tokens_before,
                "tokens_after": self.tokens_written - self.tokens_before,
            }
        return {
            "seq": self.seq,
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "dialect": self.dialect,
            "http_version": self.http_version,
            "prompt": self.prompt,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "received": self.received,
            "faults": self.faults,
            "script": self.script,
            "replica": self.replica,
            "resumed": self.resumed,
            "credential": self.credential,
            "arrival_ns": self.arrival_ns,
            "slot_ns": self.slot_ns,
            "head_ns": self.head_ns,
            "status": self.status,
            "tokens_planned": self.tokens_planned,
            "tokens_written": self.tokens_written,
            "write_blocked_ns": self.write_blocked_ns,
            "disconnect": disconnect,
            "end_ns": self.end_ns,
            "end": self.end,
        }

    def pieces(self) -> Iterator[str]:
        """The entry as JSON: the writes as three arrays of equal length, and the number of writes that were dropped.

        A long stream comes in pieces that each take about 1 ms, because 100,000 writes at once would stop every other
        stream for 60 ms. Writes that happen between the pieces are left out.
        """
        count, dropped = len(self.writes_ns), self.writes_dropped
        text = json.dumps(self.summary()).removesuffix("}") + ', "writes": {'
        for name, part in (("t_ns", self._times), ("bytes", self._sizes), ("token", self._tokens)):
            text += f'"{name}": ['
            for start in range(0, count, _PIECE):
                values = part(slice(start, min(start + _PIECE, count)))
                text += (", " if start else "") + json.dumps(values)[1:-1]
                if count > _PIECE:
                    yield text
                    text = ""
            text += "], "
        yield f'{text}"dropped": {dropped}}}}}'

    def _times(self, span: slice) -> list[int]:
        return self.writes_ns[span].tolist()

    def _sizes(self, span: slice) -> list[int]:
        return [what >> 32 for what in self.writes_packed[span]]

    def _tokens(self, span: slice) -> list[int | None]:
        return [(what & 0xFFFF_FFFF) - 1 if what & 0xFFFF_FFFF else None for what in self.writes_packed[span]]


class Ledger:
    """The newest `size` entries, oldest dropped first, findable by id."""

    def __init__(self, size: int, *, next_seq: Callable[[], int] | None = None, budget: int = WRITES_BUDGET) -> None:
        self._size, self._budget = size, budget
        self._granted = 0  # writes of all entries
        self._next_seq = next_seq or count(1).__next__
        self._entries: deque[Entry] = deque()
        self._by_id: dict[str, list[Entry]] = {}
        self._waiters: dict[str, list[asyncio.Event]] = {}
        self._seen = 0

    def open(
        self,
        *,
        id: str,  # noqa: A002
        method: str,
        path: str,
        dialect: str,
        http_version: str,
        prompt: str,
        faults: list[str],
        script: str,
        tokens_planned: int | None,
        arrival_ns: int,
    ) -> Entry:
        """A new entry with the next sequence number."""
        self._seen += 1
        entry = Entry(
            seq=self._next_seq(),
            id=id,
            method=method,
            path=path,
            dialect=dialect,
            http_version=http_version,
            prompt=prompt,
            faults=faults,
            script=script,
            tokens_planned=tokens_planned,
            arrival_ns=arrival_ns,
        )
        entry.grant = self._grant
        if len(self._entries) >= self._size:
            self._forget(self._entries.popleft())
        self._entries.append(entry)
        self._by_id.setdefault(entry.id, []).append(entry)
        self._wake(entry.id)
        return entry

    def close(self, entry: Entry, t_ns: int, end: EndKind) -> None:
        """Record the end of a stream."""
        entry.end, entry.end_ns = end, t_ns
        self._wake(entry.id)

    def find(self, stream_id: str) -> list[Entry]:
        """Every entry of one id, oldest first: more than one when an application retried."""
        return list(self._by_id.get(stream_id, ()))

    def newest(self, limit: int, since: int) -> list[Entry]:
        """The newest `limit` entries with a sequence number above `since`, oldest first."""
        found = self.after(since)
        return found[-limit:] if limit else []

    def after(self, since: int) -> list[Entry]:
        """The entries with a sequence number above `since`, oldest first."""
        return [entry for entry in self._entries if entry.seq > since]

    def totals(self) -> dict[str, Any]:
        """Counts over the entries that are kept."""
        ends = Counter(entry.end for entry in self._entries)
        return {
            "streams": len(self._entries),
            "seen": self._seen,
            "active": ends[None],
            "complete": ends["complete"],
            "disconnected": ends["disconnected"],
            "fault": ends["fault"],
            "tokens_written": sum(entry.tokens_written for entry in self._entries),
        }

    def reset(self) -> None:
        """Forget every entry; running streams go on unrecorded. Sequence numbers go on."""
        for entry in self._entries:
            entry.grant = None
        self._granted = 0
        self._entries.clear()
        self._by_id.clear()

    async def ended(self, stream_id: str, timeout_s: float) -> None:
        """Wait until the newest entry of `stream_id` exists and has ended, at most `timeout_s`."""
        event = asyncio.Event()
        self._waiters.setdefault(stream_id, []).append(event)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_over(stream_id):
                    event.clear()
                    await event.wait()
        except TimeoutError:
            pass
        finally:
            waiters = self._waiters[stream_id]
            waiters.remove(event)
            if not waiters:
                del self._waiters[stream_id]

    def _is_over(self, stream_id: str) -> bool:
        entries = self.find(stream_id)
        return bool(entries) and entries[-1].end is not None

    def _wake(self, stream_id: str) -> None:
        for event in self._waiters.get(stream_id, ()):
            event.set()

    def _grant(self, entry: Entry) -> bool:
        if entry.room >= WRITES_LIMIT:
            return False
        while self._granted + _GRANT > self._budget:
            if self._entries[0] is entry:
                return False
            self._forget(self._entries.popleft())
        self._granted += _GRANT
        entry.room = min(entry.room + _GRANT, WRITES_LIMIT)
        return True

    def _forget(self, entry: Entry) -> None:
        self._granted -= -(-entry.room // _GRANT) * _GRANT
        entry.grant = None
        entries = self._by_id.get(entry.id)
        if entries is None:
            return
        entries.remove(entry)
        if not entries:
            del self._by_id[entry.id]
