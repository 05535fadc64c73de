"""Plays the actions of one stream onto its connection, each at its absolute deadline.

A deadline counts from the request's arrival, not from the write before it, so a late write never delays the next one
and errors do not add up. The player waits for three things (the clock, a closed lockstep gate, a full socket), and one
callback, `_run`, continues after each of them. `_play_tokens` is `_run` for the common case, made fast.
"""

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, TypeGuard

from streamgauge.mock_provider.compose import Composition
from streamgauge.mock_provider.config import OnDisconnect
from streamgauge.mock_provider.fleet.replica import Replica, Seat
from streamgauge.mock_provider.gates import Gate
from streamgauge.mock_provider.ledger import DisconnectKind, EndKind, Entry
from streamgauge.mock_provider.stream import Action, Close, Kind, Pause, Write
from streamgauge.mock_provider.timers import Timer, Timers
from streamgauge.mock_provider.timing import Timeline

_TOKEN = Kind.TOKEN  # bound once: the lookup of an enum member costs time at every write
# Writes of one stream before other streams get a turn: an endless stream without delays must not block the loop.
BURST = 64
# Tokens that an endless stream produces after its client has left (--on-disconnect continue), then it ends.
UNREAD_TOKENS_LIMIT = 100_000


class Outlet(Protocol):
    """The connection that a player writes to."""

    @property
    def blocked(self) -> bool:
        """Whether bytes are waiting because the peer reads too slowly."""

    @property
    def descriptor(self) -> int | None:
        """The descriptor on which os.write does what `send` does, as long as it takes all bytes; None for TLS."""

    def send(self, data: bytes) -> None:
        """Write now, and keep what the kernel does not take. OSError when the peer has gone."""

    def close(self, *, reset: bool) -> None:
        """FIN or RST."""


