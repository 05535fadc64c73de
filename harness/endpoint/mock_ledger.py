"""Reads the mock's ledger through its control API. The ledger has the true times and bytes of each upstream request."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from streamgauge.clocks import Offset, better, of_round_trip
from streamgauge.endpoint.credentials import key_in
from streamgauge.endpoint.plain_http import Body, PlainClient, tls_for
from streamgauge.endpoint.received import Received
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.protocol.numbers import Count, Ns
from streamgauge.protocol.typed import from_json
from streamgauge.transport.connector import Connector

PINGS: Final = 9
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024  # a ledger of a million writes
TIMEOUT_S: Final = 10.0
TOKEN_ENV: Final = "STREAMGAUGE_MOCK_CONTROL_TOKEN"  # the mock reads its --control-token from there, too

T = TypeVar("T")


class Writes(msgspec.Struct, frozen=True):
    """The writes of a stream, as parallel lists: epoch ns, bytes, and the index of the token (None: no token)."""

    t_ns: list[Ns]
    bytes: list[Count]
    token: list[Count | None]

    def __post_init__(self) -> None:
        if not len(self.t_ns) == len(self.bytes) == len(self.token):
            raise ValueError("the lists of a stream's writes differ in length")


class Disconnect(msgspec.Struct, frozen=True):
    """How and when the mock noticed that the client left. `tokens_after` counts the tokens it generated afterwards."""

    t_ns: Ns
    kind: str
    tokens_before: Count
    tokens_after: Count


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream request, recorded by the mock; times in epoch ns of the mock's clock.

    `credential` is the digest of the API key that came with it (`digest_of`); None: no key came.
    """

    seq: Count
    id: str
    method: str
    path: str
    dialect: str | None = None
    arrival_ns: Ns
    head_ns: Ns | None = None
    writes: Writes
    tokens_planned: Count | None = None
    tokens_written: Count = 0
    write_blocked_ns: Ns = 0
    disconnect: Disconnect | None = None
    end_ns: Ns | None = None
    end: str | None = None
    status: Count | None = None
    faults: list[str] = []
    resumed: bool = False
    prompt_tokens: Count | None = None
    cached_tokens: Count | None = None
    received: Received | None = None
    credential: str | None = None

    def token_ns(self) -> list[int]:
        """When each token was first written."""
        first_ns: dict[int, int] = {}
        for at_ns, token in zip(self.writes.t_ns, self.writes.token, strict=True):
            if token is not None:
                first_ns.setdefault(token, at_ns)
        return [first_ns[token] for token in sorted(first_ns)]


class _Streams(msgspec.Struct):
    streams: list[LedgerEntry]


class _Summaries(msgspec.Struct):
    streams: list[dict[str, object]]


class _Clock(msgspec.Struct):
    realtime_ns: Ns


class _Answer(NamedTuple):
    status: int
    body: bytes


def digest_of(credential: str) -> str:
    """What the mock's ledger shows of a credential."""
    return sha256(credential.encode()).hexdigest()[:16]


class MockControl:
    """A client of one mock's control API. Every request raises CannotMeasure if no valid answer comes."""

    @classmethod
    def of(cls, target: Target) -> Self:
        """A client of `target.mock`, with the target's TLS settings and the token that TOKEN_ENV holds.

        Raises CannotMeasure if the target has no mock, and UsageError for a token that cannot stand in a header.
        """
        if target.mock is None:
            raise CannotMeasure("this needs a mock provider, but the target names none", "give its URL with --mock")
        token = key_in(TOKEN_ENV, "--mock") if os.environ.get(TOKEN_ENV) else None
        return cls(target.mock, token, tls=tls_for(target, target.mock))

    def __init__(self, url: str, token: str | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.url = url.rstrip("/")
        # The connection is kept: a mock that refuses new ones still answers on it.
        self._http = PlainClient(Connector(tls), {"Authorization": f"Bearer {token}"} if token else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def entries(self, stream_id: str, wait_s: float = 0.0) -> list[LedgerEntry]:
        """Every upstream request that carried this id, oldest first. Waits up to `wait_s` for the last one to end."""
        path = f"/_mock/streams/{quote(stream_id, safe='')}"
        response = self._ask("GET", path, {"wait": f"{wait_s:g}"} if wait_s else {}, wait_s)
        if response.status == 404:
            return []
        return self._decode(response, _Streams).streams

    def recent(self, limit: int = 1000) -> list[dict[str, object]]:
        """Summaries of the latest streams, oldest first."""
        response = self._ask("GET", "/_mock/streams", {"limit": str(limit)})
        return self._decode(response, _Summaries).streams

    def release(self, stream_id: str, upto: int) -> None:
        """Let a lockstep stream write its steps 0 to `upto` − 1."""
        path = f"/_mock/streams/{quote(stream_id, safe='')}/release"
        self._decode(self._ask("POST", path, {"upto": str(upto)}), dict[str, object])

    @contextmanager
    def refusing(self, seconds: float) -> Iterator[None]:
        """The mock refuses connections meanwhile, at most for `seconds`. Running streams go on."""
        self._decode(self._ask("POST", "/_mock/refuse", {"seconds": f"{seconds:g}"}), dict[str, object])
        try:
            yield
        finally:
            self._decode(self._ask("POST", "/_mock/accept", {}), dict[str, object])

    def clock(self, enough_ns: int = 0) -> Offset:
        """The offset of the mock's clock, from the fastest of PINGS pings: the error is at most half its round trip.

        No more pings follow one whose error is at most `enough_ns`.
        """
        best = self.ping()
        for _ in range(PINGS - 1):
            if best.error_ns <= enough_ns:
                break
            best = better(best, self.ping())
        return best

    def ping(self) -> Offset:
        """The offset of the mock's clock from one round trip. Raises CannotMeasure when no mock answers."""
        before = time.time_ns()
        remote = self._decode(self._ask("GET", "/_mock/clock", {}), _Clock).realtime_ns
        return of_round_trip(before, remote, time.time_ns())

    def _ask(self, method: str, path: str, params: dict[str, str], wait_s: float = 0.0) -> _Answer:
        # A mock takes changes only as JSON, which a web page of another site cannot send.
        headers = {"Content-Type": "application/json"} if method == "POST" else {}
        query = f"?{urlencode(params)}" if params else ""
        try:
            answer = self._http.ask(
                method, f"{self.url}{path}{query}", most_bytes=MAX_ANSWER_BYTES, headers=headers,
                seconds=3 * TIMEOUT_S + wait_s, silence_s=TIMEOUT_S + wait_s,
            )  # fmt: skip
            return _Answer(answer.status, _whole(answer.body))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise CannotMeasure(
                f"the mock's control API at {self.url} cannot be reached: {error}",
                "start one with `streamgauge mock`, and give its address with --mock",
            ) from None
        except ValueError as error:
            raise self._not_a_mock(error) from None

    def _decode(self, answer: _Answer, kind: type[T]) -> T:
        try:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}")
            return from_json(answer.body, kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self._not_a_mock(error) from None

    def _not_a_mock(self, error: Exception) -> CannotMeasure:
        return CannotMeasure(
            f"{self.url} does not answer as a mock's control API: {error}",
            "--mock takes the address that `streamgauge mock` prints",
        )


def _whole(body: Body) -> bytes:
    """The content of a body. Raises ValueError if it is larger or slower than any answer of a mock can be."""
    if len(body.content) > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer is larger than {MAX_ANSWER_BYTES:,} bytes")
    if not body.whole:
        raise ValueError("the answer does not end")
    return body.content
