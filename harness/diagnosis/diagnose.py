"""`streamgauge.diagnose`: find out what holds back the tokens of a stream, and at which hop."""

from contextlib import ExitStack

from streamgauge.diagnosis import buffering
from streamgauge.diagnosis.patterns import DiagnosisFile
from streamgauge.endpoint.client import TOTAL_S, StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.signalr import refuse_hub
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target, at_url, at_vendor_path
from streamgauge.endpoint.upstream import rehearse


def diagnose(
    target: str | Target, *, direct: str | None = None, progress: buffering.Progress = lambda _: None
) -> DiagnosisFile:
    """Find out how the path to `target` delivers a stream, and which hop buffers it.

    `direct` is the URL of the same endpoint without the proxy; both paths are then measured and compared. With
    `Target.mock` the verdict comes from lockstep, which compares no clocks. Raises UsageError on a target that cannot
    be used, and CannotMeasure when a path gives no stream, or one that does not come from the mock.
    """
    given = as_target(target)
    refuse_hub(given, "diagnose")
    paths = [buffering.PathTarget("via", given)]
    if direct is not None:
        own = at_vendor_path(at_url(given, direct, instead=True))
        paths.append(buffering.PathTarget("direct", own))
    with ExitStack() as stack:
        client = stack.enter_context(StreamClient.to(given, total_s=TOTAL_S))
        settled = [path._replace(target=settle(client, path.target)) for path in paths]
        mock = stack.enter_context(MockControl.of(given)) if given.mock else None
        if mock is not None:
            for path in settled:
                rehearse(client, path.target, mock)
        return buffering.diagnose(client, settled[0], settled[1] if direct else None, mock, progress)