class Player:
    """Plays one stream from its arrival to its end, and records it in its ledger entry."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        timers: Timers,
        outlet: Outlet,
        entry: Entry,
        actions: Iterator[Action],
        timeline: Timeline,
        gate: Gate | None,
        replica: Replica | None,
        refusal: Callable[[], Composition],
        heartbeat: bytes | None,
        heartbeat_ns: int | None,
        arrival_monotonic_ns: int,
        status: int | None,
        on_disconnect: OnDisconnect,
        half_close_silence_ns: int | None,
        on_end: Callable[["Player", EndKind, int], None],
    ) -> None:
        self._loop, self._timers, self._outlet, self._entry, self._actions = loop, timers, outlet, entry, actions
        self._timeline, self._gate, self._heartbeat = timeline, gate, heartbeat
        self._heartbeat_ns = heartbeat_ns if heartbeat is not None else None
        self._zero_ns = arrival_monotonic_ns  # offsets count from here; a pause moves it
        self._hold_ns = 0  # end of the current pause, monotonic; no action before it
        self._status, self._on_disconnect, self._on_end = status, on_disconnect, on_end
        self._half_close_silence_ns = half_close_silence_ns
        self._action: Action | None = None
        self._timer: Timer | asyncio.Handle | None = None
        self._token_loop: Generator[int, None, None] | None = None  # `_play_tokens`, while it runs
        self._last_write_ns = arrival_monotonic_ns
        self._blocked_since_ns: int | None = None
        self._client_gone = False  # the stream continues without its client
        self._ended = False
        # True if only the clock decides when the next write is due.
        self._clock_only = gate is None and self._heartbeat_ns is None
        self._replica, self._refusal = replica, refusal
        self._seat: Seat | None = None
        self._queued = False
        self._queue_timer: Timer | None = None
        if gate is not None:
            gate.waiting.append(self._released)

    @property
    def entry(self) -> Entry:
        """The stream's ledger entry."""
        return self._entry

    def start(self) -> None:
        """Take a slot if they are limited, write everything that is due, and wait for the rest."""
        if self._replica is not None:
            self._take_seat(self._replica)
        self._run()

    def _take_seat(self, replica: Replica) -> None:
        # By call_soon: called from within the end of the stream before it, a queue of 1,000 would recurse as deep.
        planned = self._entry.tokens_planned
        size = None if planned is None else planned + self._entry.prompt_tokens
        self._seat = seat = replica.enter(lambda: self._loop.call_soon(self._slot_granted), size, self._entry)
        self._queued = not seat.taken
        if self._queued:
            if replica.limits.queue_timeout_ns is not None:
                self._queue_timer = self._timers.at(
                    self._zero_ns + replica.limits.queue_timeout_ns, self._queue_timed_out
                )
            return
        # The request can have reached the kernel before the slot was freed. Until then it waited in the queue.
        taken_ns = seat.free_ns - self._entry.arrival_ns
        if taken_ns > 0:
            self._entry.slot_ns += taken_ns
            self._zero_ns += taken_ns
        self._timeline.begin(lambda unloaded_ns: replica.first_ns(seat, unloaded_ns))

    def resume(self) -> None:
        """The socket takes bytes again; the time that it did not goes to the ledger."""
        if self._blocked_since_ns is not None:
            self._entry.write_blocked_ns += time.monotonic_ns() - self._blocked_since_ns
            self._blocked_since_ns = None
            self._run()

    def disconnected(self, kind: DisconnectKind, *, gone: bool) -> None:
        """The client has left: a FIN, after which it may still read, or `gone` when writing is impossible."""
        if self._ended:
            return
        self._entry.disconnected(time.time_ns(), kind)
        if self._blocked_since_ns is not None:
            self._entry.write_blocked_ns += time.monotonic_ns() - self._blocked_since_ns
            self._blocked_since_ns = None
        waits_for_ever = isinstance(self._action, Pause)  # no deadline would end this stream
        if self._half_close_silence_ns is not None and not gone:
            self._fall_silent(self._half_close_silence_ns)
        elif self._on_disconnect == "stop" or waits_for_ever or self._queued:
            self._finish("disconnected")
        elif gone:
            self._client_gone = True
            if self._token_loop is not None:
                self._stop_waiting()
            if self._timer is None:
                self._timer = self._loop.call_soon(self._run)

    def _fall_silent(self, duration_ns: int) -> None:
        """Write nothing for `duration_ns`, then end. A client that leaves in the meantime is not noticed."""
        self._stop_waiting()
        self._action, self._heartbeat_ns = Pause(None, quiet=True), None
        self._timer = self._timers.at(time.monotonic_ns() + duration_ns, lambda: self._finish("disconnected"))

    def stop(self) -> None:
        """End the stream because the server stops."""
        if not self._ended:
            self._finish("fault")

    def _slot_granted(self) -> None:
        replica, seat = self._replica, self._seat
        if not self._ended and replica is not None and seat is not None:
            self._stop_queueing()
            self._zero_ns = time.monotonic_ns()
            self._entry.slot_ns = time.time_ns()
            self._timeline.begin(lambda unloaded_ns: replica.first_ns(seat, unloaded_ns))
            self._run()

    def _queue_timed_out(self) -> None:
        """Answer with a refusal in place of the stream."""
        if self._ended or self._replica is None or self._seat is None or self._seat.taken:
            return
        self._stop_queueing()
        self._replica.give_up(self._seat)
        refusal = self._refusal()
        self._actions, self._status = refusal.actions, refusal.status
        self._run()

    def _stop_queueing(self) -> None:
        self._queued = False
        if self._queue_timer is not None:
            self._queue_timer.cancel()
            self._queue_timer = None

    def _run(self) -> None:
        if self._ended or self._queued:
            return
        self._stop_waiting()
        now_ns = time.monotonic_ns()
        for _ in range(BURST):
            action = self._action
            if action is None:
                action = self._action = next(self._actions, None)
                if action is None:
                    self._finish("complete" if self._entry.disconnect_ns is None else "disconnected")
                    return
            if isinstance(action, Write):
                if not self._is_due(action.step, now_ns):
                    return
                if not self._client_gone and self._outlet.blocked:
                    if self._blocked_since_ns is None:
                        self._blocked_since_ns = now_ns
                    return
                self._action = None
                self._write(action, now_ns)
            elif isinstance(action, Pause):
                if action.quiet:
                    self._heartbeat_ns = None
                if action.duration_ns is None:
                    self._wait(None)
                    return
                self._action = None
                self._hold_ns = now_ns + action.duration_ns
                self._zero_ns += action.duration_ns
            else:
                if self._hold_ns > now_ns:
                    self._wait(self._hold_ns)
                    return
                self._close(action)
            if self._ended:
                return
        self._timer = self._loop.call_soon(self._run)

    def _is_due(self, step: int, now_ns: int) -> bool:
        """Whether `step` may be written now; if not, arranges that `_run` is called again."""
        deadline_ns = self._hold_ns
        if self._gate is None or self._client_gone:
            due_ns = self._zero_ns + self._timeline.offset_ns(step)
            if due_ns > deadline_ns:
                deadline_ns = due_ns
        elif step >= self._gate.released:
            self._wait(None)  # `_released` calls `_run`
            return False
        if deadline_ns <= now_ns:
            return True
        self._wait(deadline_ns)
        return False

    def _wait(self, deadline_ns: int | None) -> None:
        """Call `_run` at `deadline_ns`, or earlier for a heartbeat; None: only for a heartbeat or another event."""
        if self._heartbeat_ns is not None and not self._client_gone and self._entry.head_ns is not None:
            heartbeat_at_ns = self._last_write_ns + self._heartbeat_ns
            if deadline_ns is None or heartbeat_at_ns < deadline_ns:
                self._timer = self._timers.at(heartbeat_at_ns, self._heartbeat_due)
                return
        if deadline_ns is not None:
            action, descriptor = self._action, self._outlet.descriptor
            if self._clock_only and descriptor is not None and not self._client_gone and _is_token_write(action):
                self._token_loop = self._play_tokens(descriptor, action)
                self._timers.follow(deadline_ns, self._token_loop)
                return
            self._timer = self._timers.at(deadline_ns, self._run)

    def _play_tokens(self, descriptor: int, action: Write) -> Generator[int, None, None]:
        """`_run` for the streams of a load: tokens on a clock, and a socket that takes them. `action` is due first.

        Yields the deadlines at which to be resumed, and returns to `_run` for every other kind of action. A generator,
        because it keeps its locals together in memory: between two tokens of one stream come those of a thousand
        others, and each resumption starts with cold caches.
        """
        actions, timers, offset_ns = self._actions, self._timers, self._timeline.offset_ns
        entry, room, time_ns, write = self._entry, 0, time.time_ns, os.write
        stamp, pack = entry.writes_ns.append, entry.writes_packed.append
        following: Action | None
        while True:
            _, _, data, token = action
            assert token is not None
            if room:  # the body of `entry.wrote`, without the cost of a call
                room -= 1
                stamp(time_ns())
                pack(len(data) << 32 | token + 1)
            else:
                entry.wrote(time_ns(), len(data), token)
                room = entry.room - len(entry.writes_ns)
            if token >= entry.tokens_written:
                entry.tokens_written = token + 1
            try:
                sent = write(descriptor, data)
            except OSError:
                sent = 0
            if sent < len(data):
                self._token_loop = self._action = None
                self._send_bytes(data[sent:])
                break
            self._action = following = next(actions, None)
            if not _is_token_write(following):
                break
            due_ns = self._zero_ns + offset_ns(following.step)
            if due_ns <= timers.now_ns:
                break
            action = following
            yield due_ns
        self._token_loop = None
        self._run()

    def _heartbeat_due(self) -> None:
        self._timer = None
        if self._ended or self._client_gone or self._heartbeat is None or self._heartbeat_ns is None:
            self._run()
            return
        now_ns = time.monotonic_ns()
        if not self._outlet.blocked and now_ns - self._last_write_ns >= self._heartbeat_ns:
            self._send(self._heartbeat, None, now_ns)
        else:
            self._last_write_ns = max(self._last_write_ns, now_ns - self._heartbeat_ns + 1_000_000)
        if not self._ended:
            self._run()

    def _write(self, action: Write, now_ns: int) -> None:
        entry = self._entry
        kind, _, data, token = action
        if token is not None and token >= entry.tokens_written:
            entry.tokens_written = token + 1
        if self._client_gone:
            if entry.tokens_planned is None and entry.tokens_written - entry.tokens_before >= UNREAD_TOKENS_LIMIT:
                self._finish("disconnected")
            return
        if not data:
            return
        if kind is Kind.HEAD:
            entry.head_ns, entry.status = time.time_ns(), self._status
        self._send(data, token, now_ns)

    def _send(self, data: bytes, token: int | None, now_ns: int) -> None:
        self._last_write_ns = now_ns
        self._entry.wrote(time.time_ns(), len(data), token)
        self._send_bytes(data)

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._outlet.send(data)
        except OSError:
            self.disconnected("rst", gone=True)

    def _close(self, action: Close) -> None:
        if self._client_gone:
            self._finish("disconnected")
            return
        self._outlet.close(reset=action.reset)
        self._finish("fault" if action.kind == "fault" else "complete")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._token_loop is not None:
            self._token_loop.close()
            self._token_loop = None

    def _released(self) -> None:
        # By call_soon: the answer to the release request must be written before the tokens that it releases.
        if self._timer is None or self._heartbeat_ns is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_soon(self._run)

    def _finish(self, end: EndKind) -> None:
        self._ended = True
        now_ns = time.time_ns()
        self._stop_waiting()
        if self._gate is not None and self._released in self._gate.waiting:
            self._gate.waiting.remove(self._released)
        if self._replica is not None and self._seat is not None:
            self._stop_queueing()
            self._replica.leave(self._seat, completed=end == "complete")
        self._on_end(self, end, now_ns)


def _is_token_write(action: Action | None) -> TypeGuard[Write]:
    """Whether writing it needs only the clock and the ledger: a token with bytes."""
    return type(action) is Write and action.kind is _TOKEN and action.token is not None and bool(action.data)
