"""Streams that are cut and requested again, as EventSource does: by the same user, and by another user."""

from collections.abc import Iterator, Mapping
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, ScenarioRunner
from streamgauge.conformance.scenarios.second_user import as_second
from streamgauge.conformance.scenarios.texts import TEXTS
from streamgauge.protocol.reader import StreamReader
from streamgauge.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 3
TEXT: Final = "unicode"


@scenario("resume", "a stream that is cut and requested again, as EventSource does", cost=Cost(2, 2))
def resume(run: ScenarioRunner) -> Iterator[Observed]:
    if run.happy is not None and run.happy.is_repeated:
        yield from _cut_and_again(run, {})


@scenario(
    "replay", "another user asks for the rest of a stream that was cut", opt_in=(OptIn.SECOND_KEY,), cost=Cost(2, 2)
)
def replay(run: ScenarioRunner) -> Iterator[Observed]:
    if run.happy is not None and run.happy.carries_ids:
        yield from _cut_and_again(run, as_second(run))


def _cut_and_again(run: ScenarioRunner, headers: Mapping[str, str]) -> Iterator[Observed]:
    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

    pieces = TEXTS[TEXT]
    spec, stream_id = run.request({"text": TEXT, "tokens": len(pieces), "seed": 0, "itl": "30ms"})
    expected = "".join(pieces) if run.mock is not None else None
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=enough)
    cut = run.observed(spec, stream_id, transcript, variant="cut")
    cut.expected_text = expected
    yield cut
    replaced = {name.lower() for name in headers}
    kept = {name: value for name, value in spec.headers.items() if name.lower() not in replaced}
    changed = {**kept, "Cache-Control": "no-store", **headers}
    if cut.last_id:
        changed["Last-Event-ID"] = cut.last_id
    spec = spec._replace(headers=changed)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    again = run.observed(spec, stream_id, transcript, variant="again")
    again.expected_text = expected
    yield again
