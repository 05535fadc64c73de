"""What a play is, and what it has to work with: requests with directives in them, streams, probes, observations.

    @play("gzip")
    def gzip(run: Runner, scenario: str) -> Iterator[Observed]:
        yield run.ask(scenario, headers={"Accept-Encoding": "gzip"})

A play makes every request of one scenario, or of several alike that it is registered for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from streamgauge.clocks import Offset
from streamgauge.conformance.cases import HEARTBEAT_NS, Observed
from streamgauge.conformance.declared_scenarios import SCENARIOS
from streamgauge.conformance.optins import Allowed
from streamgauge.conformance.scenarios.scheduler import Waiting
from streamgauge.diagnosis import lockstep
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target, directive
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.connection import Close
from streamgauge.units import SECOND

DEADLINE_S: Final = 120.0
PROBE_DEADLINE_S: Final = 15.0

Keys = Mapping[str, str | int]
"""What a directive says beyond its id."""

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


class ScenarioRunner(NamedTuple):
    """What a play asks with. `mock` and `offset` are None where the upstream is not ours; `dialect` is to be detected
    while it is None. A play that waits without a request under way does so `with run.waiting():`, so that others go on.
    """

    client: StreamClient
    target: Target
    mock: MockControl | None
    offset: Offset | None
    pace: Pace
    allowed: Allowed
    dialect: Dialect | None
    waiting: Waiting = nullcontext
    happy: Observed | None = None

    @property
    def asks_the_mock(self) -> bool:
        """Whether the endpoint is the mock itself, which has no upstream."""
        return self.mock is not None and urlsplit(self.mock.url).netloc == urlsplit(self.target.url).netloc

    @contextmanager
    def beside(self, timeout_s: float | None = None) -> Iterator["ScenarioRunner"]:
        """The same with a client of its own, for another thread or (`timeout_s`) another patience with silence."""
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
        told: dict[str, str | int] = {"id": stream_id, "tokens": self.pace.tokens}
        told |= {"ttft": self.pace.ttft, "itl": self.pace.itl, **keys}
        asked = self.target.request(f"{text} {directive(**told)}", headers=headers, max_tokens=max_tokens)
        return asked, stream_id

    def ask(
        self,
        scenario: str,
        keys: Keys = NO_KEYS,
        *,
        variant: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Observed:
        """A stream, read to its end."""
        spec, stream_id = self.request(keys, headers=headers)
        transcript = self.client.run(spec, dialect=self.dialect, deadline_s=DEADLINE_S)
        return self.observed(scenario, spec, stream_id, transcript, variant=variant)

    def probe(self, scenario: str, spec: RequestSpec, stream_id: str | None, *, variant: str | None = None) -> Observed:
        """An answer of which the head and the first token tell enough."""
        transcript = self.client.run(spec, dialect=None, deadline_s=PROBE_DEADLINE_S, on_token=_first_token)
        return self.observed(scenario, spec, stream_id, transcript, variant=variant)

    def observed(
        self,
        scenario: str,
        spec: RequestSpec,
        stream_id: str | None,
        transcript: Transcript,
        *,
        variant: str | None = None,
        wait_s: float = 0.0,
    ) -> Observed:
        """A request and what came of it, joined with the mock's ledger; `wait_s` is how long its end is waited for."""
        upstream = None
        if self.mock is not None and self.offset is not None and stream_id is not None:
            with self.waiting() if wait_s else nullcontext():
                entries = self.mock.entries(stream_id, wait_s)
            upstream = upstream_of(entries, self.offset)
        return Observed(
            scenario=scenario,
            transcript=transcript,
            variant=variant,
            method=spec.method,
            url=spec.masked_url,
            request_body=spec.body,
            prompt=spec.prompt or "",
            curl=spec.curl(),
            upstream=upstream,
        )


Play = Callable[[ScenarioRunner, str], Iterator[Observed]]

PLAYS: Final[dict[str, Play]] = {}


def play(*scenarios: str) -> Callable[[Play], Play]:
    """Register the function that makes the requests of these scenarios."""

    def register(function: Play) -> Play:
        for scenario in scenarios:
            if scenario in PLAYS or scenario not in SCENARIOS:
                raise ValueError(
                    f"two plays are called {scenario}, or harness/conformance/declared_scenarios.py has no such one"
                )
            PLAYS[scenario] = function
        return function

    return register


def _first_token(reader: StreamReader) -> Close | None:
    return Close.FIN if reader.token_events else None
