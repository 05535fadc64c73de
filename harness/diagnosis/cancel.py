"""`streamgauge.cancel`: does the upstream stop when the user leaves?"""

from datetime import UTC, datetime

from streamgauge.diagnosis.cancel_matrix import Progress, run_matrix
from streamgauge.diagnosis.cancellation import CancellationFile
from streamgauge.endpoint.client import TOTAL_S, StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target
from streamgauge.errors import UsageError


def cancel(target: str | Target, *, progress: Progress = lambda _: None) -> CancellationFile:
    """Leave streams early, in each phase and by each kind of close; `rows` say when the upstream noticed each close.

    `Target.mock` must be the address of the mock provider that is the endpoint's upstream: only the upstream knows
    when it saw the client leave. Raises UsageError without it, and CannotMeasure when there is no stream to leave.
    """
    given = as_target(target)
    if given.mock is None:
        raise UsageError("cancel needs --mock URL", "only the upstream can tell when it saw the client leave")
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with StreamClient.to(given, total_s=TOTAL_S) as client, MockControl.of(given) as mock:
        mock.ping()
        settled = settle(client, given)
        rows = run_matrix(client, settled, mock, "endpoint", progress)
    return CancellationFile(target=settled.masked_url, mock=given.mock, started=started, rows=rows)
