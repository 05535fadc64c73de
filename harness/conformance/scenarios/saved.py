"""What an application has saved of a stream, read back through its own URL (--state-url)."""

import time
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import Allowed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, Keys, ScenarioRunner
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.protocol.reader import StreamReader
from streamgauge.transport.connection import Close

WHOLE: Final = "whole"
CUT, FAILED, LEFT = "cut", "failed", "left"
BROKEN_AFTER: Final = 8  # tokens; the text has more
LEFT_AFTER: Final = 4
BEGIN, END = "begin{mark}", "end{mark}"
MIDDLE: Final = " and the river goes on through hills and towns and fields until it meets the sea "
VARIANTS: Final[dict[str, Keys]] = {
    WHOLE: {},
    CUT: {"fault": f"fin-mid-event:{BROKEN_AFTER}"},
    FAILED: {"fault": f"error-lines:{BROKEN_AFTER}"},
    LEFT: {"itl": "40ms"},
}
PATIENCE_S: Final = 3.0  # for the application to save
PAUSE_S: Final = 0.2
_READS: Final = round(PATIENCE_S / PAUSE_S)


def _cost(allowed: Allowed) -> Cost:
    """Each stream, and the reads of the state after it."""
    return Cost(len(VARIANTS) * (1 + _READS), len(VARIANTS)) if allowed.reads_state else Cost(0, 0, longest_s=0)


@scenario("saved", "what is saved of a whole, a cut, a failed and a left stream", mock=True, cost=_cost,
          concurrency=Concurrency.ALONE)  # fmt: skip
def saved(run: ScenarioRunner) -> Iterator[Observed]:
    if run.target.state_url is None:
        return
    for variant, keys in VARIANTS.items():
        mark = uuid4().hex[:8]
        text = BEGIN.format(mark=mark) + MIDDLE + END.format(mark=mark)
        said: Keys = {"tokens": None, "ttft": "1ms", "itl": "2ms", "say": _hidden(text), **keys}
        spec, stream_id = run.request(said)
        leaves = _leave if variant == LEFT else None
        transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S, on_token=leaves)
        seen = run.observed(spec, stream_id, transcript, variant=variant)
        seen.expected_text = text
        seen.state = _state(run, run.target.state_url, mark, whole=variant == WHOLE)
        yield seen


def _hidden(text: str) -> str:
    """Every byte percent-encoded, so that the saved question, which has the directive, does not hold the answer."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _leave(reader: StreamReader) -> Close | None:
    return Close.FIN if reader.token_events >= LEFT_AFTER else None


def _state(run: ScenarioRunner, url: str, mark: str, *, whole: bool) -> str:
    """The state as soon as it has the end of a whole answer, or what it is after a while."""
    spec = RequestSpec("GET", url, {**run.target.headers, "Accept": "application/json"}, None)
    text = ""
    for _ in range(_READS):
        text = run.client.run(spec, deadline_s=DEADLINE_S).body.decode("utf-8", "replace")
        if whole and END.format(mark=mark) in text:
            break
        time.sleep(PAUSE_S)
    return text
