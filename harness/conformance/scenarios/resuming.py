"""Streams that are cut and asked for again, as EventSource does: by the same user, and by another."""

from collections.abc import Iterator, Mapping
from typing import Final

from streamgauge.conformance.applies import carries_ids, is_repeated
from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.base import DEADLINE_S, ScenarioRunner, play
from streamgauge.conformance.scenarios.second_user import as_second
from streamgauge.conformance.scenarios.texts import TEXTS
from streamgauge.protocol.reader import StreamReader
from streamgauge.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 3
TEXT: Final = "unicode"


@play("resume")
def resume(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    if run.happy is not None and is_repeated(run.happy):
        yield from _cut_and_again(run, scenario, {})


@play("replay")
def replay(run: ScenarioRunner, scenario: str) -> Iterator[Observed]:
    if run.happy is not None and carries_ids(run.happy):
        yield from _cut_and_again(run, scenario, as_second(run))


def _cut_and_again(run: ScenarioRunner, scenario: str, headers: Mapping[str, str]) -> Iterator[Observed]:
    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

    pieces = TEXTS[TEXT]
    spec, stream_id = run.request({"text": TEXT, "tokens": len(pieces), "seed": 0, "itl": "30ms"})
    said = "".join(pieces) if run.mock is not None else None
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=enough)
    cut = run.observed(scenario, spec, stream_id, transcript, variant="cut")
    cut.expected_text = said
    yield cut
    replaced = {name.lower() for name in headers}
    kept = {name: value for name, value in spec.headers.items() if name.lower() not in replaced}
    changed = {**kept, "Cache-Control": "no-store", **headers}
    if cut.last_id:
        changed["Last-Event-ID"] = cut.last_id
    spec = spec._replace(headers=changed)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    again = run.observed(scenario, spec, stream_id, transcript, variant="again")
    again.expected_text = said
    yield again
