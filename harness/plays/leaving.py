"""Clients that leave before the answer has come."""

from collections.abc import Iterator
from typing import Final

from harness.conformance.cases import Observed
from harness.plays.base import DEADLINE_S, Runner, play
from harness.stream import StreamReader
from harness.transport.connection import Close

LEAVE_AFTER_TOKENS: Final = 5
LEAVE_EARLY_S: Final = 0.5
CANCEL_WAIT_S: Final = 11.0
EARLY_WAIT_S: Final = 4.0


@play("cancel-mid")
def cancel_mid(run: Runner, scenario: str) -> Iterator[Observed]:
    def enough(reader: StreamReader) -> Close | None:
        return Close.FIN if reader.token_events >= LEAVE_AFTER_TOKENS else None

    spec, stream_id = run.request({"tokens": 300, "itl": "30ms"})
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=enough)
    yield run.observed(scenario, spec, stream_id, transcript, wait_s=CANCEL_WAIT_S)


@play("cancel-early")
def cancel_early(run: Runner, scenario: str) -> Iterator[Observed]:
    spec, stream_id = run.request({"ttft": "8s", "tokens": 5})
    leave = (LEAVE_EARLY_S, Close.FIN)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, leave_after=leave)
    yield run.observed(scenario, spec, stream_id, transcript, wait_s=EARLY_WAIT_S)
