"""Every way in which an upstream fails before its first byte, one after the other. The mock plays them on request.

They are last of all, because a relay that saw so many failures may refuse its upstream for a while.
"""

import re
import time
from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.errors import CannotMeasure, OutOfMeans

# The caller's faults first: relays count the others as failures of the upstream.
STATUSES: Final = (400, 404, 401, 403, 408, 429, 500, 502, 503, 529)
CUT: Final = "cut before the head"
REFUSED: Final = "connection refused"
MOST_REQUESTS: Final = 2 * (len(STATUSES) + 1) + 1  # each twice where a circuit breaker is waited for
PATIENCE_S: Final = 30.0  # for one answer: SDKs retry three times, with waits of up to 8 s
MOST_S: Final = 120.0  # for all of them
LONGEST_PAUSE_S: Final = 10  # that a circuit breaker is waited for; LiteLLM's is 5 s
SPARE_S: Final = 0.5
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@scenario(
    "upstream-errors",
    "each failure of the upstream before its first byte",
    mock=True,
    concurrency=Concurrency.LAST,
    cost=Cost(MOST_REQUESTS, MOST_REQUESTS, longest_s=PATIENCE_S),
)
def upstream_errors(run: ScenarioRunner) -> Iterator[Observed]:
    if run.asks_the_mock:
        return
    ends_s = time.monotonic() + MOST_S
    failures: list[tuple[str, int | None, Keys]] = [
        (f"upstream {status}", status, {"fault": f"status:{status}"}) for status in STATUSES
    ]
    failures.append((CUT, None, {"fault": "accept-close"}))
    for variant, status, keys in failures:
        if time.monotonic() > ends_s:
            return
        seen = _ask(run, keys, variant, status)
        pause_s = _pause_s(seen)
        if pause_s is not None and time.monotonic() + pause_s < ends_s:
            time.sleep(pause_s)
            seen = _ask(run, keys, variant, status)
        yield seen
    yield from _refused(run)


def _pause_s(seen: Observed) -> float | None:
    """The pause that an endpoint asks for, if it did not ask its upstream because of the failures before; else None."""
    after = seen.head.get("retry-after") if seen.head is not None else None
    if seen.upstream or after is None or not _SECONDS.fullmatch(after):
        return None
    return int(after) + SPARE_S if int(after) <= LONGEST_PAUSE_S else None


def _ask(run: ScenarioRunner, keys: Keys, variant: str, status: int | None) -> Observed:
    spec, stream_id = run.request(keys)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=PATIENCE_S)
    seen = run.observed(spec, stream_id, transcript, variant=variant)
    seen.size = status
    return seen


def _refused(run: ScenarioRunner) -> Iterator[Observed]:
    """One request while the mock's port is closed, where the mock can close it."""
    assert run.mock is not None
    try:
        with run.mock.refusing(PATIENCE_S):
            seen = _ask(run, {}, REFUSED, None)
    except OutOfMeans:
        raise
    except CannotMeasure:  # a mock with several workers, or on a Unix socket
        return
    yield seen
