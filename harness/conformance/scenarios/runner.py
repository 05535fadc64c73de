"""What a scenario makes its requests with: directives for the mock, streams, probes, observations."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import uuid4

from streamgauge.clocks import Offset
from streamgauge.conformance.cases import HEARTBEAT_NS, Observed
from streamgauge.conformance.permissions import Allowed
from streamgauge.diagnosis import lockstep
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.content_limit import Patience
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target, directive, same_server
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close
from streamgauge.units import SECOND
from streamgauge.wire import End

DEADLINE_S: Final = 120.0
ENDLESS_S: Final = 10.0
"""The limits of silence and length where the first stream did not end by itself: waiting longer again shows nothing."""
PROBE_DEADLINE_S: Final = 15.0
_BESIDE: Final = 12  # twice the requests that a check has under way at once
SLOW_START: Final = 4
"""A probe waits this many times as long as the first stream took to its first token, but at least PROBE_DEADLINE_S."""

Keys = Mapping[str, str | int | None]
"""What a directive says beyond its id; None leaves an ordinary key out."""

NO_KEYS: Final[Keys] = MappingProxyType({})


class Pace(NamedTuple):
    """The mock's ordinary stream: long enough for flush.incremental to tell a burst from a flow.

    `heartbeat_s` is the silence in which a heartbeat is expected; the waits that provoke one are multiples of it.
    `hold_s` is how long each of many streams at once lasts, `stall_s` how long a client does not read.
    """

    tokens: int = 40
    ttft: str = "50ms"
    itl: str = "30ms"
    step_timeout_s: float = lockstep.STEP_TIMEOUT_S
    heartbeat_s: float = HEARTBEAT_NS / SECOND
    hold_s: float = 3.0
    stall_s: float = 5.0


Waiting = Callable[[], AbstractContextManager[None]]
"""Entered while a scenario waits without a request under way, so that others may send theirs."""


class ScenarioRunner(NamedTuple):
    """Makes the requests of the scenario named `scenario`, and labels the observations with it.

    `mock` and `offset` are None where the upstream is not the mock. `dialect` None is detected from the answer.
    `happy` is the first ordinary stream, once there is one. `deadline_s` limits an ordinary stream.
    """

    client: StreamClient
    target: Target
    mock: MockControl | None
    offset: Offset | None
    pace: Pace
    allowed: Allowed
    dialect: Dialect | None
    scenario: str = ""
    waiting: Waiting = nullcontext
    happy: Observed | None = None
    deadline_s: float = DEADLINE_S

    @property
    def asks_the_mock(self) -> bool:
        """Whether the endpoint is the mock itself, which has no upstream."""
        return self.mock is not None and same_server(self.mock.url, self.target.url)

    @contextmanager
    def beside(self, timeout_s: float | None = None) -> Iterator["ScenarioRunner"]:
        """The same with a client of its own, for another thread; `timeout_s` bounds its wait for a byte."""
        with self.client.another(read_timeout_s=timeout_s) as client:
            yield self._replace(client=client)
        self.client.exchanges += client.exchanges

    def request(
        self,
        keys: Keys = NO_KEYS,
        *,
        prompt: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        max_tokens: int | None = None,
    ) -> tuple[RequestSpec, str | None]:
        """The request, and the id of its directive: only with a mock, whose ordinary pace the keys replace."""
        text = self.target.prompt if prompt is None else prompt
        if self.mock is None:
            return self.target.request(text, headers=headers, max_tokens=max_tokens), None
        stream_id = uuid4().hex[:12]
        pace: dict[str, str | int | None] = {"tokens": self.pace.tokens, "ttft": self.pace.ttft, "itl": self.pace.itl}
        prompt = f"{text} {directive(**{'id': stream_id, **pace, **keys})}"
        return self.target.request(prompt, headers=headers, max_tokens=max_tokens), stream_id

    def ask(
        self,
        keys: Keys = NO_KEYS,
        *,
        variant: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        patience: Patience | None = None,
    ) -> Observed:
        """A stream, read to its end. `patience` replaces the client's own."""
        spec, stream_id = self.request(keys, headers=headers)
        transcript = self.client.run(spec, dialect=self.dialect, deadline_s=self.deadline_s, patience=patience)
        return self.observed(spec, stream_id, transcript, variant=variant)

    def probe(self, spec: RequestSpec, stream_id: str | None, *, variant: str | None = None) -> Observed:
        """An answer, read up to its first token."""
        transcript = self.client.run(spec, dialect=None, deadline_s=self.probe_deadline_s, on_token=_first_token)
        return self.observed(spec, stream_id, transcript, variant=variant)

    def answers(self) -> bool:
        """Whether an ordinary request gets any byte of an answer, in the time in which six of them would be served."""
        spec, _ = self.request()
        happy = None if self.happy is None else self.happy.transcript.capture
        lasted_s = 0.0 if happy is None else ((happy.end_ns or happy.start_ns) - happy.start_ns) / SECOND
        deadline_s = min(max(self.probe_deadline_s, _BESIDE * lasted_s), DEADLINE_S)
        transcript = self.client.run(spec, dialect=None, deadline_s=deadline_s, on_token=_first_token)
        return bool(transcript.capture.body) or transcript.capture.end is not End.TIMEOUT

    @property
    def probe_deadline_s(self) -> float:
        """How long a probe waits for its first token. A slow model gets more time than a fast one."""
        usual_ns = 0 if self.happy is None else self.happy.wait_ns or 0
        return min(max(PROBE_DEADLINE_S, SLOW_START * usual_ns / SECOND), DEADLINE_S)

    def observed(
        self,
        spec: RequestSpec,
        stream_id: str | None,
        transcript: Transcript,
        *,
        variant: str | None = None,
        wait_s: float = 0.0,
    ) -> Observed:
        """A request and its answer, joined with the mock's ledger, which may take `wait_s` to see the end."""
        upstream = None
        if self.mock is not None and self.offset is not None and stream_id is not None:
            with self.waiting() if wait_s else nullcontext():
                entries = self.mock.entries(stream_id, wait_s)
            upstream = upstream_of(entries, self.offset)
        return Observed(
            scenario=self.scenario,
            transcript=transcript,
            variant=variant,
            method=spec.method,
            url=spec.masked_url,
            request_body=spec.body,
            prompt=spec.prompt or "",
            curl=spec.curl(),
            upstream=upstream,
            directed=stream_id is not None,
        )


def _first_token(reader: StreamReader) -> Close | None:
    return Close.FIN if reader.token_events else None
